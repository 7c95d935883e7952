/**
 * Integer expressions: symbolic dims, kernel indices, grid sizes and byte counts share this one type.
 *
 * A `Dim` is a number where it is constant and an interned `Expr` otherwise, so `===` is equality. An Expr is kept in a normal
 * form, offset + sum of (coefficient x atom), which makes the questions that a lowering asks cheap: is it constant, what is its
 * stride along a variable, what are its bounds. Division and remainder round towards minus infinity.
 */
export type Dim = number | Expr;

export interface Expr {
  readonly terms: readonly Term[];
  readonly offset: number;
  readonly min: number;
  readonly max: number;
  readonly key: string;
}

export interface Term {
  readonly atom: Atom;
  readonly by: number;
}

/** What cannot be taken apart further. Bounds are part of a variable's identity. */
export type Atom = { readonly key: string; readonly min: number; readonly max: number } & (
  | { readonly kind: "var"; readonly name: string }
  | { readonly kind: "div" | "mod" | "xor" | "min" | "max"; readonly a: Dim; readonly b: Dim }
  | { readonly kind: "prod"; readonly factors: readonly Atom[] }
);

const table = new Map<string, Expr>();
const none: readonly Term[] = [];
const keyOf = (d: Dim): string => (typeof d === "number" ? `${d}` : d.key);
const termsOf = (d: Dim): readonly Term[] => (typeof d === "number" ? none : d.terms);
const offsetOf = (d: Dim): number => (typeof d === "number" ? d : d.offset);

/** Least value. */
export const lo = (d: Dim): number => (typeof d === "number" ? d : d.min);
/** Greatest value. */
export const hi = (d: Dim): number => (typeof d === "number" ? d : d.max);

function normal(terms: Iterable<Term>, offset: number): Dim {
  const sum = new Map<string, Term>();
  for (const t of terms) {
    const by = t.by + (sum.get(t.atom.key)?.by ?? 0);
    if (by) sum.set(t.atom.key, { atom: t.atom, by });
    else sum.delete(t.atom.key);
  }
  if (sum.size === 0) return offset;
  const list = [...sum.values()].sort((a, b) => (a.atom.key < b.atom.key ? -1 : 1));
  const key = `${list.map((t) => (t.by === 1 ? t.atom.key : `${t.by}*${t.atom.key}`)).join("+")}${offset ? `+${offset}` : ""}`;
  let e = table.get(key);
  if (!e) {
    let min = offset;
    let max = offset;
    for (const { atom, by } of list) {
      min += by * (by > 0 ? atom.min : atom.max);
      max += by * (by > 0 ? atom.max : atom.min);
    }
    e = { terms: list, offset, min, max, key };
    table.set(key, e);
  }
  return e;
}
const one = (atom: Atom): Dim => (atom.min === atom.max ? atom.min : normal([{ atom, by: 1 }], 0));

/** A named integer in [min, max]: an axis, a symbolic dim, a thread index, an integer read on the device. */
export const variable = (name: string, min: number, max: number): Dim =>
  one({ kind: "var", name, min, max, key: `${name}:${min}:${max}` });

export function add(...xs: readonly Dim[]): Dim {
  let offset = 0;
  const terms: Term[] = [];
  for (const x of xs) {
    offset += offsetOf(x);
    terms.push(...termsOf(x));
  }
  return terms.length ? normal(terms, offset) : offset;
}
export const neg = (a: Dim): Dim => mul(a, -1);
export const sub = (a: Dim, b: Dim): Dim => add(a, mul(b, -1));

export function mul(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  const terms: Term[] = [];
  for (const s of termsOf(a)) for (const t of termsOf(b)) terms.push({ atom: product(s.atom, t.atom), by: s.by * t.by });
  for (const s of termsOf(a)) if (offsetOf(b)) terms.push({ atom: s.atom, by: s.by * offsetOf(b) });
  for (const t of termsOf(b)) if (offsetOf(a)) terms.push({ atom: t.atom, by: t.by * offsetOf(a) });
  return normal(terms, offsetOf(a) * offsetOf(b));
}
function product(a: Atom, b: Atom): Atom {
  const factors = [a, b].flatMap((f) => (f.kind === "prod" ? f.factors : [f])).sort((p, q) => (p.key < q.key ? -1 : 1));
  const corners = [a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max];
  return { kind: "prod", factors, min: Math.min(...corners), max: Math.max(...corners), key: `(${factors.map((f) => f.key).join("*")})` };
}

