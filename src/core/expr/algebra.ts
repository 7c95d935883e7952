/**
 * Sums, products, division and remainder, each in normal form. Division rounds towards minus infinity; dividing by zero has no
 * defined value (an empty array has no elements whose place could be asked for), and rewrites may assume that it does not happen.
 */
import { nonNegative } from "./bounds.js";
import {
  type Atom,
  binary,
  compare,
  compareDims,
  type Dim,
  type Expr,
  hasDiv,
  hasMod,
  hi,
  lo,
  monomial,
  offsetOf,
  one,
  product,
  sum,
  type Term,
  termsOf,
} from "./node.js";

/** The sum of all. */
export function add(...xs: readonly Dim[]): Dim {
  let total: Dim = 0;
  for (const x of xs) total = add2(total, x);
  return total;
}
function add2(a: Dim, b: Dim): Dim {
  if (typeof a === "number") {
    if (typeof b === "number") return a + b;
    return a === 0 ? b : sum(b.terms, a + b.offset);
  }
  if (typeof b === "number") return b === 0 ? a : sum(a.terms, a.offset + b);
  return finish(merge(a.terms, b.terms, 1), a.offset + b.offset);
}
export const neg = (a: Dim): Dim => scale(a, -1);
/** a - b. */
export function sub(a: Dim, b: Dim): Dim {
  if (typeof b === "number") return add2(a, -b);
  return a === b ? 0 : finish(merge(termsOf(a), b.terms, -1), offsetOf(a) - b.offset);
}

/** Terms of p + by * q, both sorted. */
function merge(p: readonly Term[], q: readonly Term[], by: number): readonly Term[] {
  if (p.length === 0) return by === 1 ? q : q.map((t) => ({ atom: t.atom, by: -t.by }));
  if (q.length === 0) return p;
  const out: Term[] = [];
  let i = 0;
  let j = 0;
  while (i < p.length && j < q.length) {
    const [s, t] = [p[i]!, q[j]!];
    const c = compare(s.atom, t.atom);
    if (c < 0) {
      out.push(s);
      i++;
    } else if (c > 0) {
      out.push(by === 1 ? t : { atom: t.atom, by: -t.by });
      j++;
    } else {
      const total = s.by + by * t.by;
      if (total) out.push({ atom: s.atom, by: total });
      i++;
      j++;
    }
  }
  while (i < p.length) out.push(p[i++]!);
  for (; j < q.length; j++) out.push(by === 1 ? q[j]! : { atom: q[j]!.atom, by: -q[j]!.by });
  return out;
}
/** Sorts and merges terms that come in any order. */
function collect(terms: Term[], offset: number): Dim {
  if (terms.length > 1) {
    terms.sort((s, t) => compare(s.atom, t.atom));
    const out: Term[] = [];
    for (const t of terms) {
      const last = out[out.length - 1];
      if (last?.atom !== t.atom) out.push(t);
      else if (last.by + t.by) out[out.length - 1] = { atom: t.atom, by: last.by + t.by };
      else out.pop();
    }
    terms = out;
  }
  return finish(terms, offset);
}
/** A sum of sorted terms, after k * ((x / n) * n) + k * (x % n) became k * x. */
function finish(terms: readonly Term[], offset: number): Dim {
  if (terms.length > 1) {
    let flags = 0;
    for (const t of terms) flags |= t.atom.flags;
    if (flags === (hasDiv | hasMod)) {
      const whole = recombine(terms, offset);
      if (whole !== undefined) return whole;
    }
  }
  return sum(terms, offset);
}
function recombine(terms: readonly Term[], offset: number): Dim | undefined {
  for (let i = 0; i < terms.length; i++) {
    const { atom, by } = terms[i]!;
    if (!(atom.flags & hasMod)) continue;
    for (const m of atom.kind === "prod" ? atom.factors : [atom]) {
      if (m.kind !== "mod") continue;
      const rest = atom.kind === "prod" ? one(monomial(without(atom.factors, m))) : 1;
      const high = scale(mul(mul(div(m.a, m.b), m.b), rest), by);
      if (typeof high === "number" || high.offset !== 0) continue;
      const left = terms.filter((t, k) => k !== i && !high.terms.some((h) => h.atom === t.atom && h.by === t.by));
      if (left.length === terms.length - 1 - high.terms.length) return add2(sum(left, offset), scale(mul(m.a, rest), by));
    }
  }
  return undefined;
}
function without(factors: readonly Atom[], f: Atom): readonly Atom[] {
  const at = factors.indexOf(f);
  return factors.filter((_, i) => i !== at);
}

