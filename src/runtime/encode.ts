/** Helpers that every device uses to turn a program and a call into numbers. */
import { bytesOf } from "../core/dtype.js";
import { DeviceError, ShapeError, UnsupportedError } from "../core/errors.js";
import { type Dim, evaluate } from "../core/expr.js";
import type { TensorType } from "../core/type.js";
import type { Allocation, Call } from "./device.js";
import type { HostFunction, HostFunctions, Program, Step } from "./program.js";

export type HostStep = Extract<Step, { kind: "host" }>;
/** The values of a program's dims by name. */
export type Sizes = Readonly<Record<string, number>>;

/** Names the dims of a call; every value lies in its declared range. */
export function sizesOf(program: Program, dims: readonly number[]): Sizes {
  if (dims.length !== program.dims.length)
    throw new ShapeError(`${program.name} has ${program.dims.length} dims, the call gives ${dims.length}`);
  const sizes: Record<string, number> = {};
  program.dims.forEach((d, i) => {
    const n = dims[i]!;
    if (!Number.isInteger(n) || n < d.min || n > d.max)
      throw new ShapeError(`${program.name}: dim ${d.name} = ${n} is outside [${d.min}, ${d.max}]`);
    sizes[d.name] = n;
  });
  return sizes;
}

/** A size, count or offset of one call: a non-negative integer. */
export function valueOf(d: Dim, sizes: Sizes, what: string): number {
  const n = evaluate(d, sizes);
  if (!Number.isSafeInteger(n) || n < 0) throw new DeviceError(`${what} comes to ${n}`);
  return n;
}

/** Bytes of every buffer of a call. */
const bufferBytes = (program: Program, sizes: Sizes): number[] =>
  program.buffers.map((b, i) => valueOf(b.size, sizes, `the size of buffer ${i} of ${program.name}`) * bytesOf(b.dtype));

/** Where everything of a call lies. */
export interface Layout {
  readonly sizes: Sizes;
  /** Bytes of every buffer. */
  readonly bytes: readonly number[];
  readonly arenaBytes: number;
  /** Where each temporary lies in the arena; undefined for other buffers. */
  readonly offsets: readonly (number | undefined)[];
}
/** Lays out a call of these dims. */
export function layoutOf(program: Program, dims: readonly number[]): Layout {
  const sizes = sizesOf(program, dims);
  const bytes = bufferBytes(program, sizes);
  const arenaBytes = valueOf(program.arena, sizes, `the arena of ${program.name}`);
  const offsets = program.buffers.map((b, i) => {
    if (b.role !== "temp") return undefined;
    const offset = valueOf(b.offset ?? 0, sizes, `the place of buffer ${i} of ${program.name}`);
    if (offset + bytes[i]! > arenaBytes) throw new DeviceError(`${program.name}: temporary ${i} reaches beyond the arena`);
    return offset;
  });
  return { sizes, bytes, arenaBytes, offsets };
}
/** Bytes of scratch that the kernels of a program need at most. */
export const scratchOf = (program: Program, sizes: Sizes): number =>
  program.kernels.reduce((most, k) => Math.max(most, valueOf(k.sharedBytes, sizes, `scratch of ${k.entry}`)), 0);

/** Checks that the caller's buffers are there, alive and large enough. */
export function checkBuffers(program: Program, call: Call, bytes: readonly number[]): void {
  for (let i = 0; i < bytes.length; i++) checkBuffer(program, i, call.buffers[i], bytes[i]!);
}
/** The same for one of them. */
export function checkBuffer(program: Program, i: number, a: Allocation | undefined, bytes: number): void {
  const { role } = program.buffers[i]!;
  if (role === "constant" || role === "temp") return;
  if (!a) throw new DeviceError(`${program.name}: the call has no memory for ${role} buffer ${i}`);
  if (a.readOnly && role !== "input")
    throw new DeviceError(`${program.name}: ${role} buffer ${i} is part of a mapped file, which nothing writes`);
  if (a.bytes < bytes) throw new DeviceError(`${program.name}: ${role} buffer ${i} has ${a.bytes} bytes and needs ${bytes}`);
}
export function checkAlive(program: Program, call: Call): void {
  for (const a of call.buffers) if (a?.freed) throw new DeviceError(`${program.name} was called with a buffer that has been freed`);
}

/** The host functions of a program's host steps, by the step's name. */
export function hostSteps(program: Program, host: HostFunctions | undefined): ReadonlyMap<string, HostFunction> {
  const found = new Map<string, HostFunction>();
  for (const s of program.steps) {
    if (s.kind !== "host" || found.has(s.call)) continue;
    const f = host?.(s.call);
    if (!f)
      throw new UnsupportedError(
        `${program.name} computes ${s.call} on the host, and no host function for it was given; open it with the full package, or export it for a target that generates ${s.call}`,
      );
    found.set(s.call, f);
  }
  return found;
}

/** The type with numbers for dims. */
export const concrete = (t: TensorType, sizes: Sizes): TensorType => ({ dtype: t.dtype, shape: t.shape.map((d) => evaluate(d, sizes)) });

export const sameNumbers = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((x, i) => x === b[i]);