/** Floor division; multiples of `b` move out, what cannot reach `b` vanishes. */
export function div(a: Dim, b: Dim): Dim {
  if (typeof b !== "number") {
    if (a === b && lo(b) > 0) return 1;
    if (a === 0) return 0;
    if (lo(a) >= 0 && hi(a) < lo(b)) return 0;
    const least = lo(a) < 0 ? Math.floor(lo(a) / Math.max(1, lo(b))) : Math.floor(lo(a) / hi(b));
    return one({ kind: "div", a, b, min: least, max: Math.floor(hi(a) / Math.max(1, lo(b))), key: `(${keyOf(a)}/${b.key})` });
  }
  if (typeof a === "number") return Math.floor(a / b);
  const [q, r] = split(a, b);
  if (lo(r) >= 0 && hi(r) < b) return q;
  const g = factor(r, b);
  const s = scale(r, g);
  const d = b / g;
  if (d === 1) return add(q, s);
  const inner = loneAtom(s);
  if (inner?.kind === "div" && typeof inner.b === "number") return add(q, div(inner.a, inner.b * d));
  return add(q, one({ kind: "div", a: s, b: d, min: Math.floor(lo(s) / d), max: Math.floor(hi(s) / d), key: `(${keyOf(s)}/${d})` }));
}

/** Remainder of floor division, in [0, b). */
export function mod(a: Dim, b: Dim): Dim {
  if (typeof b !== "number") {
    if (a === b || a === 0) return 0;
    if (lo(a) >= 0 && hi(a) < lo(b)) return a;
    return one({ kind: "mod", a, b, min: 0, max: hi(b) - 1, key: `(${keyOf(a)}%${b.key})` });
  }
  if (typeof a === "number") return a - Math.floor(a / b) * b;
  const r = split(a, b)[1];
  if (lo(r) >= 0 && hi(r) < b) return r;
  const g = factor(r, b);
  const s = scale(r, g);
  const d = b / g;
  if (d === 1) return 0;
  const inner = loneAtom(s);
  if (inner?.kind === "mod" && typeof inner.b === "number" && inner.b % d === 0) return mul(mod(inner.a, d), g);
  const max = Math.min(d - 1, lo(s) >= 0 ? hi(s) : d - 1);
  return mul(one({ kind: "mod", a: s, b: d, min: 0, max, key: `(${keyOf(s)}%${d})` }), g);
}

/** Bitwise xor of non-negative integers, for bank-conflict-free shared-memory layouts. */
export function xor(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a ^ b;
  if (a === 0) return b;
  if (b === 0) return a;
  const bits = 2 ** Math.ceil(Math.log2(Math.max(hi(a), hi(b), 1) + 1));
  return one({ kind: "xor", a, b, min: 0, max: bits - 1, key: `(${keyOf(a)}^${keyOf(b)})` });
}
export function min(a: Dim, b: Dim): Dim {
  if (hi(a) <= lo(b)) return a;
  if (hi(b) <= lo(a)) return b;
  return one({ kind: "min", a, b, min: Math.min(lo(a), lo(b)), max: Math.min(hi(a), hi(b)), key: `min(${keyOf(a)},${keyOf(b)})` });
}
export function max(a: Dim, b: Dim): Dim {
  if (lo(a) >= hi(b)) return a;
  if (lo(b) >= hi(a)) return b;
  return one({ kind: "max", a, b, min: Math.max(lo(a), lo(b)), max: Math.max(hi(a), hi(b)), key: `max(${keyOf(a)},${keyOf(b)})` });
}
/** Smallest integer at least a / b. */
export const ceilDiv = (a: Dim, b: Dim): Dim => div(add(a, b, -1), b);
/** True when `b` divides `a` for every value of the variables. */
export const divides = (b: number, a: Dim): boolean => offsetOf(a) % b === 0 && termsOf(a).every((t) => t.by % b === 0);

function split(x: Expr, c: number): [Dim, Dim] {
  const q: Term[] = [];
  const r: Term[] = [];
  const off = ((x.offset % c) + c) % c;
  for (const t of x.terms) {
    const rest = ((t.by % c) + c) % c;
    if (t.by !== rest) q.push({ atom: t.atom, by: (t.by - rest) / c });
    if (rest) r.push({ atom: t.atom, by: rest });
  }
  return [normal(q, (x.offset - off) / c), normal(r, off)];
}
const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : Math.abs(a));
const factor = (x: Dim, c: number): number => termsOf(x).reduce((g, t) => gcd(g, t.by), gcd(c, offsetOf(x)));
const scale = (x: Dim, g: number): Dim => normal(termsOf(x).map((t) => ({ atom: t.atom, by: t.by / g })), offsetOf(x) / g);
const loneAtom = (x: Dim): Atom | undefined =>
  typeof x !== "number" && x.terms.length === 1 && x.offset === 0 && x.terms[0]!.by === 1 ? x.terms[0]!.atom : undefined;

