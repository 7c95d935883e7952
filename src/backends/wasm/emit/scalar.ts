/** Scalar operations on one value or on four lanes. */
import { bytesOf, computeDType, type DType, isFloat } from "../../../core/dtype.js";
import { UnsupportedError } from "../../../core/errors.js";
import type { ScalarOp } from "../../../ops/scalar.js";
import { branch, type Code, giveBack, i32, i32x4, i64, i64x2, onLane, op, repeat, select, shuffle } from "../asm/code.js";
import { bitcast, cast } from "./convert.js";
import { each, four, isSigned, keep, literal, narrowMask, one, scalarType, spread, vectorType, wideMask, wrap } from "./lanes.js";
import { mathFunction, vectorMath } from "./math.js";
import type { State, Val } from "./state.js";

/** A scalar operation; all arguments have as many lanes as the result. `from` are their dtypes, halves too. */
export function apply(s: State, name: ScalarOp, dtype: DType, args: readonly Val[], from: readonly DType[]): Val {
  const held = computeDType(dtype);
  const lanes = args[0]!.lanes;
  const t = scalarType(args[0]!.dtype);
  const prefix = lanes === 1 ? t : vectorType(args[0]!.dtype);
  /** The instruction for each vector of lanes. */
  const plain = (instruction: string, xs: readonly Val[] = args): Val => ({
    dtype: held,
    lanes,
    parts: xs[0]!.parts.map((_, i) => wrap(op(instruction, ...xs.map((x) => x.parts[i]!)), held, lanes)),
  });
  const perLane = (): Val => each(s, dtype, args, (xs) => apply(s, name, dtype, xs, from));
  const no = (): never => {
    throw new UnsupportedError(`WebAssembly has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
  };
  switch (name) {
    case "cast":
      return cast(s, args[0]!, dtype);
    case "bitcast":
      return bitcast(s, args[0]!, from[0]!, dtype);
    case "where":
      return where(s, args[0]!, args[1]!, args[2]!);
    case "lt":
    case "le":
    case "eq":
    case "ne":
      return compare(s, name, args[0]!, args[1]!);
    case "isnan": {
      if (!isFloat(args[0]!.dtype)) return lanes === 1 ? one("bool", i32(0)) : four("bool", i32x4(0));
      const x = keep(s, args[0]!);
      return compare(s, "ne", x, x);
    }
    case "dot2":
      return dot2(s, args);
    default:
  }
  if (held === "bool") return logical(name, args) ?? no();
  if (isFloat(held)) {
    switch (name) {
      case "add":
      case "sub":
      case "mul":
      case "div":
      case "sqrt":
      case "neg":
      case "abs":
      case "floor":
      case "ceil":
      case "trunc":
        return plain(`${prefix}.${name}`);
      case "round":
        return plain(`${prefix}.nearest`);
      case "max":
      case "min":
        return extreme(s, name, args, prefix, plain);
      case "fma":
        if (lanes === 4 && s.features.relaxed) return plain(`${prefix}.relaxed_madd`);
        return apply(s, "add", dtype, [apply(s, "mul", dtype, args.slice(0, 2), from), args[2]!], from);
      case "rsqrt": {
        const root = apply(s, "sqrt", dtype, args, from);
        const unit = literal(1, held);
        return plain(`${prefix}.div`, [lanes === 1 ? unit : spread(s, unit), root]);
      }
      default:
    }
    if (held === "f32") {
      const made = vectorMath(s, name, lanes === 4 ? args[0]!.parts[0]! : op("f32x4.splat", args[0]!.parts[0]!));
      if (made) return lanes === 4 ? four("f32", s.f.keep(made)) : one("f32", onLane("f32x4.extract_lane", 0, made));
    }
    if (lanes === 4) return perLane();
    return one(
      held,
      mathFunction(
        s,
        name,
        held,
        args.map((a) => a.parts[0]!),
      ) ?? no(),
    );
  }
  switch (name) {
    case "add":
    case "sub":
    case "mul":
      return plain(`${prefix}.${name}`);
    case "and":
    case "or":
    case "xor":
      return plain(lanes === 1 ? `${t}.${name}` : `v128.${name}`);
    case "not": {
      const ones = literal(t === "i64" ? -1n : -1, t === "i64" ? "i64" : "i32");
      return lanes === 4 ? plain("v128.not") : plain(`${t}.xor`, [args[0]!, ones]);
    }
    case "neg":
      return lanes === 4
        ? plain(`${prefix}.neg`)
        : plain(`${t}.sub`, [literal(t === "i64" ? 0n : 0, t === "i64" ? "i64" : "i32"), args[0]!]);
    case "fma":
      return apply(s, "add", dtype, [apply(s, "mul", dtype, args.slice(0, 2), from), args[2]!], from);
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      return args[0]!;
    case "max":
    case "min": {
      if (lanes === 4 && t === "i32") return plain(`i32x4.${name}_${isSigned(held) ? "s" : "u"}`);
      const [a, b] = args.map((x) => keep(s, x));
      return where(s, compare(s, "lt", name === "max" ? b! : a!, name === "max" ? a! : b!), a!, b!);
    }
    case "abs": {
      if (!isSigned(held)) return args[0]!;
      if (lanes === 4) return plain(`${prefix}.abs`);
      const a = keep(s, args[0]!);
      return where(s, compare(s, "lt", a, literal(0, held)), apply(s, "neg", dtype, [a], from), a);
    }
    case "shl":
    case "shr":
      return shift(s, name, held, args, perLane);
    case "mulhi":
      return mulhi(s, held, args);
    case "div":
    case "rem":
      return lanes === 4 ? perLane() : quotient(s, name, held, args[0]!, args[1]!);
    case "pow":
      return lanes === 4 ? perLane() : power(s, held, args[0]!, args[1]!);
    default:
      return no();
  }
}

/** On lanes by the instruction that keeps the first side's NaN alone, with a mask of the second side's, which is a NaN itself: x86 has none for both. */
function extreme(s: State, name: "max" | "min", args: readonly Val[], prefix: string, plain: (i: string, xs: readonly Val[]) => Val): Val {
  const [a, b] = args as [Val, Val];
  if (a.lanes !== 4) return plain(`${prefix}.${name}`, args);
  const number = (v: Val): boolean => v.constant !== undefined && !Number.isNaN(v.constant);
  if (number(b)) return plain(`${prefix}.p${name}`, [a, b]);
  if (number(a)) return plain(`${prefix}.p${name}`, [b, a]);
  const second = keep(s, b);
  const known = plain(`${prefix}.p${name}`, [a, second]);
  return { ...known, parts: known.parts.map((p, i) => op("v128.or", p, op(`${prefix}.ne`, second.parts[i]!, second.parts[i]!))) };
}

function logical(name: ScalarOp, args: readonly Val[]): Val | undefined {
  const [a, b] = args as [Val, Val];
  const scalar = a.lanes === 1;
  const both = (word: string): Val => ({
    dtype: "bool",
    lanes: a.lanes,
    parts: [op(`${scalar ? "i32" : "v128"}.${word}`, a.parts[0]!, b.parts[0]!)],
  });
  switch (name) {
    case "add":
    case "max":
    case "or":
      return both("or");
    case "mul":
    case "min":
    case "and":
      return both("and");
    case "sub":
    case "xor":
      return both("xor");
    case "not":
      return { dtype: "bool", lanes: a.lanes, parts: [scalar ? op("i32.eqz", a.parts[0]!) : op("v128.not", a.parts[0]!)] };
    case "neg":
    case "abs":
      return a;
    default:
      return undefined;
  }
}

function where(s: State, test: Val, a: Val, b: Val): Val {
  if (a.lanes === 1) return one(a.dtype, select(test.parts[0]!, a.parts[0]!, b.parts[0]!));
  const masks = wideMask(s, test.parts[0]!, a.dtype);
  return four(a.dtype, ...a.parts.map((x, i) => op("v128.bitselect", x, b.parts[i]!, masks[i]!)));
}

export function compare(s: State, name: "lt" | "le" | "eq" | "ne", a: Val, b: Val): Val {
  const dtype = a.dtype;
  const t = scalarType(dtype);
  const ordered = name === "lt" || name === "le";
  const sign = ordered && !isFloat(dtype) ? (isSigned(dtype) ? "_s" : "_u") : "";
  if (a.lanes === 1) return one("bool", op(`${t}.${name}${sign}`, a.parts[0]!, b.parts[0]!));
  if (dtype === "bool" && ordered) {
    // False is before true.
    const less = op("v128.andnot", b.parts[0]!, a.parts[0]!);
    return four("bool", name === "lt" ? less : op("v128.or", op("v128.not", a.parts[0]!), b.parts[0]!));
  }
  const v = vectorType(dtype);
  if (t === "i64" && sign === "_u") {
    const flip = (x: Val): Val => four("i64", ...x.parts.map((p) => op("v128.xor", p, i64x2(-(2n ** 63n)))));
    return compare(s, name, flip(a), flip(b));
  }
  const masks = a.parts.map((x, i) => op(`${v}.${name}${sign}`, x, b.parts[i]!));
  return four("bool", masks.length === 2 ? narrowMask(masks) : masks[0]!);
}

/** A shift by less than zero or by the width and more moves everything out. */
function shift(s: State, name: "shl" | "shr", dtype: DType, args: readonly Val[], perLane: () => Val): Val {
  const [a, b] = args as [Val, Val];
  const bits = 8 * bytesOf(dtype);
  const t = scalarType(dtype);
  const signed = isSigned(dtype);
  const word = name === "shl" ? "shl" : signed ? "shr_s" : "shr_u";
  if (b.constant !== undefined) {
    const by = Number(b.constant);
    const far = by < 0 || by >= bits;
    if (far && (name === "shl" || !signed)) return a.lanes === 4 ? spread(s, literal(0, dtype)) : literal(0, dtype);
    const n = far ? bits - 1 : by;
    return {
      dtype,
      lanes: a.lanes,
      parts: a.parts.map((x) =>
        wrap(
          a.lanes === 1 ? op(`${t}.${word}`, x, t === "i64" ? i64(n) : i32(n)) : op(`${vectorType(dtype)}.${word}`, x, i32(n)),
          dtype,
          a.lanes,
        ),
      ),
    };
  }
  if (a.lanes === 4) return perLane();
  const [x, y] = [s.f.keep(a.parts[0]!), s.f.keep(b.parts[0]!)];
  const number = (n: number): Code => (t === "i64" ? i64(n) : i32(n));
  const far = op(`${t}.ge_u`, y, number(bits));
  const rest = name === "shr" && signed ? op(`${t}.shr_s`, x, number(bits - 1)) : number(0);
  return one(dtype, select(far, rest, wrap(op(`${t}.${word}`, x, y), dtype, 1)));
}

function mulhi(s: State, dtype: DType, args: readonly Val[]): Val {
  const [a, b] = args as [Val, Val];
  if (dtype !== "u32") throw new UnsupportedError(`WebAssembly has no mulhi of ${dtype}; cast to u32`);
  if (a.lanes === 1) {
    const wide = (x: Code): Code => op("i64.extend_i32_u", x);
    return one(dtype, op("i32.wrap_i64", op("i64.shr_u", op("i64.mul", wide(a.parts[0]!), wide(b.parts[0]!)), i64(32))));
  }
  const [x, y] = [s.f.keep(a.parts[0]!), s.f.keep(b.parts[0]!)];
  return four(dtype, shuffle(op("i64x2.extmul_low_i32x4_u", x, y), op("i64x2.extmul_high_i32x4_u", x, y), [1, 3, 5, 7]));
}

/** Division never traps: by zero it gives the dividend, a remainder of 0, and the least value by -1 wraps. */
function quotient(s: State, name: "div" | "rem", dtype: DType, a: Val, b: Val): Val {
  const t = scalarType(dtype);
  const number = (n: number): Code => (t === "i64" ? i64(n) : i32(n));
  const signed = isSigned(dtype);
  const divide = (x: Code, y: Code): Code => wrap(op(`${t}.${name}_${signed ? "s" : "u"}`, x, y), dtype, 1);
  if (b.constant !== undefined && Number(b.constant) !== 0 && Number(b.constant) !== -1)
    return one(dtype, divide(a.parts[0]!, b.parts[0]!));
  const [x, y] = [s.f.keep(a.parts[0]!), s.f.keep(b.parts[0]!)];
  const zero = op(`${t}.eqz`, y);
  const minus = signed ? op(`${t}.eq`, y, number(-1)) : undefined;
  const special = minus ? op("i32.or", zero, minus) : zero;
  const usual = divide(x, select(special, number(1), y));
  if (name === "rem") return one(dtype, select(special, number(0), usual));
  if (!minus) return one(dtype, select(zero, x, usual));
  return one(dtype, select(minus, wrap(op(`${t}.sub`, number(0), x), dtype, 1), usual));
}

/** Whole powers by squaring, modulo 2^64. */
function power(s: State, dtype: DType, a: Val, b: Val): Val {
  const [x, y] = [cast(s, a, "i64"), cast(s, b, "i64")];
  const signed = isSigned(dtype);
  const result = s.f.module.call(`ipow_${signed ? "s" : "u"}`, { takes: ["i64", "i64"], gives: "i64" }, [x.parts[0]!, y.parts[0]!], (f) => {
    const [base, left] = [f.read(0), f.read(1)];
    const r = f.local("i64");
    const odd = op("i64.and", left, i64(1));
    if (signed) {
      const minus = select(op("i64.eqz", odd), i64(1), i64(-1));
      const inverse = select(op("i64.eq", base, i64(1)), i64(1), select(op("i64.eq", base, i64(-1)), minus, i64(0)));
      f.push(branch(op("i64.lt_s", left, i64(0)), [giveBack(inverse)]));
    }
    f.write(r, i64(1));
    const body = f.aside(() => {
      f.write(r, select(op("i64.eqz", odd), f.read(r), op("i64.mul", f.read(r), base)));
      f.write(0, op("i64.mul", base, base));
      f.write(1, op("i64.shr_u", left, i64(1)));
    });
    f.push(repeat(body, op("i64.ne", left, i64(0))));
    return f.read(r);
  });
  return cast(s, one(dtype === "u64" ? "u64" : "i64", result), dtype);
}

/** Two products of bf16 neighbours and a sum, each rounded. */
function dot2(s: State, args: readonly Val[]): Val {
  const [a, b, c] = args.map((x) => keep(s, x)) as [Val, Val, Val];
  const lanes = a.lanes;
  const words = (f: (x: Val) => Code, x: Val): Val => ({
    dtype: "f32",
    lanes,
    parts: [lanes === 1 ? op("f32.reinterpret_i32", f(x)) : f(x)],
  });
  const low = (x: Val): Code => (lanes === 1 ? op("i32.shl", x.parts[0]!, i32(16)) : op("i32x4.shl", x.parts[0]!, i32(16)));
  const high = (x: Val): Code => (lanes === 1 ? op("i32.and", x.parts[0]!, i32(-65536)) : op("v128.and", x.parts[0]!, i32x4(-65536)));
  const dtypes3: readonly DType[] = ["f32", "f32", "f32"];
  const first = apply(s, "fma", "f32", [words(low, a), words(low, b), c], dtypes3);
  return apply(s, "fma", "f32", [words(high, a), words(high, b), first], dtypes3);
}
