/** Loads and stores of elements, and registers: locals where their indices are constant, memory where they are not. */
import { bytesOf, computeDType, type DType, isHalf } from "../../../core/dtype.js";
import { one as single } from "../../../core/expr/node.js";
import { type Atom, add, type Dim, hi, mul, sub, type Term, variables } from "../../../core/expr.js";
import type { Buffer } from "../../../kernel/kernel.js";
import { access, accessLane, type Code, i32, i32x4, onLane, op } from "../asm/code.js";
import { narrowHalf, roundHalf, widenHalf } from "./convert.js";
import { constantPart, integer } from "./integers.js";
import { four, isSigned, keep, laneOf, one, pack, scalarType, spread, vectorType } from "./lanes.js";
import { computedBytes, fail, inLane, type Layout, laneStride, Relayout, type Room, type State, type Val, width } from "./state.js";

/** An address: what is computed, and a constant beyond it. */
interface Address {
  readonly code: Code;
  readonly offset: number;
}
export function addressOf(s: State, r: Room, index: Dim): Address {
  const size = bytesOf(r.buffer.dtype);
  const fixed = constantPart(index);
  const offset = r.offset + fixed * size;
  if (offset >= 2 ** 31) return { code: pointer(s, s.frames.length - 1, r, mul(index, size)), offset: r.offset };
  return { code: pointer(s, s.frames.length - 1, r, mul(sub(index, fixed), size)), offset };
}
/** An address inside of so many loops: what the innermost does not change is computed before it. */
function pointer(s: State, depth: number, r: Room, bytes: Dim): Code {
  const base = s.f.read(r.base);
  const plus = (from: Code, e: Dim): Code => (e === 0 ? from : op("i32.add", from, integer(s, e)));
  const frame = s.frames[depth];
  if (!frame || typeof bytes === "number") return plus(base, bytes);
  const moves = (t: Term): boolean => [...variables(asDim(t)).keys()].some((n) => frame.inside.has(n)) || !harmless(t.atom);
  const moving = bytes.terms.filter(moves).reduce<Dim>((sum, t) => add(sum, asDim(t)), 0);
  const still = sub(bytes, moving);
  if (typeof still === "number") return plus(base, bytes);
  const key = `${r.base} ${still.key}`;
  let local = frame.known.get(key);
  if (local === undefined) {
    const own = s.f.local("i32");
    frame.known.set(key, own);
    frame.before.push(...s.f.aside(() => s.f.write(own, pointer(s, depth - 1, r, still))));
    local = own;
  }
  return plus(s.f.read(local), moving);
}
const asDim = (t: Term): Dim => mul(single(t.atom), t.by);
/** Whether an atom may be computed where its loop does not run: it divides by no size that could be 0. */
function harmless(a: Atom): boolean {
  const inside = (d: Dim): boolean => typeof d === "number" || d.terms.every((t) => harmless(t.atom));
  switch (a.kind) {
    case "var":
      return true;
    case "prod":
      return a.factors.every(harmless);
    case "div":
    case "mod":
      return typeof a.b === "number" && inside(a.a);
    default:
      return inside(a.a) && inside(a.b);
  }
}
const bits = (dtype: DType): number => 8 * bytesOf(dtype);

/** One element. */
export function loadOne(s: State, r: Room, index: Dim): Val {
  const { dtype } = r.buffer;
  const { code, offset } = addressOf(s, r, index);
  const held = computeDType(dtype);
  if (isHalf(dtype)) return widenHalf(s, one("u16", access("i32.load16_u", offset, code)), dtype);
  if (dtype === "bool") return one("bool", op("i32.ne", access("i32.load8_u", offset, code), i32(0)));
  if (bytesOf(dtype) < 4) return one(held, access(`i32.load${bits(dtype)}_${isSigned(dtype) ? "s" : "u"}`, offset, code));
  const x = one(held, access(`${scalarType(dtype)}.load`, offset, code));
  return bytesOf(dtype) === 4 ? { ...x, spread: access("v128.load32_splat", offset, code) } : x;
}
/** Four neighbours. */
export function loadFour(s: State, r: Room, index: Dim): Val {
  const { dtype } = r.buffer;
  const { code, offset } = addressOf(s, r, index);
  if (bytesOf(dtype) === 4) return four(dtype, access("v128.load", offset, code));
  if (bytesOf(dtype) === 8) {
    const at = s.f.keep(code);
    return four(dtype, access("v128.load", offset, at), access("v128.load", offset + 16, at));
  }
  const sign = isSigned(dtype) ? "s" : "u";
  const halves =
    bytesOf(dtype) === 2
      ? access("v128.load64_zero", offset, code)
      : op(`i16x8.extend_low_i8x16_${sign}`, access("v128.load32_zero", offset, code));
  const words = op(`i32x4.extend_low_i16x8_${sign}`, halves);
  if (isHalf(dtype)) return widenHalf(s, four("u16", words), dtype);
  return dtype === "bool" ? four("bool", op("i32x4.ne", words, i32x4(0))) : four(dtype, words);
}
/** Elements anywhere, one for each lane. */
export function gather(_s: State, dtype: DType, load: (lane: number) => Val): Val {
  return pack(
    computeDType(dtype),
    [0, 1, 2, 3].map((l) => load(l).parts[0]!),
  );
}

