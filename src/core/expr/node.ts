/**
 * The data behind integer expressions. A `Dim` is a number where it is constant and an interned `Expr` otherwise, so `===` is
 * equality. An Expr is offset + sum of (coefficient x atom), its terms in an order that depends on structure alone.
 */
import { ArgumentError } from "../errors.js";
import { Interner, mix } from "./table.js";

/** A size or an index: a number where it is constant, an interned expression otherwise, so that `===` is equality. */
export type Dim = number | Expr;

export interface Expr {
  readonly terms: readonly Term[];
  readonly offset: number;
  /** Bounds; infinite where they are beyond 2^53. */
  readonly min: number;
  readonly max: number;
  /** Text that only equal expressions share. */
  readonly key: string;
  readonly hash: number;
  /** One bit for each variable that occurs, by hash of its name: a quick "does not mention". */
  readonly mask: number;
  /** Whether a div (1) or mod (2) atom occurs in a term. */
  readonly flags: number;
  /** Results of division by each divisor so far. */
  quotients: Map<Dim, Dim> | undefined;
  remainders: Map<Dim, Dim> | undefined;
}

export interface Term {
  readonly atom: Atom;
  readonly by: number;
}

interface AtomBase {
  readonly min: number;
  readonly max: number;
  readonly key: string;
  readonly hash: number;
  readonly mask: number;
  readonly flags: number;
}
/** What cannot be taken apart further. Bounds are part of a variable's identity; `below` is a symbolic bound that it stays under. */
export type Atom = AtomBase &
  (
    | { readonly kind: "var"; readonly name: string; readonly below: Expr | undefined }
    | { readonly kind: "div" | "mod" | "xor" | "min" | "max"; readonly a: Dim; readonly b: Dim }
    | { readonly kind: "prod"; readonly factors: readonly Atom[] }
  );

export const hasDiv = 1;
export const hasMod = 2;
const noTerms: readonly Term[] = [];
const limit = Number.MAX_SAFE_INTEGER;

/** Least value. */
export const lo = (d: Dim): number => (typeof d === "number" ? d : d.min);
/** Greatest value. */
export const hi = (d: Dim): number => (typeof d === "number" ? d : d.max);
export const termsOf = (d: Dim): readonly Term[] => (typeof d === "number" ? noTerms : d.terms);
export const offsetOf = (d: Dim): number => (typeof d === "number" ? d : d.offset);
const keyOf = (d: Dim): string => (typeof d === "number" ? `${d}` : d.key);
const hashOf = (d: Dim): number => (typeof d === "number" ? mix(7, d) : d.hash);
const maskOf = (d: Dim): number => (typeof d === "number" ? 0 : d.mask);

/** What code gets that uses a symbolic size as a number: nothing by default; a trace may answer, and note that it rests on that answer. */
let asNumber: ((e: Expr) => number) | undefined;
/** Runs `fn` with `answer` asked where a symbolic size is used as a number. */
export function withNumbers<T>(answer: ((e: Expr) => number) | undefined, fn: () => T): T {
  const before = asNumber;
  asNumber = answer;
  try {
    return fn();
  } finally {
    asNumber = before;
  }
}

class Sum implements Expr {
  readonly terms: readonly Term[];
  readonly offset: number;
  readonly min: number;
  readonly max: number;
  readonly hash: number;
  readonly mask: number;
  readonly flags: number;
  quotients: Map<Dim, Dim> | undefined = undefined;
  remainders: Map<Dim, Dim> | undefined = undefined;
  #key: string | undefined = undefined;
  constructor(terms: readonly Term[], offset: number) {
    let min = offset;
    let max = offset;
    let exact = Number.isSafeInteger(offset);
    let low = true;
    let high = true;
    let hash = mix(1, offset);
    let mask = 0;
    let flags = 0;
    for (let i = 0; i < terms.length; i++) {
      const { atom, by } = terms[i]!;
      if (by > 0) {
        min += by * atom.min;
        max += by * atom.max;
      } else {
        min += by * atom.max;
        max += by * atom.min;
      }
      if (!(min >= -limit && min <= limit)) low = false;
      if (!(max >= -limit && max <= limit)) high = false;
      if (!(by >= -limit && by <= limit)) exact = false;
      hash = mix(mix(hash, atom.hash), by);
      mask |= atom.mask;
      flags |= atom.flags;
    }
    if (!exact) throw new ArgumentError("an integer expression has a coefficient beyond 2^53; sizes and indices stay below that");
    this.terms = terms;
    this.offset = offset;
    this.min = low ? min : -Infinity;
    this.max = high ? max : Infinity;
    this.hash = hash;
    this.mask = mask;
    this.flags = flags;
  }
  [Symbol.toPrimitive](hint: string): string | number {
    if (hint === "string") return this.key;
    if (asNumber) return asNumber(this);
    throw new ArgumentError(`the size ${this.key} is symbolic, and is used as a number: pass it on as it is, or use -1 in its place`);
  }
  get key(): string {
    this.#key ??= `${this.terms.map((t) => (t.by === 1 ? t.atom.key : `${t.by}*${t.atom.key}`)).join("+")}${this.offset ? `+${this.offset}` : ""}`;
    return this.#key;
  }
}

