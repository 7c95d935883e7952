/** From values by name to a call: binds dims from shapes, checks them, and allocates what the program writes. */
import { bytesOf, type DType } from "../core/dtype.js";
import { DTypeError, InternalError, ShapeError } from "../core/errors.js";
import { type Dim, evaluate, hi, lo, show } from "../core/expr.js";
import { showShape, type TensorType } from "../core/type.js";
import type { Allocation, Call, Device } from "./device.js";
import type { Port, Program } from "./program.js";

/** Shape and dtype of a value that a caller gives. */
export interface Given {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/**
 * The program's dims, in order, from the shapes of its inputs (and of its state where shapes there are symbolic). Throws ShapeError or
 * DTypeError naming the input that does not fit.
 */
export function bindDims(program: Program, inputs: readonly Given[], state: readonly Given[] = []): number[] {
  if (inputs.length !== program.inputs.length) {
    throw new ShapeError(
      `${program.name} takes ${program.inputs.length} inputs (${program.inputs.map((p) => p.name).join(", ") || "none"}) and was given ${inputs.length}`,
    );
  }
  const sizes: Record<string, number> = {};
  const pairs: (readonly [Port, Given])[] = [
    ...program.inputs.map((p, i) => [p, inputs[i]!] as const),
    ...state.map((g, i) => [program.state[i]!, g] as const),
  ];
  for (const [port, given] of pairs) {
    if (given.dtype !== port.type.dtype)
      throw new DTypeError(`${program.name}: ${port.name} takes ${port.type.dtype} and was given ${given.dtype}`);
    if (given.shape.length !== port.type.shape.length) throw mismatch(program, port, given, `it has ${given.shape.length} dims`);
    given.shape.forEach((n, d) => {
      const solved = solve(port.type.shape[d]!, n);
      if (solved) sizes[solved.name] ??= solved.value;
    });
  }
  const dims = program.dims.map(({ name, min, max }) => {
    const n = sizes[name];
    if (n === undefined) throw new InternalError(`${program.name}: no input's shape says what ${name} is`);
    if (!Number.isInteger(n) || n < min || n > max) {
      const [port, given] = pairs.find(([p, g]) => p.type.shape.some((e, d) => solve(e, g.shape[d]!)?.name === name))!;
      throw mismatch(program, port, given, `${name} = ${n} is outside [${min}, ${max}]`);
    }
    return n;
  });
  for (const [port, given] of pairs) {
    port.type.shape.forEach((e, d) => {
      const n = evaluate(e, sizes);
      if (n !== given.shape[d])
        throw mismatch(program, port, given, typeof e === "number" ? `dim ${d} must be ${n}` : `dim ${d} must be ${show(e)} = ${n}`);
    });
  }
  return dims;
}
const mismatch = (program: Program, port: Port, given: Given, why: string): ShapeError =>
  new ShapeError(`${program.name}: ${port.name} takes shape ${showShape(port.type.shape)} and was given ${showShape(given.shape)}: ${why}`);

/** The variable in a dim of the form a * name + b, and its value where the dim is `n`. */
function solve(e: Dim, n: number): { name: string; value: number } | undefined {
  if (typeof e === "number" || e.terms.length !== 1) return undefined;
  const { atom, by } = e.terms[0]!;
  return atom.kind === "var" ? { name: atom.name, value: (n - e.offset) / by } : undefined;
}

/** Types of the program's outputs for one call. */
export function outputTypes(program: Program, dims: readonly number[]): TensorType[] {
  const sizes = named(program, dims);
  return program.outputs.map((p) => ({ dtype: p.type.dtype, shape: p.type.shape.map((e) => evaluate(e, sizes)) }));
}
const named = (program: Program, dims: readonly number[]): Record<string, number> =>
  Object.fromEntries(program.dims.map((d, i) => [d.name, dims[i]!]));

/** Bytes of buffer `b` in a call. */
const bytesOfBuffer = (program: Program, b: number, dims: readonly number[]): number => {
  const plan = program.buffers[b]!;
  return evaluate(plan.size, named(program, dims)) * bytesOf(plan.dtype);
};

/** A call with the memory that belongs to it. */
export interface Prepared {
  readonly call: Call;
  /** Where each output is, in order. An output that is an input or a state is that one's buffer. */
  readonly outputs: readonly Allocation[];
  /** Buffers that were allocated for this call: whoever made it frees them. */
  readonly owned: readonly Allocation[];
}

/** Builds a call from buffers in the order of the program's inputs and state; allocates the outputs. */
export function prepare(
  device: Device,
  program: Program,
  dims: readonly number[],
  inputs: readonly Allocation[],
  state: readonly Allocation[],
): Prepared {
  const buffers: (Allocation | undefined)[] = program.buffers.map(() => undefined);
  const owned: Allocation[] = [];
  program.inputs.forEach((p, i) => {
    buffers[p.buffer] = inputs[i];
  });
  program.state.forEach((p, i) => {
    buffers[p.buffer] = state[i];
  });
  try {
    program.buffers.forEach((b, i) => {
      if (b.role !== "output" || buffers[i]) return;
      const a = device.alloc(bytesOfBuffer(program, i, dims));
      buffers[i] = a;
      owned.push(a);
    });
  } catch (error) {
    for (const a of owned) device.free(a);
    throw error;
  }
  return { call: { buffers, dims }, outputs: program.outputs.map((p) => buffers[p.buffer]!), owned };
}

/** Least and greatest shape that a port takes, for messages and listings: `[1..256, 768]`. */
export const showRange = (t: TensorType): string =>
  `${t.dtype}[${t.shape.map((e) => (lo(e) === hi(e) ? `${lo(e)}` : `${show(e)}: ${lo(e)}..${hi(e)}`)).join(", ")}]`;