export function storeOne(s: State, r: Room, index: Dim, v: Val): void {
  const { dtype } = r.buffer;
  const { code, offset } = addressOf(s, r, index);
  const x = isHalf(dtype) ? narrowHalf(s, v, dtype).parts[0]! : v.parts[0]!;
  const small = bytesOf(dtype) < 4;
  s.f.push(access(small ? `i32.store${bits(dtype)}` : `${scalarType(dtype)}.store`, offset, code, x));
}
/** What lies in memory of four lanes: bits of halves, 0 and 1 of masks. */
function stored(s: State, dtype: DType, v: Val): Val {
  if (isHalf(dtype)) return narrowHalf(s, v, dtype);
  return dtype === "bool" ? four("u8", op("v128.and", v.parts[0]!, i32x4(1))) : v;
}
export function storeFour(s: State, r: Room, index: Dim, v: Val): void {
  const { dtype } = r.buffer;
  const { parts } = stored(s, dtype, v);
  const { code, offset } = addressOf(s, r, index);
  const [x, y] = parts as [Code, Code];
  switch (bytesOf(dtype)) {
    case 4:
      s.f.push(access("v128.store", offset, code, x));
      return;
    case 8: {
      const at = s.f.keep(code);
      const [a, b] = [s.f.keep(x), s.f.keep(y)];
      s.f.push(access("v128.store", offset, at, a), access("v128.store", offset + 16, at, b));
      return;
    }
    default: {
      // Saturation would change signed values: only their low bits go.
      const low = s.f.keep(op("v128.and", x, i32x4(2 ** bits(dtype) - 1)));
      const words = op("i16x8.narrow_i32x4_u", low, low);
      if (bytesOf(dtype) === 2) s.f.push(accessLane("v128.store64_lane", offset, 0, code, words));
      else {
        const w = s.f.keep(words);
        s.f.push(accessLane("v128.store32_lane", offset, 0, code, op("i8x16.narrow_i16x8_u", w, w)));
      }
    }
  }
}
/** Each lane to a place of its own. */
export function scatter(s: State, r: Room, at: (lane: number) => Dim, v: Val): void {
  const { dtype } = r.buffer;
  const kept = keep(s, stored(s, dtype, v));
  for (let l = 0; l < width; l++) {
    const { code, offset } = addressOf(s, r, at(l));
    const per = 4 / kept.parts.length;
    if (per === 2) s.f.push(accessLane("v128.store64_lane", offset, l % 2, code, kept.parts[Math.floor(l / 2)]!));
    else s.f.push(accessLane(`v128.store${bits(dtype)}_lane`, offset, (l * 4) / bytesOf(dtype), code, kept.parts[0]!));
  }
}

/** Where a register is: a local, one lane of a vector in locals, all lanes of one, or an element in memory (several for a vector). */
type Place =
  | { readonly kind: "local"; readonly locals: readonly number[]; readonly lanes: 1 | 4 }
  | { readonly kind: "lane"; readonly locals: readonly number[]; readonly at: number }
  | { readonly kind: "splat"; readonly local: number }
  | { readonly kind: "element"; readonly room: Room; readonly index: Dim; readonly lanes: 1 | 4 };