class AtomNode {
  readonly kind: Atom["kind"];
  readonly name: string;
  readonly below: Expr | undefined;
  readonly a: Dim;
  readonly b: Dim;
  readonly factors: readonly Atom[];
  readonly min: number;
  readonly max: number;
  readonly hash: number;
  readonly mask: number;
  readonly flags: number;
  #key: string | undefined = undefined;
  constructor(
    kind: Atom["kind"],
    name: string,
    below: Expr | undefined,
    a: Dim,
    b: Dim,
    factors: readonly Atom[],
    min: number,
    max: number,
  ) {
    this.kind = kind;
    this.name = name;
    this.below = below;
    this.a = a;
    this.b = b;
    this.factors = factors;
    this.min = min;
    this.max = max;
    let hash = mix(kinds[kind], 0);
    let mask = 0;
    let flags = kind === "div" ? hasDiv : kind === "mod" ? hasMod : 0;
    if (kind === "var") {
      for (let i = 0; i < name.length; i++) hash = mix(hash, name.charCodeAt(i));
      mask = 1 << (hash & 31);
      hash = mix(mix(hash, min), max);
      if (below) {
        hash = mix(hash, below.hash);
        mask |= below.mask;
      }
    } else if (kind === "prod")
      for (const f of factors) {
        hash = mix(hash, f.hash);
        mask |= f.mask;
        flags |= f.flags;
      }
    else {
      hash = mix(mix(hash, hashOf(a)), hashOf(b));
      mask = maskOf(a) | maskOf(b);
    }
    this.hash = hash;
    this.mask = mask;
    this.flags = flags;
  }
  get key(): string {
    this.#key ??= this.write();
    return this.#key;
  }
  private write(): string {
    switch (this.kind) {
      case "var":
        return `${this.name}:${this.min}:${this.max}${this.below ? `:${this.below.key}` : ""}`;
      case "prod":
        return `(${this.factors.map((f) => f.key).join("*")})`;
      default:
        return `(${keyOf(this.a)} ${this.kind} ${keyOf(this.b)})`;
    }
  }
}
const kinds = { var: 0, prod: 1, div: 2, mod: 3, xor: 4, min: 5, max: 6 } as const;

const sums = new Interner<Sum>((p, q) => {
  if (p.offset !== q.offset || p.terms.length !== q.terms.length) return false;
  for (let i = 0; i < p.terms.length; i++) if (p.terms[i]!.by !== q.terms[i]!.by || p.terms[i]!.atom !== q.terms[i]!.atom) return false;
  return true;
});
const atoms = new Interner<AtomNode>((p, q) => {
  if (p.kind !== q.kind || p.a !== q.a || p.b !== q.b || p.name !== q.name) return false;
  if (p.kind === "var") return p.min === q.min && p.max === q.max && p.below === q.below;
  if (p.factors.length !== q.factors.length) return false;
  for (let i = 0; i < p.factors.length; i++) if (p.factors[i] !== q.factors[i]) return false;
  return true;
});

/** A sum whose terms are sorted, distinct and not zero. */
export const sum = (terms: readonly Term[], offset: number): Dim => (terms.length === 0 ? offset : sums.intern(new Sum(terms, offset)));
/** An atom as an expression: a number where its bounds leave one value. */
export const one = (atom: Atom): Dim => (atom.min === atom.max ? atom.min : sum([{ atom, by: 1 }], 0));
/** Interns an atom with two operands. */
export const binary = (kind: "div" | "mod" | "xor" | "min" | "max", a: Dim, b: Dim, min: number, max: number): Dim =>
  min === max ? min : one(atoms.intern(new AtomNode(kind, "", undefined, a, b, [], min, max)) as unknown as Atom);

