/** From one dtype to another: casts, bits, and the storage of half floats. */
import { bytesOf, type DType, isFloat, isHalf, isInt, isWide } from "../../../core/dtype.js";
import { UnsupportedError } from "../../../core/errors.js";
import { branch, type Code, choose, f32x4, f64, giveBack, i32, i32x4, i64, onLane, op, select, shuffle } from "../asm/code.js";
import { each, four, isSigned, literal, one, scalarType, spread, vectorType, wrap } from "./lanes.js";
import { compare } from "./scalar.js";
import type { State, Val } from "./state.js";

/** A value as another dtype holds it: rounded, wrapped or tested for zero. */
export function cast(s: State, a: Val, to: DType): Val {
  if (isHalf(to)) return roundHalf(s, cast(s, a, "f32"), to);
  const from = a.dtype;
  if (from === to) return a;
  if (a.constant !== undefined && a.lanes === 1 && to !== "bool" && !isFloat(from) && !isFloat(to)) {
    const n = BigInt.asIntN(64, BigInt(a.constant));
    const kept = isWide(to) ? n : Number(isSigned(to) ? BigInt.asIntN(8 * bytesOf(to), n) : BigInt.asUintN(8 * bytesOf(to), n));
    return literal(to === "u64" ? BigInt.asUintN(64, n) : kept, to);
  }
  const scalar = a.lanes === 1;
  const [x] = a.parts as [Code];
  if (to === "bool") return compare(s, "ne", a, a.lanes === 1 ? literal(0, from) : spread(s, literal(0, from)));
  const [f, t] = [scalarType(from), scalarType(to)];
  if (f === "i32" && t === "i32") {
    if (scalar || from !== "bool") return { dtype: to, lanes: a.lanes, parts: [fitsIn(from, to) ? x : wrap(x, to, a.lanes)] };
    return four(to, op("v128.and", x, i32x4(1)));
  }
  if (from === "bool" && !scalar) return cast(s, four("i32", op("v128.and", x, i32x4(1))), to);
  const sign = from === "bool" || !isSigned(from) ? "u" : "s";
  if (scalar) {
    switch (`${f} ${t}`) {
      case "f32 f64":
        return one(to, op("f64.promote_f32", x));
      case "f64 f32":
        return one(to, op("f32.demote_f64", x));
      case "i32 i64":
        return one(to, op(`i64.extend_i32_${sign}`, x));
      case "i64 i32":
        return one(to, wrap(op("i32.wrap_i64", x), to, 1));
      case "i64 i64":
        return one(to, x);
      default:
    }
    if (isFloat(to)) return one(to, op(`${t}.convert_${f}_${sign}`, x));
    const whole = wrapFloat(s, f === "f32" ? op("f64.promote_f32", x) : x);
    return one(to, t === "i64" ? whole : wrap(op("i32.wrap_i64", whole), to, 1));
  }
  const [, y] = a.parts;
  switch (`${f} ${t}`) {
    case "f32 f64": {
      const v = s.f.keep(x);
      return four(to, op("f64x2.promote_low_f32x4", v), op("f64x2.promote_low_f32x4", shuffle(v, v, [2, 3, 2, 3])));
    }
    case "f64 f32":
      return four(to, shuffle(op("f32x4.demote_f64x2_zero", x), op("f32x4.demote_f64x2_zero", y!), [0, 1, 4, 5]));
    case "i32 i64": {
      const v = s.f.keep(x);
      return four(to, op(`i64x2.extend_low_i32x4_${sign}`, v), op(`i64x2.extend_high_i32x4_${sign}`, v));
    }
    case "i64 i32":
      return four(to, wrap(shuffle(x, y!, [0, 2, 4, 6]), to, 4));
    case "i64 i64":
      return four(to, x, y!);
    case "i32 f32":
      return four(to, op(`f32x4.convert_i32x4_${sign}`, x));
    case "i32 f64": {
      const v = s.f.keep(x);
      const convert = (z: Code): Code => op(`f64x2.convert_low_i32x4_${sign}`, z);
      return four(to, convert(v), convert(shuffle(v, v, [2, 3, 2, 3])));
    }
    case "f32 i32": {
      // Within 2^31 one instruction; what lies beyond wraps, lane by lane.
      const v = s.f.keep(x);
      const inside = op("f32x4.lt", op("f32x4.abs", v), f32x4(2 ** 31));
      const slow = s.f.yielding(() => each(s, to, [four("f32", v)], ([lane]) => cast(s, lane!, to)).parts[0]!);
      const fast = wrap(op("i32x4.trunc_sat_f32x4_s", v), to, 4);
      return four(to, s.f.keep(choose(op("i32x4.all_true", inside), [fast], slow)));
    }
    default:
      return each(s, to, [a], ([lane]) => cast(s, lane!, to));
  }
}
const fitsIn = (from: DType, to: DType): boolean =>
  from === "bool" || bytesOf(to) >= 4 || (bytesOf(from) < bytesOf(to) && (!isSigned(from) || isSigned(to))) || from === to;