/** The place of a register, by an index that is bound. `loaded`: what is written there comes straight from memory. */
export function place(s: State, b: Buffer, index: Dim, loaded = false): Place {
  const layout = s.layouts.get(b.name);
  const step = laneStride(s, index);
  if (step !== 0) {
    const first = inLane(s, index, 0);
    if (step !== 1) fail(s, `register ${b.name} is read with lanes that are not neighbours`);
    if (typeof first === "number" && first % width === 0 && first >= 0 && layout !== "array") {
      if (layout !== "vectors") decide(s, b, "vectors", layout);
      return { kind: "local", locals: localsOf(s, b, first, 4), lanes: 4 };
    }
    if (layout !== "array") relayout(s, b, "array");
    return { kind: "element", room: roomInScratch(s, b), index: first, lanes: 4 };
  }
  if (typeof index !== "number" || layout === "array") {
    if (layout !== "array") relayout(s, b, "array");
    return { kind: "element", room: roomInScratch(s, b), index, lanes: 1 };
  }
  if (layout === "splats") return { kind: "splat", local: localsOf(s, b, index, 4)[0]! };
  if (layout === "vectors") return { kind: "lane", locals: localsOf(s, b, index - (index % width), 4), at: index % width };
  if (layout === undefined) s.layouts.set(b.name, loaded && computeDType(b.dtype) === "f32" ? "splats" : "scalars");
  return loaded && layout === undefined ? place(s, b, index) : { kind: "local", locals: localsOf(s, b, index, 1), lanes: 1 };
}
function decide(s: State, b: Buffer, to: Layout, now: Layout | undefined): void {
  if (now === undefined) s.layouts.set(b.name, to);
  else relayout(s, b, to);
}
function relayout(s: State, b: Buffer, to: Layout): never {
  s.layouts.set(b.name, to);
  throw new Relayout();
}
function localsOf(s: State, b: Buffer, index: number, lanes: 1 | 4): number[] {
  const dtype = computeDType(b.dtype);
  const count = lanes === 4 && computedBytes(dtype) === 8 ? 2 : 1;
  return Array.from({ length: count }, (_, i) => {
    const key = `${b.name} ${index} ${i}`;
    let local = s.registers.get(key);
    if (local === undefined) s.registers.set(key, (local = s.f.local(lanes === 4 ? "v128" : scalarType(dtype))));
    return local;
  });
}
/** An array keeps what a register holds, so half floats lie there as f32. */
function roomInScratch(s: State, b: Buffer): Room {
  const known = s.rooms.get(b.name);
  if (known) return known;
  if (typeof b.size !== "number") return fail(s, `registers ${b.name} have no constant size`);
  const dtype = computeDType(b.dtype);
  const room: Room = { buffer: { ...b, dtype }, base: s.scratch, offset: s.reserved };
  s.reserved += Math.ceil((hi(b.size) * bytesOf(dtype)) / 64) * 64;
  s.rooms.set(b.name, room);
  return room;
}

export function readPlace(s: State, b: Buffer, p: Place): Val {
  const dtype = computeDType(b.dtype);
  switch (p.kind) {
    case "local":
      return { dtype, lanes: p.lanes, parts: p.locals.map((l) => s.f.read(l)) };
    case "lane":
      return laneOf({ dtype, lanes: 4, parts: p.locals.map((l) => s.f.read(l)) }, p.at);
    case "splat":
      return inAllLanes(dtype, s.f.read(p.local));
    case "element":
      return p.lanes === 4 ? loadFour(s, p.room, p.index) : loadOne(s, p.room, p.index);
    default:
      return p satisfies never;
  }
}
/** A scalar that stands in every lane of a vector. */
export const inAllLanes = (dtype: DType, vector: Code): Val => ({ ...one(dtype, onLane("f32x4.extract_lane", 0, vector)), spread: vector });
/** Puts a value into a place; a place of four lanes takes a scalar into each. */
export function writePlace(s: State, b: Buffer, p: Place, value: Val): void {
  const dtype = computeDType(b.dtype);
  const lanes = p.kind === "lane" || p.kind === "splat" ? 1 : p.lanes;
  const fitting = lanes === 4 ? spread(s, value) : value.lanes === 4 ? laneOf(keep(s, value), 3) : value;
  const held = isHalf(b.dtype) ? roundHalf(s, fitting, b.dtype) : fitting;
  switch (p.kind) {
    case "local": {
      const kept = p.locals.length > 1 ? keep(s, held) : held;
      for (const [i, l] of p.locals.entries()) s.f.write(l, kept.parts[i]!);
      return;
    }
    case "lane": {
      const per = 4 / p.locals.length;
      const local = p.locals[Math.floor(p.at / per)]!;
      const x = dtype === "bool" ? op("i32.sub", i32(0), held.parts[0]!) : held.parts[0]!;
      s.f.write(local, onLane(`${vectorType(dtype)}.replace_lane`, p.at % per, s.f.read(local), x));
      return;
    }
    case "splat":
      s.f.write(p.local, spread(s, held).parts[0]!);
      return;
    case "element":
      if (p.lanes === 4) storeFour(s, p.room, p.index, held);
      else storeOne(s, p.room, p.index, held);
      return;
    default:
      p satisfies never;
  }
}