/** k * a. */
export function scale(a: Dim, k: number): Dim {
  if (typeof a === "number") return a * k + 0;
  if (k === 0) return 0;
  return k === 1
    ? a
    : sum(
        a.terms.map((t) => ({ atom: t.atom, by: t.by * k })),
        a.offset * k,
      );
}
/** a / k where every coefficient is a multiple of k. */
const shrink = (a: Dim, k: number): Dim =>
  k === 1
    ? a
    : sum(
        termsOf(a).map((t) => ({ atom: t.atom, by: t.by / k })),
        offsetOf(a) / k,
      );

/** a * b, multiplied out. */
export function mul(a: Dim, b: Dim): Dim {
  if (typeof b === "number") return scale(a, b);
  if (typeof a === "number") return scale(b, a);
  const terms: Term[] = [];
  for (const s of a.terms) for (const t of b.terms) terms.push({ atom: product(s.atom, t.atom), by: s.by * t.by });
  if (b.offset) for (const s of a.terms) terms.push({ atom: s.atom, by: s.by * b.offset });
  if (a.offset) for (const t of b.terms) terms.push({ atom: t.atom, by: t.by * a.offset });
  return collect(terms, a.offset * b.offset);
}

/** Floor division; multiples of `b` move out, what cannot reach `b` vanishes. */
export function div(a: Dim, b: Dim): Dim {
  if (b === 1) return a;
  if (a === 0 || b === 0) return 0;
  if (typeof b === "number" && b < 0) return div(neg(a), -b);
  if (typeof a === "number" && typeof b === "number") return (a - mod(a, b as number)) / b;
  if (typeof a === "number") return quotient(a, b);
  const known = a.quotients?.get(b);
  if (known !== undefined) return known;
  const q = quotient(a, b);
  a.quotients ??= new Map();
  a.quotients.set(b, q);
  return q;
}
/** Remainder of floor division: in [0, b). */
export function mod(a: number, b: number): number;
export function mod(a: Dim, b: Dim): Dim;
export function mod(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0 || b === 1 || a === b) return 0;
  if (typeof b === "number" && b < 0) return neg(mod(neg(a), -b));
  if (typeof a === "number" && typeof b === "number") {
    const r = a % b;
    return r < 0 ? r + b : r + 0;
  }
  if (typeof a === "number") return remainder(a, b);
  const known = a.remainders?.get(b);
  if (known !== undefined) return known;
  const r = remainder(a, b);
  a.remainders ??= new Map();
  a.remainders.set(b, r);
  return r;
}

function quotient(a: Dim, b: Dim): Dim {
  if (lo(b) < 0) return opaqueDiv(a, b);
  if (inRange(a, b)) return 0;
  const [q, r] = reduce(a, b);
  if (r === 0 || (r !== a && inRange(r, b))) return q;
  if (q !== 0) return add2(q, div(r, b));
  const p = peel(a, b);
  if (p) return div(p.big, p.rest);
  const inner = loneAtom(a);
  if (inner?.kind === "div" && lo(inner.b) >= 0) {
    const whole = safely(() => mul(inner.b, b));
    if (whole !== undefined) return div(inner.a, whole);
  }
  if (inner?.kind === "mod" && lo(inner.b) >= 0) {
    const k = exact(inner.b, b);
    if (k !== undefined && lo(k) >= 0) return mod(div(inner.a, b), k);
  }
  const [bl, bh] = [Math.max(1, lo(b)), Math.max(1, hi(b))];
  const least = lo(a) >= 0 ? Math.floor(lo(a) / bh) : Math.floor(lo(a) / bl);
  const most = hi(a) >= 0 ? Math.floor(hi(a) / bl) : bh === Infinity ? -1 : Math.floor(hi(a) / bh);
  return binary("div", a, b, least, most);
}
function remainder(a: Dim, b: Dim): Dim {
  if (lo(b) < 0) return opaqueMod(a, b);
  if (inRange(a, b)) return a;
  const r = withoutMods(reduce(a, b)[1], b);
  if (r === 0) return 0;
  if (r !== a) return mod(r, b);
  const p = peel(a, b);
  if (p) return add2(mul(mod(p.big, p.rest), p.unit), p.small);
  return binary("mod", a, b, 0, Math.min(Math.max(1, hi(b)) - 1, lo(a) >= 0 ? hi(a) : Infinity));
}
/** A divisor that may be negative: nothing is known but that the quotient is not larger than a. */
function opaqueDiv(a: Dim, b: Dim): Dim {
  const m = Math.max(Math.abs(lo(a)), Math.abs(hi(a)));
  return binary("div", a, b, -m, m);
}
const opaqueMod = (a: Dim, b: Dim): Dim => binary("mod", a, b, Math.min(0, lo(b) + 1), Math.max(0, hi(b) - 1));

