/**
 * Integer expressions. Positions and sizes are below 2^31 (a device refuses a call whose dims are not), so sums and products are
 * computed modulo 2^32; where the value itself matters (a quotient, a comparison) and could be larger, 64 bits are used.
 */
import { type Atom, type Dim, type Expr, sub } from "../../../core/expr.js";
import type { Test } from "../../../kernel/kernel.js";
import { type Code, i32, i64, op, select } from "../asm/code.js";
import { fail, type State } from "./state.js";

const top = 2 ** 31 - 1;
type Range = readonly [number, number];

/** Bounds of an expression whose variables are all below 2^31. */
function range(e: Dim): Range {
  if (typeof e === "number") return [e, e];
  let [low, high] = [e.offset, e.offset];
  for (const { atom, by } of e.terms) {
    const [a, b] = atomRange(atom);
    low += by > 0 ? by * a : by * b;
    high += by > 0 ? by * b : by * a;
  }
  return [Math.max(low, e.min), Math.min(high, e.max)];
}
function atomRange(a: Atom): Range {
  switch (a.kind) {
    case "var":
      return [Math.max(a.min, -top - 1), Math.min(a.max, top)];
    case "prod": {
      let [low, high] = [1, 1];
      for (const f of a.factors) {
        const [p, q] = atomRange(f);
        const corners = [low * p, low * q, high * p, high * q];
        [low, high] = [Math.min(...corners), Math.max(...corners)];
      }
      return [Math.max(low, a.min), Math.min(high, a.max)];
    }
    case "min":
    case "max": {
      const [p, q] = [range(a.a), range(a.b)];
      return [Math[a.kind](p[0], q[0]), Math[a.kind](p[1], q[1])];
    }
    case "mod": {
      const [, b] = range(a.b);
      return [Math.max(0, a.min), Math.min(b - 1, a.max)];
    }
    case "div": {
      const [[p, q], [b]] = [range(a.a), range(a.b)];
      if (b < 1) return [a.min, a.max];
      return [Math.max(a.min, p < 0 ? p : Math.floor(p / range(a.b)[1])), Math.min(a.max, q < 0 ? q : Math.floor(q / b))];
    }
    case "xor":
      return [a.min, a.max];
    default:
      return a satisfies never;
  }
}
const fits = ([low, high]: Range): boolean => low >= -top - 1 && high <= top;
/** Whether 32 bits hold the value. */
export const narrow = (e: Dim): boolean => fits(range(e));

/** The value modulo 2^32. */
export const integer = (s: State, e: Dim): Code => value(s, e, false);
/** The value itself, as i64 if it is `wide`. */
export const exact = (s: State, e: Dim, wide: boolean): Code => (wide ? value(s, e, true) : integer(s, e));

