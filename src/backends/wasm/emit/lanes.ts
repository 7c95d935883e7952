/** Values of one lane and of four: what holds them, how lanes are put together and taken apart. Masks: a bool is 0 or 1 alone, and all bits or none in a lane. */
import { bytesOf, computeDType, type DType, dtypes, isFloat, isInt, isWide } from "../../../core/dtype.js";
import { type Code, f32, f32x4, f64, f64x2, i32, i32x4, i64, i64x2, onLane, op, shuffle } from "../asm/code.js";
import type { State, Val } from "./state.js";

/** Whether integers of this dtype have a sign. */
export const isSigned = (dtype: DType): boolean => dtypes[dtype].kind === "int";
/** The type of a scalar, and of a vector of lanes. */
export const scalarType = (dtype: DType): "i32" | "i64" | "f32" | "f64" =>
  dtype === "f64" ? "f64" : isFloat(dtype) ? "f32" : isWide(dtype) ? "i64" : "i32";
export const vectorType = (dtype: DType): "i32x4" | "i64x2" | "f32x4" | "f64x2" =>
  (({ i32: "i32x4", i64: "i64x2", f32: "f32x4", f64: "f64x2" }) as const)[scalarType(dtype)];
/** How many vectors four lanes take. */
export const partsOf = (dtype: DType): number => (bytesOf(computeDType(dtype)) === 8 ? 2 : 1);

/** A value of one lane, and of four. */
export const one = (dtype: DType, code: Code): Val => ({ dtype, lanes: 1, parts: [code] });
export const four = (dtype: DType, ...parts: readonly Code[]): Val => ({ dtype, lanes: 4, parts });
/** A number of a dtype. */
export function literal(value: number | bigint, dtype: DType): Val {
  const held = computeDType(dtype);
  const t = scalarType(held);
  const n = t === "i64" ? BigInt(value) : Number(value);
  const code =
    t === "i64"
      ? i64(n)
      : t === "f32"
        ? f32(Math.fround(Number(n)))
        : t === "f64"
          ? f64(Number(n))
          : i32(held === "bool" ? Number(n !== 0) : Number(n));
  return { dtype: held, lanes: 1, parts: [code], constant: t === "f32" ? Math.fround(Number(n)) : n };
}
/** The same constant in every lane. */
function constantVector(dtype: DType, n: number | bigint): Code {
  const t = scalarType(dtype);
  return t === "i64"
    ? i64x2(BigInt(n))
    : t === "f32"
      ? f32x4(Number(n))
      : t === "f64"
        ? f64x2(Number(n))
        : i32x4(dtype === "bool" ? -Number(n !== 0) : Number(n));
}
/** The value in all lanes. */
export function spread(s: State, v: Val): Val {
  if (v.lanes === 4) return v;
  const n = partsOf(v.dtype);
  if (v.constant !== undefined) return four(v.dtype, ...Array<Code>(n).fill(constantVector(v.dtype, v.constant)));
  if (v.spread && n === 1) return four(v.dtype, v.spread);
  const [x] = v.parts as [Code];
  const all = op(`${vectorType(v.dtype)}.splat`, v.dtype === "bool" ? op("i32.sub", i32(0), x) : x);
  return four(v.dtype, ...(n === 1 ? [all] : Array<Code>(n).fill(s.f.keep(all))));
}
/** Evaluated here, to be used more than once. */
export function keep(s: State, v: Val): Val {
  return v.parts.every((p) => p.simple)
    ? v
    : { dtype: v.dtype, lanes: v.lanes, parts: v.parts.map((p) => s.f.keep(p)), ...(v.constant !== undefined && { constant: v.constant }) };
}
/** One lane of a kept value. */
export function laneOf(v: Val, lane: number): Val {
  if (v.lanes === 1) return v;
  const per = 4 / v.parts.length;
  const x = onLane(`${vectorType(v.dtype)}.extract_lane`, lane % per, v.parts[Math.floor(lane / per)]!);
  return one(v.dtype, v.dtype === "bool" ? op("i32.and", x, i32(1)) : x);
}
/** Four scalars as lanes. */
export function pack(dtype: DType, xs: readonly Code[]): Val {
  const t = vectorType(dtype);
  const per = 4 / partsOf(dtype);
  const item = (x: Code): Code => (dtype === "bool" ? op("i32.sub", i32(0), x) : x);
  return four(
    dtype,
    ...Array.from(
      { length: partsOf(dtype) },
      (_, p) =>
        xs
          .slice(p * per, (p + 1) * per)
          .reduce<Code | undefined>((v, x, i) => (v ? onLane(`${t}.replace_lane`, i, v, item(x)) : op(`${t}.splat`, item(x))), undefined)!,
    ),
  );
}
/** Lane by lane. */
export function each(s: State, dtype: DType, args: readonly Val[], f: (args: readonly Val[]) => Val): Val {
  const kept = args.map((a) => keep(s, a));
  return keep(
    s,
    pack(
      computeDType(dtype),
      [0, 1, 2, 3].map((l) => s.f.keep(f(kept.map((a) => laneOf(a, l))).parts[0]!)),
    ),
  );
}

/** Small integers wrap at every operation. */
export function wrap(code: Code, dtype: DType, lanes: 1 | 4): Code {
  if (bytesOf(dtype) >= 4 || !isInt(dtype)) return code;
  const bits = 8 * bytesOf(dtype);
  if (!isSigned(dtype)) return lanes === 1 ? op("i32.and", code, i32(2 ** bits - 1)) : op("v128.and", code, i32x4(2 ** bits - 1));
  if (lanes === 1) return op(`i32.extend${bits}_s`, code);
  return op("i32x4.shr_s", op("i32x4.shl", code, i32(32 - bits)), i32(32 - bits));
}

/** The mask of two vectors of 64-bit lanes as one of 32-bit lanes. */
export const narrowMask = ([a, b]: readonly Code[]): Code => shuffle(a!, b!, [0, 2, 4, 6]);
/** A mask of 32-bit lanes as wide as the lanes of a dtype. */
export function wideMask(s: State, mask: Code, dtype: DType): readonly Code[] {
  if (partsOf(dtype) === 1) return [mask];
  const m = s.f.keep(mask);
  return [op("i64x2.extend_low_i32x4_s", m), op("i64x2.extend_high_i32x4_s", m)];
}