/** 0 <= r < b, for every value of the variables. */
const inRange = (r: Dim, b: Dim): boolean => {
  if (typeof b === "number" || (lo(r) >= 0 && hi(r) < lo(b))) return lo(r) >= 0 && hi(r) < lo(b);
  return hi(r) >= 0 && lo(r) < hi(b) && nonNegative(r) && nonNegative(sub(b, add2(r, 1)));
};
const safely = (f: () => Dim): Dim | undefined => {
  try {
    const d = f();
    return typeof d === "number" ? (Number.isSafeInteger(d) ? d : undefined) : Number.isFinite(d.max) ? d : undefined;
  } catch {
    return undefined;
  }
};

/** a = q * b + r, with every multiple of `b` in q. */
function reduce(a: Dim, b: Dim): readonly [Dim, Dim] {
  if (typeof b === "number") return split(a, b);
  if (b.terms.length === 1 && b.offset === 0) return splitBy(a, b.terms[0]!);
  // A divisor with several terms: long division, taken only where it leaves no doubt.
  const lead = leading(b);
  let q: Dim = 0;
  let r: Dim = a;
  for (let step = 0; step < 8; step++) {
    const part = splitBy(r, lead)[0];
    if (part === 0) break;
    q = add2(q, part);
    r = sub(r, mul(part, b));
    if (r === 0 || inRange(r, b)) return [q, r];
  }
  return [0, a];
}
function split(x: Dim, c: number): readonly [Dim, Dim] {
  const q: Term[] = [];
  const r: Term[] = [];
  const offset = offsetOf(x);
  const off = mod(offset, c);
  let changed = off !== offset;
  for (const t of termsOf(x)) {
    const rest = t.by % c;
    if (rest === t.by) r.push(t);
    else {
      changed = true;
      q.push({ atom: t.atom, by: (t.by - rest) / c });
      if (rest) r.push({ atom: t.atom, by: rest });
    }
  }
  return changed ? [finish(q, (offset - off) / c), finish(r, off)] : [0, x];
}
/** The same for a divisor that is one term. */
function splitBy(x: Dim, by: Term): readonly [Dim, Dim] {
  const q: Term[] = [];
  const r: Term[] = [];
  let offset = 0;
  for (const t of termsOf(x)) {
    const rest = t.by % by.by;
    const factors = rest === t.by ? undefined : overFactors(t.atom, by.atom);
    if (!factors) r.push(t);
    else {
      const k = (t.by - rest) / by.by;
      if (factors.length === 0) offset += k;
      else q.push({ atom: monomial(factors), by: k });
      if (rest) r.push({ atom: t.atom, by: rest });
    }
  }
  return offset || q.length ? [collect(q, offset), finish(r, offsetOf(x))] : [0, x];
}
/** The factors of p / q, or undefined where q does not divide p. */
function overFactors(p: Atom, q: Atom): readonly Atom[] | undefined {
  let left = p.kind === "prod" ? p.factors : [p];
  for (const f of q.kind === "prod" ? q.factors : [q]) {
    const at = left.indexOf(f);
    if (at < 0) return undefined;
    left = left.filter((_, i) => i !== at);
  }
  return left;
}
/** The term of highest degree. */
function leading(b: Expr): Term {
  let best = b.terms[0]!;
  for (const t of b.terms) if (degree(t.atom) > degree(best.atom)) best = t;
  return best;
}
const degree = (a: Atom): number => (a.kind === "prod" ? a.factors.length : 1);

/** a / b where b divides every term of a; undefined otherwise. */
export function exact(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return 1;
  if (typeof b === "number") return b !== 0 && divides(b, a) ? shrink(a, b) : undefined;
  const [q, r] = b.terms.length === 1 && b.offset === 0 ? splitBy(a, b.terms[0]!) : [0, a];
  return r === 0 ? q : undefined;
}
/** True when `b` divides `a` for every value of the variables. */
export const divides = (b: number, a: Dim): boolean => offsetOf(a) % b === 0 && termsOf(a).every((t) => t.by % b === 0);

/**
 * Mixed radix: a = unit * big + small and b = unit * rest with 0 <= small < unit. Then a / b = big / rest, and
 * a % b = unit * (big % rest) + small.
 */