/** The truncated value modulo 2^64; NaN and infinities give 0. */
function wrapFloat(s: State, x: Code): Code {
  return s.f.module.call("wrap_f64", { takes: ["f64"], gives: "i64" }, [x], (f) => {
    const a = f.read(0);
    f.push(branch(op("f64.lt", op("f64.abs", a), f64(2 ** 63)), [giveBack(op("i64.trunc_sat_f64_s", a))]));
    const bits = f.keep(op("i64.reinterpret_f64", a));
    const exponent = f.keep(op("i64.and", op("i64.shr_u", bits, i64(52)), i64(0x7ff)));
    // From 2^63 on the 53 bits are shifted left by 11 and more; from 64 on nothing is left.
    const mantissa = op("i64.or", op("i64.and", bits, i64((1n << 52n) - 1n)), i64(1n << 52n));
    const by = f.keep(op("i64.sub", exponent, i64(1075)));
    const magnitude = f.keep(select(op("i64.gt_u", by, i64(63)), i64(0), op("i64.shl", mantissa, by)));
    return select(op("i64.lt_s", bits, i64(0)), op("i64.sub", i64(0), magnitude), magnitude);
  });
}

/** The bits of a value as another dtype of the same size. */
export function bitcast(s: State, a: Val, from: DType, to: DType): Val {
  if (from === to) return a;
  if (isHalf(from)) return bitcast(s, narrowHalf(s, a, from), "u16", to);
  if (isHalf(to)) return widenHalf(s, bitcast(s, a, from, "u16"), to);
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (a.lanes === 4) return four(to, ...a.parts.map((p) => (isInt(from) && isInt(to) ? wrap(p, to, 4) : p)));
  const [f, t] = [scalarType(from), scalarType(to)];
  return one(to, f === t ? wrap(a.parts[0]!, to, 1) : op(`${t}.reinterpret_${f}`, a.parts[0]!));
}

/** Four lanes of f32 or their bits, whatever the number of lanes: one lane is done as four. */
function onVector(s: State, a: Val, dtype: DType, f: (x: Code) => Code): Val {
  if (a.lanes === 4) return four(dtype, s.f.keep(f(s.f.keep(a.parts[0]!))));
  const made = f(s.f.keep(op(`${vectorType(a.dtype)}.splat`, a.parts[0]!)));
  return one(dtype, onLane(`${vectorType(dtype)}.extract_lane`, 0, made));
}
/** An f32 rounded to what a half float holds. */
export const roundHalf = (s: State, a: Val, to: "f16" | "bf16"): Val => widenHalf(s, narrowHalf(s, a, to), to);

/** The bits of the nearest half float, as u16: to nearest, half to even. */
export function narrowHalf(s: State, a: Val, to: "f16" | "bf16"): Val {
  const f = s.f;
  const keep = (c: Code): Code => f.keep(c);
  const odd = (bits: Code, at: number): Code => op("v128.and", op("i32x4.shr_u", bits, i32(at)), i32x4(1));
  return onVector(s, a, "u16", (x) => {
    const nan = op("f32x4.ne", x, x);
    if (to === "bf16") {
      const rounded = op("i32x4.shr_u", op("i32x4.add", op("i32x4.add", x, i32x4(0x7fff)), odd(x, 16)), i32(16));
      return op("v128.bitselect", op("v128.or", op("i32x4.shr_u", x, i32(16)), i32x4(0x40)), rounded, nan);
    }
    const m = keep(op("v128.and", x, i32x4(0x7fffffff)));
    const sign = op("v128.and", op("i32x4.shr_u", x, i32(16)), i32x4(0x8000));
    const normal = op(
      "i32x4.shr_u",
      op("i32x4.sub", op("i32x4.add", op("i32x4.add", m, i32x4(0xfff)), odd(m, 13)), i32x4(0x38000000)),
      i32(13),
    );
    // Below 2^-14, adding 0.5 leaves steps of 2^-24 in the mantissa.
    const small = op("i32x4.sub", op("f32x4.add", m, f32x4(0.5)), i32x4(0x3f000000));
    const large = op("v128.bitselect", normal, i32x4(0x7c00), op("i32x4.lt_u", m, i32x4(0x477ff000)));
    const finite = op("v128.bitselect", small, large, op("i32x4.lt_u", m, i32x4(0x38800000)));
    const quiet = op("v128.or", i32x4(0x7e00), op("v128.and", op("i32x4.shr_u", m, i32(13)), i32x4(0x1ff)));
    return op("v128.or", sign, op("v128.bitselect", quiet, finite, nan));
  });
}
/** The f32 of a half float's bits. */
export function widenHalf(s: State, a: Val, from: "f16" | "bf16"): Val {
  if (from === "bf16")
    return a.lanes === 1
      ? one("f32", op("f32.reinterpret_i32", op("i32.shl", a.parts[0]!, i32(16))))
      : four("f32", op("i32x4.shl", a.parts[0]!, i32(16)));
  // The exponent is 112 smaller in f32; a multiplication puts it right, for subnormals too.
  return onVector(s, a, "f32", (w) => {
    const m = s.f.keep(op("i32x4.shl", op("v128.and", w, i32x4(0x7fff)), i32(13)));
    const usual = op("f32x4.mul", m, f32x4(2 ** 112));
    const special = op("v128.or", m, i32x4(0x7f800000));
    const magnitude = op("v128.bitselect", usual, special, op("i32x4.lt_u", m, i32x4(0x0f800000)));
    return op("v128.or", magnitude, op("i32x4.shl", op("v128.and", w, i32x4(0x8000)), i32(16)));
  });
}
