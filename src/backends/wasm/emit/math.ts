/**
 * Transcendental functions. f32: polynomials on four lanes, within 2 ulp, with or without fused multiplications. What has none, and
 * all of f64, calls the engine's own functions one value at a time.
 */
import type { DType } from "../../../core/dtype.js";
import { cosTail, erfLarge, erfSmall, exp2Tail, expTail, logTail, sinTail, tanhTail } from "../../../kernel/polynomials.js";
import type { ScalarOp } from "../../../ops/scalar.js";
import { branch, type Code, f32x4, f64, f64x2, i32, i32x4, onLane, op, select, shuffle } from "../asm/code.js";
import { engineFunctions } from "../engine.js";
import { special } from "./special.js";
import type { State } from "./state.js";

/** Adding it leaves a whole number n in the low bits, as n + 254: twice the bias of an exponent, for a scale in two steps. */
const magic = 12582912 + 254;

/** An operation on four f32 lanes, or undefined where there is no polynomial for it. */
export function vectorMath(s: State, name: ScalarOp, x: Code): Code | undefined {
  const m = lanesMath(s);
  switch (name) {
    case "exp":
    case "expnear":
      return m.exp(x);
    case "exp2":
    case "exp2near":
      return m.exp2(x);
    case "log":
    case "log2":
      return m.log(x, name);
    case "tanh":
      return m.tanh(x);
    case "erf":
      return m.erf(x);
    case "sin":
    case "cos":
      return m.wave(x, name);
    default:
      return undefined;
  }
}

interface LanesMath {
  exp(x: Code): Code;
  exp2(x: Code): Code;
  log(x: Code, name: "log" | "log2"): Code;
  tanh(x: Code): Code;
  erf(x: Code): Code;
  wave(x: Code, name: "sin" | "cos"): Code;
}