function peel(a: Dim, b: Dim): { unit: Dim; big: Dim; small: Dim; rest: Dim } | undefined {
  const radices = typeof b === "number" ? numericRadices(a, b) : symbolicRadices(b);
  for (const unit of radices) {
    const rest = exact(b, unit);
    if (rest === undefined || unit === b) continue;
    const [big, small] = typeof unit === "number" ? splitWhole(a, unit) : reduce(a, unit);
    if (big !== 0 && (small === 0 || inRange(small, unit))) return { unit, big, small, rest };
  }
  return undefined;
}
/** Greatest common divisors of b with the larger coefficients. */
function numericRadices(a: Dim, b: number): number[] {
  const sizes = termsOf(a)
    .map((t) => Math.abs(t.by))
    .sort((p, q) => q - p);
  const out: number[] = [];
  let g = b;
  for (const s of sizes) {
    g = gcd(g, s);
    if (g === 1) break;
    if (g < b && out[out.length - 1] !== g) out.push(g);
  }
  return out.reverse();
}
function symbolicRadices(b: Expr): Dim[] {
  if (b.terms.length !== 1 || b.offset !== 0) {
    const g = content(b);
    return g > 1 ? [g] : [];
  }
  const { atom, by } = b.terms[0]!;
  const factors = atom.kind === "prod" ? [...new Set(atom.factors)] : [];
  if (atom.kind !== "prod") return by > 1 ? [by] : [];
  const list: Dim[] = factors.filter((f) => f.min >= 0).map((f) => one(f));
  if (by > 1) list.push(by);
  return list;
}
/** Terms that `unit` divides, and the rest. */
function splitWhole(a: Dim, unit: number): readonly [Dim, Dim] {
  const off = mod(offsetOf(a), unit);
  const big = termsOf(a)
    .filter((t) => t.by % unit === 0)
    .map((t) => ({ atom: t.atom, by: t.by / unit }));
  return [
    sum(big, (offsetOf(a) - off) / unit),
    finish(
      termsOf(a).filter((t) => t.by % unit !== 0),
      off,
    ),
  ];
}
const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : Math.abs(a));
const content = (x: Dim): number => termsOf(x).reduce((g, t) => gcd(g, t.by), Math.abs(offsetOf(x)));

/** In a remainder by b, k * (x % m) is k * x where b divides k * m. */
function withoutMods(a: Dim, b: Dim): Dim {
  if (typeof a === "number" || !(a.flags & hasMod)) return a;
  for (const t of a.terms)
    if (t.atom.kind === "mod" && lo(t.atom.b) >= 0 && exact(scale(t.atom.b, t.by), b) !== undefined)
      return withoutMods(
        add2(
          sum(
            a.terms.filter((s) => s !== t),
            a.offset,
          ),
          scale(t.atom.a, t.by),
        ),
        b,
      );
  return a;
}
const loneAtom = (x: Dim): Atom | undefined =>
  typeof x !== "number" && x.terms.length === 1 && x.offset === 0 && x.terms[0]!.by === 1 ? x.terms[0]!.atom : undefined;

/** Smallest integer at least a / b. */
export const ceilDiv = (a: Dim, b: Dim): Dim => div(add2(add2(a, b), -1), b);

/** Bitwise xor of integers below 2^31, for bank-conflict-free shared-memory layouts. */
export function xor(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a ^ b;
  if (a === b) return 0;
  if (a === 0) return b;
  if (b === 0) return a;
  const least = Math.min(lo(a), lo(b));
  const most = Math.max(hi(a), hi(b), -least - 1);
  const bits = most < 2 ** 31 ? 2 ** (32 - Math.clz32(most)) : 2 ** 31;
  return compareDims(a, b) <= 0
    ? binary("xor", a, b, least < 0 ? -bits : 0, bits - 1)
    : binary("xor", b, a, least < 0 ? -bits : 0, bits - 1);
}
/** The smaller of both. What divides both stands before it. */
export function min(a: Dim, b: Dim): Dim {
  if (a === b || hi(a) <= lo(b)) return a;
  if (hi(b) <= lo(a)) return b;
  const g = gcd(content(a), content(b));
  if (g > 1) return scale(min(shrink(a, g), shrink(b, g)), g);
  const gap = sub(b, a);
  if (nonNegative(gap)) return a;
  if (nonNegative(neg(gap))) return b;
  const [p, q] = compareDims(a, b) <= 0 ? [a, b] : [b, a];
  return binary("min", p, q, Math.min(lo(a), lo(b)), Math.min(hi(a), hi(b)));
}
/** The larger of both. What divides both stands before it. */
export function max(a: Dim, b: Dim): Dim {
  if (a === b || lo(a) >= hi(b)) return a;
  if (lo(b) >= hi(a)) return b;
  const g = gcd(content(a), content(b));
  if (g > 1) return scale(max(shrink(a, g), shrink(b, g)), g);
  const gap = sub(a, b);
  if (nonNegative(gap)) return a;
  if (nonNegative(neg(gap))) return b;
  const [p, q] = compareDims(a, b) <= 0 ? [a, b] : [b, a];
  return binary("max", p, q, Math.max(lo(a), lo(b)), Math.max(hi(a), hi(b)));
}