/** Replaces variables by name and rebuilds, so that everything simplifies again (this is how loops unroll). */
export function substitute(e: Dim, values: ReadonlyMap<string, Dim>): Dim {
  if (!values.size || typeof e === "number") return e;
  const atom = (a: Atom): Dim => {
    switch (a.kind) {
      case "var":
        return values.get(a.name) ?? one(a);
      case "div":
        return div(substitute(a.a, values), substitute(a.b, values));
      case "mod":
        return mod(substitute(a.a, values), substitute(a.b, values));
      case "xor":
        return xor(substitute(a.a, values), substitute(a.b, values));
      case "min":
        return min(substitute(a.a, values), substitute(a.b, values));
      case "max":
        return max(substitute(a.a, values), substitute(a.b, values));
      case "prod":
        return a.factors.map(atom).reduce(mul);
      default:
        return a satisfies never;
    }
  };
  return add(e.offset, ...e.terms.map((t) => mul(atom(t.atom), t.by)));
}

/** Value of an expression; every variable must be bound. */
export function evaluate(e: Dim, values: Readonly<Record<string, number>>): number {
  if (typeof e === "number") return e;
  const atom = (a: Atom): number => {
    switch (a.kind) {
      case "var": {
        const v = values[a.name];
        if (v === undefined) throw new Error(`dim ${a.name} has no value`);
        return v;
      }
      case "div":
        return Math.floor(evaluate(a.a, values) / evaluate(a.b, values));
      case "mod": {
        const [x, y] = [evaluate(a.a, values), evaluate(a.b, values)];
        return x - Math.floor(x / y) * y;
      }
      case "xor":
        return evaluate(a.a, values) ^ evaluate(a.b, values);
      case "min":
        return Math.min(evaluate(a.a, values), evaluate(a.b, values));
      case "max":
        return Math.max(evaluate(a.a, values), evaluate(a.b, values));
      case "prod":
        return a.factors.reduce((p, f) => p * atom(f), 1);
      default:
        return a satisfies never;
    }
  };
  return e.terms.reduce((sum, t) => sum + t.by * atom(t.atom), e.offset);
}

/** Every variable that occurs, by name. */
export function variables(e: Dim, into: Map<string, Dim> = new Map()): Map<string, Dim> {
  const atom = (a: Atom): void => {
    if (a.kind === "var") into.set(a.name, one(a));
    else if (a.kind === "prod") a.factors.forEach(atom);
    else {
      variables(a.a, into);
      variables(a.b, into);
    }
  };
  for (const t of termsOf(e)) atom(t.atom);
  return into;
}

/** Coefficient of a variable, or undefined where the variable also occurs inside a div, mod, xor, min, max or product. */
export function stride(e: Dim, name: string): number | undefined {
  let s = 0;
  for (const { atom, by } of termsOf(e)) {
    if (atom.kind === "var") {
      if (atom.name === name) s = by;
    } else if (mentions(atom, name)) return undefined;
  }
  return s;
}
function mentions(a: Atom, name: string): boolean {
  if (a.kind === "var") return a.name === name;
  if (a.kind === "prod") return a.factors.some((f) => mentions(f, name));
  return [...termsOf(a.a), ...termsOf(a.b)].some((t) => mentions(t.atom, name));
}

/** Text that `parse` reads back when the bounds of its variables are known. */
export function show(e: Dim): string {
  if (typeof e === "number") return `${e}`;
  const atom = (a: Atom): string => {
    switch (a.kind) {
      case "var":
        return a.name;
      case "prod":
        return a.factors.map(atom).join("*");
      case "min":
      case "max":
        return `${a.kind}(${show(a.a)}, ${show(a.b)})`;
      default:
        return `((${show(a.a)}) ${{ div: "/", mod: "%", xor: "^" }[a.kind]} (${show(a.b)}))`;
    }
  };
  const parts = e.terms.map(({ atom: a, by }) => (by === 1 ? atom(a) : `${by}*${atom(a)}`));
  if (e.offset) parts.push(`${e.offset}`);
  return parts.join(" + ").replaceAll("+ -", "- ");
}