function lanesMath(s: State): LanesMath {
  const f = s.f;
  const keep = (c: Code): Code => f.keep(c);
  const c = (n: number): Code => f32x4(n);
  const add = (a: Code, b: Code): Code => op("f32x4.add", a, b);
  const sub = (a: Code, b: Code): Code => op("f32x4.sub", a, b);
  const mul = (a: Code, b: Code): Code => op("f32x4.mul", a, b);
  const fma = (a: Code, b: Code, d: Code): Code => (s.features.relaxed ? op("f32x4.relaxed_madd", a, b, d) : add(mul(a, b), d));
  const pick = (test: Code, a: Code, b: Code): Code => op("v128.bitselect", a, b, test);
  const chain = (x: Code, coefficients: readonly number[]): Code =>
    coefficients.slice(0, -1).reduceRight<Code>((p, k) => fma(p, x, c(k)), c(coefficients.at(-1)!));
  // A value beyond the range where results change; a NaN passes both comparisons.
  const clip = (x: Code, low: number, high: number): Code => op("f32x4.pmin", op("f32x4.pmax", x, c(low)), c(high));
  const signOf = (x: Code, sign: Code): Code => pick(i32x4(0x7fffffff), x, sign);
  // x * 2^n for |n| < 254, where t is n + magic: in two steps, 2^floor(n/2) and the rest, so that subnormal results round once more at most.
  const scale = (x: Code, t: Code): Code => {
    const half = keep(op("v128.and", op("i32x4.shl", t, i32(22)), i32x4(0xff800000 | 0)));
    return mul(mul(x, half), op("i32x4.sub", op("i32x4.shl", t, i32(23)), half));
  };
  const exp = (x: Code): Code => {
    const a = keep(clip(x, -104, 89));
    const t = keep(fma(a, c(Math.LOG2E), c(magic)));
    const n = keep(sub(t, c(magic)));
    const r = keep(fma(n, c(2.1219444e-4), fma(n, c(-0.693359375), a)));
    return scale(chain(r, [1, 1, ...expTail]), t);
  };
  return {
    exp,
    exp2(x) {
      const a = keep(clip(x, -150, 128));
      const t = keep(add(a, c(magic)));
      const r = keep(sub(a, sub(t, c(magic))));
      return scale(chain(r, [1, ...exp2Tail]), t);
    },
    // x = 2^k (1 + f) with 1 + f in [0.707, 1.414); s = f / (2 + f).
    log(x, name) {
      const a = keep(x);
      const tiny = keep(op("f32x4.lt", a, c(2 ** -126)));
      const u = keep(op("i32x4.sub", pick(tiny, mul(a, c(2 ** 25)), a), i32x4(0x3f3504f3)));
      const k = op("i32x4.sub", op("i32x4.shr_s", u, i32(23)), op("v128.and", tiny, i32x4(25)));
      const y = keep(sub(op("i32x4.add", op("v128.and", u, i32x4(0x7fffff)), i32x4(0x3f3504f3)), c(1)));
      const q = keep(op("f32x4.div", y, add(y, c(2))));
      const z = keep(mul(q, q));
      const e = keep(op("f32x4.convert_i32x4_s", k));
      const h = keep(mul(mul(y, y), c(0.5)));
      const t = keep(mul(q, fma(z, chain(z, logTail), h)));
      let r: Code;
      if (name === "log") r = fma(e, c(0.693359375), sub(y, sub(h, fma(e, c(-2.1219444e-4), t))));
      else {
        // The leading bits of y - h times log2(e) are exact; what is left is small.
        const high = keep(op("v128.and", sub(y, h), i32x4(0xfffff000 | 0)));
        const low = keep(add(sub(sub(y, high), h), t));
        r = fma(high, c(1.4428710938), e);
        r = add(r, add(mul(add(low, high), c(-1.7605285393e-4)), mul(low, c(1.4428710938))));
      }
      r = pick(op("f32x4.lt", a, c(Infinity)), r, a);
      r = pick(op("f32x4.eq", a, c(0)), c(-Infinity), r);
      return pick(op("f32x4.lt", a, c(0)), c(Number.NaN), r);
    },
    tanh(x) {
      const a = keep(x);
      const m = keep(clip(op("f32x4.abs", a), 0, 9.1));
      const z = keep(mul(a, a));
      const e = keep(exp(keep(add(m, m))));
      const big = sub(c(1), op("f32x4.div", c(2), add(e, c(1))));
      const small = fma(mul(a, z), chain(z, tanhTail), a);
      return pick(op("f32x4.lt", m, c(0.625)), small, signOf(big, a));
    },
    erf(x) {
      const a = keep(x);
      const m = keep(clip(op("f32x4.abs", a), 0, 4));
      const z = keep(mul(m, m));
      const big = sub(c(1), exp(keep(chain(m, erfLarge))));
      const small = fma(a, chain(z, erfSmall), a);
      return pick(op("f32x4.lt", m, c(0.95)), small, signOf(big, a));
    },
    // Reduced by pi/2 in 64 bits, exact enough up to 2^20; the rare larger argument goes to the engine's function.
    wave(x, name) {
      return f.module.call(`${name}_lanes`, { takes: ["v128"], gives: "v128" }, [x], (g) => {
        const inner = { ...s, f: g };
        return waves(inner, name);
      });
    },
  };
}