/**
 * A named integer in [min, max]: an axis, a symbolic dim, a thread index, an integer read on the device. `below` is a dim that it
 * is always less than: what makes (i * n + j) / n become i where j runs below n.
 */
export function variable(name: string, min: number, max: number, below?: Dim): Dim {
  if (!nameToken.test(name)) throw new ArgumentError(`"${name}" cannot name a dim; use letters, digits and _`);
  if (below !== undefined && hi(below) <= max) max = Math.max(min, hi(below) - 1);
  if (min === max) return min;
  const under = typeof below === "object" ? below : undefined;
  return one(atoms.intern(new AtomNode("var", name, under, 0, 0, [], min, max)) as unknown as Atom);
}
/** A place on an axis of that size: in [0, size). */
export const indexOn = (name: string, size: Dim): Dim => variable(name, 0, Math.max(0, hi(size) - 1), size);
const nameToken = /^[A-Za-z_$#@][\w.$#@]*$/;

/** The product of two atoms. */
export function product(p: Atom, q: Atom): Atom {
  const factors: Atom[] = [];
  const left = p.kind === "prod" ? p.factors : [p];
  const right = q.kind === "prod" ? q.factors : [q];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length)
    if (j === right.length || (i < left.length && compare(left[i]!, right[j]!) <= 0)) factors.push(left[i++]!);
    else factors.push(right[j++]!);
  return monomial(factors);
}
/** The product of sorted factors, at least one. */
export function monomial(factors: readonly Atom[]): Atom {
  if (factors.length === 1) return factors[0]!;
  let min = 1;
  let max = 1;
  for (let i = 0; i < factors.length; ) {
    const f = factors[i]!;
    let power = 0;
    while (factors[i] === f) {
      i++;
      power++;
    }
    const [a, b] = [f.min ** power, f.max ** power];
    const even = power % 2 === 0;
    const least = even && f.min < 0 ? (f.max < 0 ? b : 0) : a;
    const most = even ? Math.max(a, b) : b;
    const corners = [times(min, least), times(min, most), times(max, least), times(max, most)];
    min = Math.min(...corners);
    max = Math.max(...corners);
  }
  if (min < -limit) min = -Infinity;
  if (max > limit) max = Infinity;
  if (min > limit) min = limit;
  if (max < -limit) max = -limit;
  return atoms.intern(new AtomNode("prod", "", undefined, 0, 0, factors, min, max)) as unknown as Atom;
}
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

/** An order of atoms that depends on their structure alone: variables by name, then products, then the rest. */
export function compare(p: Atom, q: Atom): number {
  if (p === q) return 0;
  if (p.kind !== q.kind) return kinds[p.kind] - kinds[q.kind];
  if (p.kind === "var" && q.kind === "var") {
    if (p.name !== q.name) return p.name < q.name ? -1 : 1;
    if (p.min !== q.min) return p.min - q.min;
    if (p.max !== q.max) return p.max - q.max;
    return compareDims(p.below ?? 0, q.below ?? 0);
  }
  if (p.kind === "prod" && q.kind === "prod") {
    if (p.factors.length !== q.factors.length) return p.factors.length - q.factors.length;
    for (let i = 0; i < p.factors.length; i++) {
      const c = compare(p.factors[i]!, q.factors[i]!);
      if (c) return c;
    }
    return 0;
  }
  if (p.hash !== q.hash) return p.hash - q.hash;
  if (p.kind === "var" || p.kind === "prod" || q.kind === "var" || q.kind === "prod") return 0;
  return compareDims(p.a, q.a) || compareDims(p.b, q.b);
}
/** The same for expressions; numbers come last. */
export function compareDims(a: Dim, b: Dim): number {
  if (a === b) return 0;
  if (typeof a === "number" || typeof b === "number")
    return typeof a === typeof b ? (a as number) - (b as number) : typeof a === "number" ? 1 : -1;
  for (let i = 0; i < a.terms.length && i < b.terms.length; i++) {
    const [s, t] = [a.terms[i]!, b.terms[i]!];
    const c = compare(s.atom, t.atom) || s.by - t.by;
    if (c) return c;
  }
  return a.terms.length - b.terms.length || a.offset - b.offset;
}