function value(s: State, e: Dim, wide: boolean): Code {
  const t = wide ? "i64" : "i32";
  const number = (n: number): Code => (wide ? i64(n) : i32(n));
  if (typeof e === "number") return number(e);
  let sum: Code | undefined;
  const plus = (x: Code): void => {
    sum = sum ? op(`${t}.add`, sum, x) : x;
  };
  for (const { atom, by } of e.terms.filter((x) => x.by > 0)) plus(times(atomValue(s, atom, wide), by, wide));
  for (const { atom, by } of e.terms.filter((x) => x.by < 0)) {
    const x = times(atomValue(s, atom, wide), -by, wide);
    sum = op(`${t}.sub`, sum ?? number(e.offset), x);
    if (sum === undefined) fail(s, "a sum of nothing");
  }
  const began = e.terms.every((x) => x.by < 0);
  if (e.offset && !began) plus(number(e.offset));
  return sum!;
}
function times(x: Code, by: number, wide: boolean): Code {
  if (by === 1) return x;
  const t = wide ? "i64" : "i32";
  const bits = Math.log2(by);
  if (Number.isInteger(bits) && bits < 31) return op(`${t}.shl`, x, wide ? i64(bits) : i32(bits));
  return op(`${t}.mul`, x, wide ? i64(by) : i32(by % 2 ** 32));
}
function atomValue(s: State, a: Atom, wide: boolean): Code {
  const t = wide ? "i64" : "i32";
  switch (a.kind) {
    case "var": {
      const local = s.indices.get(a.name);
      if (local === undefined) return fail(s, `the position ${a.name} is used where it is not known`);
      const code = s.f.read(local);
      return wide ? op("i64.extend_i32_s", code) : code;
    }
    case "prod":
      return a.factors.map((f) => atomValue(s, f, wide)).reduce((x, y) => op(`${t}.mul`, x, y));
    default: {
      // Here the operands' own values count, not what is left of them modulo 2^32.
      const larger = wide || !narrow(a.a) || !narrow(a.b);
      const code = binary(s, a.kind, a.a, a.b, larger);
      return wide || !larger ? code : op("i32.wrap_i64", code);
    }
  }
}
function binary(s: State, kind: "div" | "mod" | "xor" | "min" | "max", p: Dim, q: Dim, wide: boolean): Code {
  const t = wide ? "i64" : "i32";
  const number = (n: number): Code => (wide ? i64(n) : i32(n));
  const a = exact(s, p, wide);
  if (kind === "xor") return op(`${t}.xor`, a, exact(s, q, wide));
  if (kind === "min" || kind === "max") {
    const [x, y] = [s.f.keep(a), s.f.keep(exact(s, q, wide))];
    return select(op(`${t}.${kind === "min" ? "lt_s" : "gt_s"}`, x, y), x, y);
  }
  const positive = range(p)[0] >= 0 && range(q)[0] >= 0;
  if (typeof q === "number" && q > 0) {
    const bits = Math.log2(q);
    if (Number.isInteger(bits)) {
      if (kind === "mod") return op(`${t}.and`, a, number(q - 1));
      return op(`${t}.${positive ? "shr_u" : "shr_s"}`, a, number(bits));
    }
  }
  const b = exact(s, q, wide);
  if (positive) return op(`${t}.${kind === "div" ? "div_u" : "rem_u"}`, a, b);
  const [x, y] = [s.f.keep(a), s.f.keep(b)];
  const zero = number(0);
  if (kind === "mod") {
    const r = s.f.keep(op(`${t}.rem_s`, x, y));
    return op(`${t}.add`, r, select(op(`${t}.lt_s`, r, zero), y, zero));
  }
  const r = op(`${t}.lt_s`, op(`${t}.rem_s`, x, y), zero);
  return op(`${t}.sub`, op(`${t}.div_s`, x, y), wide ? op("i64.extend_i32_u", r) : r);
}

/** Whether a test (already bound) holds. */
export function testCode(s: State, { a, op: how, b }: Test): Code {
  const wide = !narrow(a) || !narrow(b);
  return op(`${wide ? "i64" : "i32"}.${how === "<" ? "lt_s" : "eq"}`, exact(s, a, wide), exact(s, b, wide));
}
/** Whether all of several tests hold. */
export const allOf = (tests: readonly Code[]): Code => tests.reduce((x, y) => op("i32.and", x, y));

/** How often a loop runs, kept in a local of its own. */
export function countCode(s: State, size: Dim): Code {
  if (typeof size === "number") return size <= top ? i32(size) : fail(s, `a loop of ${size} steps`);
  const f = s.f;
  const count = f.local("i32");
  if (!narrow(size)) {
    const whole = f.keep(exact(s, size, true));
    f.push({ type: undefined, bytes: [op("i64.gt_s", whole, i64(top)).bytes, 0x04, 0x40, 0x00, 0x0b] });
    f.write(count, op("i32.wrap_i64", whole));
  } else f.write(count, integer(s, size));
  return f.read(count);
}
/** The part of an index that a memory access may hold as its constant offset, in elements: never so that what is left could be negative. */
export function constantPart(e: Dim): number {
  if (typeof e === "number") return Math.max(0, e); // beyond the buffer only where nothing is read
  const { offset } = e as Expr;
  return offset > 0 && range(sub(e, offset))[0] >= 0 ? offset : 0;
}
