/** Recording: an op's function is called on nodes, literals become run-time inputs, and the result is a tensor again. */
import { type DType, isFloat } from "../core/dtype.js";
import { ArgumentError } from "../core/errors.js";
import { showType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { cast } from "../ops/cast.js";
import { type Precision, precisionOf } from "../ops/precision.js";
import { defaultDType, type Literal, withLiterals } from "../ops/promotion.js";
import { input } from "../ops/source.js";
import { Cell } from "./cell.js";
import { currentDevice } from "./device.js";
import { viewNames } from "./methods.js";
import { mode } from "./mode.js";
import { notePending } from "./pending.js";
import { type HostLiteral, setLiteral } from "./storage.js";
import { Tensor } from "./tensor.js";
import { carries, markCarrier } from "./track.js";

/** Numbers that stay constants: compilers do better with them, and they are not what schedules change. */
const fixed = new Set<number>([0, 1, -1, 2, 0.5]);

/** A rank-0 node whose number is handed to the program with each call. */
export const literalNode = (value: number | bigint, dtype: DType): Node => hostNode([], dtype, { values: [value] });
/** A node whose elements the host gives with each call; in a trace they are asked for anew. */
export function hostValues(shape: readonly number[], dtype: DType, read: () => readonly (number | bigint)[]): Node {
  return hostNode(
    shape,
    dtype,
    mode.trace
      ? mode.trace.hostValue(
          read,
          shape.reduce((a, b) => a * b, 1),
        )
      : { values: read() },
  );
}
function hostNode(shape: readonly number[], dtype: DType, literal: HostLiteral): Node {
  const n = input({ shape, dtype });
  setLiteral(n, literal);
  return n;
}
/** A number that a compiled function asks for anew at each call, so that a schedule never recompiles: `hostNumber(() => optimizer.lr)`. */
export const hostNumber = (read: () => number, dtype: DType = defaultDType()): Tensor => newTensor(hostValues([], dtype, () => [read()]));
/** Does something on the host now, and at each call of the compiled function that is being traced. */
export function hostEffect(run: () => void): void {
  if (mode.trace) mode.trace.hostEffect(run);
  else run();
}

/** Says that what is being traced depends on a plain value. */
export function traceGuard(read: () => unknown): void {
  mode.trace?.guard(read);
}

type Fn = (...args: never[]) => unknown;
interface Call {
  readonly nodes: Map<Node, Tensor>;
  readonly numbers: Set<Literal>;
  /** What `autocast` does to the tensors. */
  readonly precision: Precision | undefined;
}

/** Calls an op's function with tensors in its nodes' places. */
export function record(name: string, f: Fn, args: readonly unknown[]): unknown {
  const call: Call = { nodes: new Map(), numbers: new Set(), precision: mode.autocast && precisionOf(f) };
  const lifted = args.map((a) => lift(a, call));
  const out = withUserLiterals(call.numbers, () => called(name, f, args, lifted));
  const track = mode.grad && [...call.nodes.keys()].some(carries);
  const self = args[0] instanceof Tensor && viewNames.has(name) ? args[0] : undefined;
  const device = [...call.nodes.values()].find((t) => t.cell.device !== currentDevice())?.cell.device ?? currentDevice();
  return lower(out, { track, self, base: self && (lifted[0] as Node), device });
}

/** Calls the function. Arguments that no declaration allows, as plain JavaScript can hand over, are told in the user's words. */
function called(name: string, f: Fn, args: readonly unknown[], lifted: readonly unknown[]): unknown {
  try {
    return f(...(lifted as never[]));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const given = args.map((a) => (a instanceof Tensor ? showType({ dtype: a.dtype, shape: a.shape }) : shown(a))).join(", ");
    const how = "shapes and lists of dims are arrays, as in [2, 3]; options are an object; other operands are tensors or numbers";
    throw new ArgumentError(`${name}(${given}): these are not the arguments that it takes (${error.message}); ${how}`, { cause: error });
  }
}
const shown = (x: unknown): string =>
  typeof x === "function" ? "a function" : (JSON.stringify(x, (_, v) => (typeof v === "bigint" ? `${v}n` : v)) ?? `${x}`);

/** Runs `fn`; numbers among `numbers` that it uses as operands become run-time inputs. In a trace they are constants. */
function withUserLiterals<T>(numbers: ReadonlySet<Literal>, fn: () => T): T {
  if (numbers.size === 0 || mode.trace) return fn();
  return withLiterals(
    (x, dtype) =>
      typeof x !== "boolean" && numbers.has(x) ? literalNode(dtype === "i64" || dtype === "u64" ? BigInt(x) : Number(x), dtype) : undefined,
    fn,
  );
}

function lift(x: unknown, call: Call): unknown {
  if (x instanceof Tensor) {
    const n = x.read();
    call.nodes.set(n, x);
    return call.precision && isFloat(n.type.dtype) && n.type.dtype !== "f64"
      ? cast(n, call.precision === "low" ? mode.autocast! : "f32")
      : n;
  }
  if (typeof x === "number" || typeof x === "bigint") {
    if (!fixed.has(Number(x))) call.numbers.add(x);
    return x;
  }
  if (Array.isArray(x)) return x.some((y) => typeof y === "object" && y !== null) ? x.map((y) => lift(y, call)) : x;
  if (x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype && !("terms" in x))
    return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, lift(v, call)]));
  return x;
}

interface Context {
  readonly track: boolean;
  readonly self: Tensor | undefined;
  readonly base: Node | undefined;
  readonly device: string;
}
const isNode = (x: unknown): x is Node => typeof x === "object" && x !== null && "op" in x && "inputs" in x && "type" in x;

function lower(x: unknown, c: Context): unknown {
  if (isNode(x)) return tensorOf(x, c);
  if (Array.isArray(x)) return x.map((y) => lower(y, c));
  if (x !== null && typeof x === "object") return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, lower(v, c)]));
  return x;
}
function tensorOf(n: Node, c: Context): Tensor {
  if (c.self) {
    const view = c.self.viewTo(c.base!, n);
    if (view) return view;
  }
  // An op that had nothing to do gives its input back: a tensor of the same value, but not the same variable.
  if (c.track && isFloat(n.type.dtype)) markCarrier(n);
  return newTensor(n, c.device);
}
/** A tensor with a cell of its own whose value is this node. */
export function newTensor(n: Node, device: string = currentDevice()): Tensor {
  const cell = new Cell(n, device);
  notePending(cell);
  return new Tensor(cell);
}
