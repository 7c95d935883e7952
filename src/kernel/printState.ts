/** What the printer carries from statement to statement. */
import type { DType } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { type Dim, hi, lo, stride, substitute, variable, variables } from "../core/expr.js";
import { type Dialect, identifier, type Text } from "./dialect.js";
import type { Buffer, Kernel } from "./kernel.js";

/** The vector axis around a statement. `position`: its lanes run one after another, and this one is running. */
export interface Lane {
  readonly name: string;
  readonly size: number;
  readonly position?: string;
}

/** How a register buffer is kept: a variable per element, a vector variable per `width` elements, or an array. */
export type Layout = { readonly kind: "scalars" } | { readonly kind: "vectors"; readonly width: number } | { readonly kind: "array" };

export interface State {
  readonly kernel: Kernel;
  readonly d: Dialect;
  /** By name, each with its name as it is spelled. */
  readonly buffers: ReadonlyMap<string, Buffer>;
  /** Decided by use; a use that does not fit widens the layout, and printing starts again. */
  readonly layouts: Map<string, Layout>;
  readonly registers: Map<string, { readonly dtype: DType; readonly lanes: number; readonly size?: number }>;
  /** Lanes of each `let`. */
  readonly lets: Map<string, number>;
  /** Names from `letIndex` that differ from lane to lane, with their bounds. */
  readonly varying: Map<string, Dim>;
  out: string[];
  env: ReadonlyMap<string, Dim>;
  lane: Lane | undefined;
  /** Wide loads of this statement, by buffer and index; undefined where a load must stay where it is. */
  hoisted: Map<string, string> | undefined;
  /** The if statement of a select that `out` ends with: one more select of the same test joins it. */
  chosen: Chosen | undefined;
  temps: number;
  wide: boolean;
}
/** Where an if statement stands among lines: its first line, its `else`, and the line behind it. */
export interface Chosen {
  readonly out: string[];
  readonly test: string;
  readonly first: number;
  readonly middle: number;
  readonly end: number;
}

/** A register buffer needs another layout: print again. */
export class Relayout extends Error {}

export const fresh = (kernel: Kernel, d: Dialect, layouts: Map<string, Layout>): State => ({
  kernel,
  d,
  buffers: new Map(kernel.buffers.map((b) => [b.name, { ...b, name: identifier(b.name, d.reserved) }])),
  layouts,
  registers: new Map(),
  lets: new Map(),
  varying: new Map(),
  out: [],
  env: new Map(),
  lane: undefined,
  hoisted: new Map(),
  chosen: undefined,
  temps: 0,
  wide: false,
});

export function bufferOf(s: State, name: string): Buffer {
  const b = s.buffers.get(name);
  if (!b) throw new InternalError(`kernel ${s.kernel.name}: no buffer ${name}`);
  return b;
}
/** The spelling of a name. `name@lane` is the lane's own copy of a name that differs from lane to lane. */
export function spelled(s: State, name: string): string {
  const at = name.indexOf("@");
  if (at < 0) return identifier(name, s.d.reserved);
  return laneName(s, name.slice(0, at), name.slice(at + 1));
}
/** One lane's copy of a name. */
export const laneName = (s: State, name: string, position: string | number): string =>
  `${identifier(name, s.d.reserved)}${s.d.vectors === "native" ? `[${position}]` : `_${position}`}`;
/** An expression under the axes that are bound here. */
export const bound = (s: State, e: Dim): Dim => substitute(e, s.env);
export function indexText(s: State, e: Dim): string {
  if (hi(e) >= 2 ** 31 || lo(e) < -(2 ** 31)) s.wide = true;
  return s.d.index(e, (n) => spelled(s, n));
}

/** Coefficient of the vector axis; undefined where lanes are not evenly spaced, 0 where there is no vector. */
export function laneStride(s: State, e: Dim): number | undefined {
  if (!s.lane || s.lane.position !== undefined) return 0;
  if (s.varying.size) for (const n of variables(e).keys()) if (s.varying.has(n)) return undefined;
  return stride(e, s.lane.name);
}
/** The expression in one lane. */
export function inLane(s: State, e: Dim, l: number): Dim {
  if (!s.lane || s.lane.position !== undefined || typeof e === "number") return e;
  return substitute(e, new Map([[s.lane.name, l], ...ownCopies(s, l)]));
}
/** Names that differ from lane to lane, replaced by the lane's own. */
export const ownCopies = (s: State, position: string | number): [string, Dim][] =>
  [...s.varying].map(([n, v]) => [n, variable(`${n}@${position}`, lo(v), hi(v))]);

/** Runs with an axis replaced by a value. */
export function bind(s: State, name: string, to: Dim, run: () => void): void {
  const keep = s.env;
  s.env = new Map([...keep, [name, to]]);
  run();
  s.env = keep;
}
/** Runs with another vector axis (or none). */
export function within<T>(s: State, lane: Lane | undefined, run: () => T): T {
  const keep = s.lane;
  s.lane = lane;
  try {
    return run();
  } finally {
    s.lane = keep;
  }
}
/** Runs and returns what was printed instead of printing it. */
export function aside(s: State, run: () => void): string[] {
  const keep = s.out;
  s.out = [];
  run();
  const text = s.out;
  s.out = keep;
  return text;
}
/** Every lane of a value that may be one scalar. */
export const spread = (s: State, t: Text, lanes: number): string => (t.lanes === lanes ? t.text : s.d.splat(t.text, t.dtype, lanes));
