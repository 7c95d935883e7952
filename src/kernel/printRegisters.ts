/** Registers are buffers with constant indices after unrolling: the printer makes variables of them, or an array where it must. */

import { computeDType } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { type Dim, sub, variable } from "../core/expr.js";
import type { Text } from "./dialect.js";
import type { Buffer } from "./kernel.js";
import { indexText, inLane, type Layout, laneStride, Relayout, type State } from "./printState.js";

/** Where a register is: a variable, one lane of a vector variable, or an element of an array (several for a vector). */
export type Place =
  | { readonly kind: "variable"; readonly name: string; readonly lanes: number }
  | { readonly kind: "lane"; readonly name: string; readonly width: number; readonly at: number | string }
  | { readonly kind: "element"; readonly buffer: Buffer; readonly index: string; readonly lanes: number };

/** The place of register `index` (already bound, lanes neighbours if any) of `b`; `l` picks one lane where lanes are unrolled. */
export function place(s: State, b: Buffer, index: Dim, l?: number): Place {
  const e = l === undefined ? index : inLane(s, index, l);
  const layout = s.layouts.get(b.name);
  if (s.lane && l === undefined && s.d.vectors === "native") {
    const { name, size, position } = s.lane;
    const first = position === undefined ? inLane(s, e, 0) : sub(e, variable(name, 0, size - 1));
    const across = position === undefined ? laneStride(s, e) === 1 : e !== first && typeof first === "number";
    if (across && layout?.kind !== "array" && typeof first === "number" && first % size === 0 && first >= 0) {
      if (layout === undefined) s.layouts.set(b.name, { kind: "vectors", width: size });
      else if (layout.kind === "scalars") relayout(s, b, { kind: "vectors", width: size });
      else if (layout.width !== size) relayout(s, b, { kind: "array" });
      const whole = note(s, b, first, size);
      return position === undefined
        ? { kind: "variable", name: whole, lanes: size }
        : { kind: "lane", name: whole, width: size, at: position };
    }
    if (position === undefined && laneStride(s, e) !== 0) {
      if (layout?.kind !== "array") relayout(s, b, { kind: "array" });
      if (laneStride(s, e) !== 1)
        throw new InternalError(`kernel ${s.kernel.name}: register ${b.name} is read with lanes that are not neighbours`);
      return { kind: "element", buffer: arrayOf(s, b), index: indexText(s, first), lanes: size };
    }
  }
  if (typeof e !== "number" || layout?.kind === "array") {
    if (layout?.kind !== "array") relayout(s, b, { kind: "array" });
    return { kind: "element", buffer: arrayOf(s, b), index: indexText(s, e), lanes: 1 };
  }
  if (layout?.kind === "vectors") {
    const at = e % layout.width;
    return { kind: "lane", name: note(s, b, e - at, layout.width), width: layout.width, at };
  }
  if (layout === undefined) s.layouts.set(b.name, { kind: "scalars" });
  return { kind: "variable", name: note(s, b, e, 1), lanes: 1 };
}

/** What a place holds. */
export function readPlace(s: State, b: Buffer, p: Place): Text {
  const dtype = computeDType(b.dtype);
  switch (p.kind) {
    case "variable":
      return { text: p.name, lanes: p.lanes, dtype };
    case "lane":
      return { text: s.d.lane(p.name, p.at, dtype, p.width), lanes: 1, dtype };
    case "element":
      return { text: s.d.load(p.buffer, p.index, p.lanes), lanes: p.lanes, dtype };
    default:
      return p satisfies never;
  }
}
/** The statement that puts a value (of as many lanes as the place has) into a place. */
export function writePlace(s: State, b: Buffer, p: Place, value: string): string {
  const lanes = p.kind === "lane" ? 1 : p.lanes;
  const held = s.d.hold(value, b.dtype, lanes);
  switch (p.kind) {
    case "variable":
      return s.d.assign(p.name, held);
    case "lane":
      return s.d.assign(p.name, s.d.insert(p.name, `${p.at}`, held, computeDType(b.dtype), p.width));
    case "element":
      return s.d.store(p.buffer, p.index, [held], p.lanes, false);
    default:
      return p satisfies never;
  }
}
/** The variables of a matrix unit's fragment. */
export function fragment(s: State, b: Buffer, index: Dim, count: number): string[] {
  if (typeof index !== "number") throw new InternalError(`kernel ${s.kernel.name}: fragment ${b.name} has no constant index`);
  return Array.from({ length: count }, (_, i) => note(s, b, index + i, 1));
}

function relayout(s: State, b: Buffer, to: Layout): never {
  s.layouts.set(b.name, to);
  throw new Relayout();
}
function note(s: State, b: Buffer, index: number, lanes: number): string {
  const name = `${b.name}_${index}`;
  if (!s.registers.has(name)) s.registers.set(name, { dtype: computeDType(b.dtype), lanes });
  return name;
}
/** An array keeps what a register holds, so half floats lie there as f32. */
function arrayOf(s: State, b: Buffer): Buffer {
  if (typeof b.size !== "number") throw new InternalError(`kernel ${s.kernel.name}: registers ${b.name} have no constant size`);
  if (!s.registers.has(b.name)) s.registers.set(b.name, { dtype: computeDType(b.dtype), lanes: 1, size: b.size });
  return { ...b, dtype: computeDType(b.dtype) };
}