function waves(s: State, name: "sin" | "cos"): Code {
  const f = s.f;
  const keep = (c: Code): Code => f.keep(c);
  const c = (n: number): Code => f32x4(n);
  const mul = (a: Code, b: Code): Code => op("f32x4.mul", a, b);
  const fma = (a: Code, b: Code, d: Code): Code => (s.features.relaxed ? op("f32x4.relaxed_madd", a, b, d) : op("f32x4.add", mul(a, b), d));
  const chain = (x: Code, coefficients: readonly number[]): Code =>
    coefficients.slice(0, -1).reduceRight<Code>((p, k) => fma(p, x, c(k)), c(coefficients.at(-1)!));
  const pick = (test: Code, a: Code, b: Code): Code => op("v128.bitselect", a, b, test);
  const a = f.read(0);
  const far = keep(op("v128.not", op("f32x4.lt", op("f32x4.abs", a), c(2 ** 20))));
  const near = keep(pick(far, c(0), a));
  const q = keep(op("f32x4.nearest", mul(near, c(0.636619772))));
  const reduced = (v: Code, k: Code): Code => {
    const [d, n] = [op("f64x2.promote_low_f32x4", v), keep(op("f64x2.promote_low_f32x4", k))];
    // pi/2 as 33 bits, whose multiples are exact, and the rest.
    const first = op("f64x2.sub", d, op("f64x2.mul", n, f64x2(1.5707963267341256)));
    return op("f32x4.demote_f64x2_zero", op("f64x2.sub", first, op("f64x2.mul", n, f64x2(6.077100506506192e-11))));
  };
  const upper = (v: Code): Code => shuffle(v, v, [2, 3, 2, 3]);
  const r = keep(shuffle(reduced(near, q), reduced(upper(near), upper(q)), [0, 1, 4, 5]));
  const z = keep(mul(r, r));
  const sine = keep(fma(mul(r, z), chain(z, sinTail), r));
  const cosine = keep(fma(mul(z, z), chain(z, cosTail), fma(z, c(-0.5), c(1))));
  const k = keep(op("i32x4.add", op("i32x4.trunc_sat_f32x4_s", q), i32x4(name === "cos" ? 1 : 0)));
  const bit = (n: number): Code => op("i32x4.ne", op("v128.and", k, i32x4(n)), i32x4(0));
  const turned = keep(pick(bit(1), cosine, sine));
  const result = f.local("v128");
  f.write(result, op("v128.xor", turned, op("v128.and", bit(2), i32x4(-(2 ** 31)))));
  const slow = f.aside(() => {
    for (let l = 0; l < 4; l++) {
      const one = op("f64.promote_f32", onLane("f32x4.extract_lane", l, a));
      const exact = op("f32.demote_f64", engine(s, name, [one]));
      f.push(
        branch(
          onLane("i32x4.extract_lane", l, far),
          f.aside(() => f.write(result, onLane("f32x4.replace_lane", l, f.read(result), exact))),
        ),
      );
    }
  });
  f.push(branch(op("v128.any_true", far), slow));
  return f.read(result);
}

/** A function of the engine, in f64. */
function engine(s: State, name: string, args: readonly Code[]): Code {
  return s.f.module.callImport("f", name, { takes: args.map(() => "f64" as const), gives: "f64" }, args);
}
const unary = new Set(engineFunctions.filter((name) => name !== "pow" && name !== "atan2"));
/** An operation on one value, through f64; undefined where floats have none. */
export function mathFunction(s: State, name: ScalarOp, dtype: DType, args: readonly Code[]): Code | undefined {
  const wide = args.map((a) => (dtype === "f64" ? a : op("f64.promote_f32", a)));
  const made = inDouble(s, name, wide);
  return made && (dtype === "f64" ? made : op("f32.demote_f64", made));
}
function inDouble(s: State, name: ScalarOp, args: readonly Code[]): Code | undefined {
  if (unary.has(name) || name === "atan2" || name === "rem") return engine(s, name, args);
  switch (name) {
    case "expnear":
      return engine(s, "exp", args);
    case "exp2":
    case "exp2near":
      return engine(s, "pow", [f64(2), args[0]!]);
    case "pow": {
      // 1 to any power is 1, and so is -1 to an infinite one.
      const [a, b] = args.map((x) => s.f.keep(x)) as [Code, Code];
      const minus = op("i32.and", op("f64.eq", a, f64(-1)), op("f64.eq", op("f64.abs", b), f64(Infinity)));
      return select(op("i32.or", op("f64.eq", a, f64(1)), minus), f64(1), engine(s, "pow", [a, b]));
    }
    case "erf":
    case "erfc":
    case "lgamma":
      return special(s.f, name, args[0]!, (what, x) => engine(s, what, [x]));
    default:
      return undefined;
  }
}
