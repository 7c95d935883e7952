/** What the walk over a kernel carries from statement to statement. */
import { bytesOf, computeDType, type DType } from "../../../core/dtype.js";
import { InternalError } from "../../../core/errors.js";
import { add, type Dim, hi, lo, stride, substitute, variable, variables } from "../../../core/expr.js";
import type { Buffer, Kernel } from "../../../kernel/kernel.js";
import type { Code } from "../asm/code.js";
import type { Func } from "../asm/module.js";

/** Lanes of 32 bits in a vector: how many elements of a vector axis are computed together. */
export const width = 4;

/** What the engine takes beyond plain SIMD. */
export interface Features {
  /** Multiplication and addition in one, rounded once or twice. */
  readonly relaxed: boolean;
}

/** The vector axis around a statement: four of its positions, from `base` on, by a variable of their own. */
export interface Lane {
  readonly axis: string;
  readonly name: string;
  readonly base: number;
}

/** How a register buffer is kept: a local for each element (one with the element in every lane), a vector for each four, or in memory. */
export type Layout = "scalars" | "splats" | "vectors" | "array";

/** A loop around a statement. What does not change in it is computed before it. */
export interface Frame {
  /** Integer variables that change inside. */
  readonly inside: ReadonlySet<string>;
  /** Statements before the loop. */
  readonly before: Code[];
  /** Locals of addresses that were computed there. */
  readonly known: Map<string, number>;
}

/** A buffer in memory: the local that holds its address, and a constant offset from there. */
export interface Room {
  readonly buffer: Buffer;
  readonly base: number;
  readonly offset: number;
}

/** One scalar, or four lanes: one vector for elements of up to four bytes, two for wider ones. `constant` where it is known. */
export interface Val {
  readonly dtype: DType;
  readonly lanes: 1 | 4;
  readonly parts: readonly Code[];
  readonly constant?: number | bigint;
  /** The same in all lanes, where that is cheaper than spreading the scalar. */
  readonly spread?: Code;
}

export interface State {
  readonly kernel: Kernel;
  readonly f: Func;
  readonly features: Features;
  readonly rooms: Map<string, Room>;
  /** Decided by use; a use that does not fit changes the layout, and the walk starts again. */
  readonly layouts: Map<string, Layout>;
  /** Locals of register elements, by buffer and first element. */
  readonly registers: Map<string, number>;
  /** Values of `let`, in locals. */
  readonly lets: Map<string, Val>;
  /** Locals of integer variables; `name@lane` is a lane's own. */
  readonly indices: Map<string, number>;
  /** Names from `letIndex` that differ from lane to lane, with their bounds. */
  readonly varying: Map<string, Dim>;
  readonly scratch: number;
  /** The loops around, outermost first. */
  readonly frames: Frame[];
  /** Bytes of scratch that are taken. */
  reserved: number;
  env: ReadonlyMap<string, Dim>;
  lane: Lane | undefined;
  /** The lane that is running where lanes run one after another. */
  at: number | undefined;
}

/** A register buffer needs another layout: walk again. */
export class Relayout extends Error {}

export const fail = (s: State, what: string): never => {
  throw new InternalError(`kernel ${s.kernel.name}: ${what}`);
};
export const roomOf = (s: State, name: string): Room => s.rooms.get(name) ?? fail(s, `no buffer ${name}`);
export function bufferOf(s: State, name: string): Buffer {
  return s.kernel.buffers.find((b) => b.name === name) ?? fail(s, `no buffer ${name}`);
}

/** An expression under the axes that are bound here. */
export const bound = (s: State, e: Dim): Dim =>
  s.at === undefined ? substitute(e, s.env) : substitute(substitute(e, s.env), own(s, s.at));
/** Names that differ from lane to lane, replaced by the lane's own. */
function own(s: State, lane: number): Map<string, Dim> {
  return new Map([...s.varying].map(([n, v]) => [n, variable(`${n}@${lane}`, lo(v), hi(v))]));
}
/** What the vector axis multiplies; undefined where lanes are not evenly spaced, 0 where there is no vector. */
export function laneStride(s: State, e: Dim): number | undefined {
  if (!s.lane) return 0;
  if (s.varying.size) for (const n of variables(e).keys()) if (s.varying.has(n)) return undefined;
  return stride(e, s.lane.name);
}
/** A bound expression in one lane. */
export function inLane(s: State, e: Dim, lane: number): Dim {
  if (!s.lane || typeof e === "number") return e;
  return substitute(e, new Map([[s.lane.name, lane], ...own(s, lane)]));
}
/** Runs with an axis replaced by a value. */
export function bind<T>(s: State, name: string, to: Dim, run: () => T): T {
  const keep = s.env;
  s.env = new Map([...keep, [name, to]]);
  const result = run();
  s.env = keep;
  return result;
}
/** Runs with four positions of a vector axis as lanes. */
export function withLane<T>(s: State, axis: string, base: number, run: () => T): T {
  const keep = s.lane;
  const name = `${axis}#`;
  const position = variable(name, 0, width - 1);
  s.lane = { axis, name, base };
  const result = bind(s, axis, add(position, base), run);
  s.lane = keep;
  return result;
}
/** Runs once as one lane of the vector axis. */
export function asLane<T>(s: State, lane: number, run: () => T): T {
  const { lane: around, at } = s;
  if (!around) return run();
  s.lane = undefined;
  s.at = lane;
  const result = bind(s, around.axis, around.base + lane, run);
  s.lane = around;
  s.at = at;
  return result;
}

/** Bytes of an element as arithmetic has it: halves are f32. */
export const computedBytes = (dtype: DType): number => bytesOf(computeDType(dtype));
