/** Proofs that a number is never negative, from what is known where it is used: how the verifier knows that an index lies inside its buffer. */
import {
  type Atom,
  add,
  type Dim,
  dependsOn,
  evaluate,
  type Fact,
  hi,
  lo,
  mul,
  narrow,
  nonNegative,
  sub,
  substitute,
  type Term,
  variable,
} from "../core/expr.js";

/**
 * What tells of a number whether it is shown to be at least 0: given `facts`, and `running`, which hold wherever the kernel runs. `declared` are
 * names that are taken. Undefined where the facts contradict each other, so that nothing runs.
 */
export function prover(facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): Prove | undefined {
  const known = [...facts, ...facts.flatMap(ofQuotient)];
  const direct = atOnce(known, running, declared);
  return direct && ((d) => direct(d) || caseByCase(d, known, running, declared) || asOne(direct, d, known, running, declared));
}
type Prove = (d: Dim) => boolean;

/** What a test of a quotient says of the sum that is divided. */
function ofQuotient({ a, op, b }: Fact): Fact[] {
  const gap = sub(sub(b, a), 1);
  const [term, ...others] = termsOf(gap);
  if (op !== "<" || typeof gap === "number" || others.length || term?.atom.kind !== "div") return [];
  const { a: whole, b: size } = term.atom;
  if (typeof size !== "number" || size <= 0) return [];
  const end = gap.offset / -term.by;
  return term.by < 0 ? [{ a: whole, op: "<", b: size * (Math.floor(end) + 1) }] : [{ a: size * Math.ceil(end) - 1, op: "<", b: whole }];
}
/** For each value of a variable that has few: tests that bound it together with others bound these then, and so do the ends of axes that name it. */
function caseByCase(d: Dim, facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): boolean {
  const values = (v: Dim): number => hi(v) - lo(v) + 1;
  const all = [...occurrences(d).values()];
  const few = all.filter(([, v]) => values(v) <= mostCases).sort((x, y) => values(x[1]) - values(y[1]));
  return few.some(([name, v]) => {
    const known = [...facts, ...all.flatMap(([, x]) => (dependsOn(belowOf(x) ?? 0, name) ? ends(x) : []))];
    return Array.from({ length: values(v) }, (_, i) => new Map<string, Dim>([[name, lo(v) + i]])).every((names) => {
      const prove = atOnce(under(known, names), under(running, names), declared);
      return !prove || prove(substitute(d, names));
    });
  });
}
/** With one name for a sum that is divided by a size and known to be less: the quotient is 0 then, and the rest is the sum. */
function asOne(direct: Prove, d: Dim, facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): boolean {
  return [...quotients(d).values()].some(({ a, b }) => {
    if (typeof a === "number" || typeof b === "number" || !(lo(a) >= 0) || !direct(sub(sub(b, a), 1))) return false;
    return a.terms.some(({ atom, by }) => {
      if (atom.kind !== "var" || by !== 1 || declared.has(`${atom.name}_sum`)) return false;
      const one = variable(`${atom.name}_sum`, 0, hi(b) - 1, b);
      const names = new Map([[atom.name, sub(one, sub(a, variable(atom.name, atom.min, atom.max, atom.below)))]]);
      const prove = atOnce(under(facts, names), under(running, names), declared);
      return !prove || prove(substitute(d, names));
    });
  });
}
const termsOf = (d: Dim): readonly Term[] => (typeof d === "number" ? [] : d.terms);
/** Divisions in an expression, and remainders. */
function quotients(d: Dim, into: Map<string, { readonly a: Dim; readonly b: Dim }> = new Map()): typeof into {
  const atom = (x: Atom): void => {
    if (x.kind === "prod") x.factors.forEach(atom);
    else if (x.kind !== "var") {
      if (x.kind === "div" || x.kind === "mod") into.set(x.key, x);
      quotients(x.a, into);
      quotients(x.b, into);
    }
  };
  if (typeof d !== "number") for (const t of d.terms) atom(t.atom);
  return into;
}
const under = (all: readonly Fact[], names: ReadonlyMap<string, Dim>): Fact[] =>
  all.map((f) => ({ a: substitute(f.a, names), op: f.op, b: substitute(f.b, names) }));

function atOnce(facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): Prove | undefined {
  const plain = narrowed({ names: [], facts });
  const apart = inDigits(facts, declared);
  const digits = apart ? narrowed(apart) : [];
  if (!plain || !digits) return undefined;
  const [, tight, tighter] = plain as [View, View, View];
  return (d) =>
    shown(d, tight) ||
    nonNegative(d, [...facts, ...running]) ||
    digits.some((v) => shown(d, v)) ||
    everywhere(d, facts) ||
    everywhere(seen(d, tighter), tighter.facts);
}

/** Other names for the same numbers, which replace each other in turn, and what is known of them. */
interface View {
  readonly names: readonly ReadonlyMap<string, Dim>[];
  readonly facts: readonly Fact[];
}
const renamed = (v: View, names: ReadonlyMap<string, Dim>): View => ({ names: [...v.names, names], facts: under(v.facts, names) });
const seen = (d: Dim, v: View): Dim => v.names.reduce(substitute, d);
const shown = (d: Dim, v: View): boolean => nonNegative(seen(d, v), v.facts);
/**
 * A view, and twice with the bounds that its tests leave: they may leave so little that divisions vanish, and what is left says more then.
 * Undefined where the tests contradict each other, so that nothing runs.
 */
function narrowed(v: View): View[] | undefined {
  const tight = narrow(v.facts);
  const once = tight && renamed(v, tight);
  const tighter = once && narrow(once.facts);
  return tighter && [v, once, renamed(once, tighter)];
}

/** What follows from an integer being more than 0: so are the factors of a product, both sides of a minimum, and what it is a fraction of. */
export function positive(size: Dim): Fact[] {
  if (typeof size === "number") return [];
  const facts: Fact[] = [{ a: 0, op: "<", b: size }];
  const [term] = size.terms;
  const { atom, by } = term!;
  const { offset } = size;
  if (size.terms.length !== 1 || by < 1) return facts;
  if (atom.kind === "min") return [...facts, ...[atom.a, atom.b].flatMap((x) => positive(add(mul(x, by), offset)))];
  if (by !== 1) return facts;
  if (atom.kind === "prod" && offset === 0) return [...facts, ...atom.factors.flatMap((f) => positive(factorOf(f)))];
  if (atom.kind === "div" && typeof atom.b === "number") return [...facts, ...positive(sub(atom.a, atom.b * (1 - offset) - 1))];
  return facts;
}
const factorOf = (atom: Atom): Dim => (atom.kind === "var" ? variable(atom.name, atom.min, atom.max) : 1);

/** Every variable that occurs in an expression, with each of the bounds that it is given. */
export function occurrences(d: Dim, into: Map<string, readonly [string, Dim]> = new Map()): Map<string, readonly [string, Dim]> {
  const atom = (a: Atom): void => {
    if (a.kind === "var") {
      if (!into.has(a.key)) into.set(a.key, [a.name, variable(a.name, a.min, a.max, a.below)]);
    } else if (a.kind === "prod") a.factors.forEach(atom);
    else {
      occurrences(a.a, into);
      occurrences(a.b, into);
    }
  };
  if (typeof d !== "number") for (const t of d.terms) atom(t.atom);
  return into;
}
/** The last resort for few values: tries all of them. Facts about too many other variables are left out. */
function everywhere(d: Dim, facts: readonly Fact[]): boolean {
  const names = new Map<string, Dim>();
  for (const [name, v] of occurrences(d).values()) {
    if (names.has(name)) return false;
    names.set(name, v);
  }
  const count = (): number => [...names.values()].reduce<number>((n, v) => n * (hi(v) - lo(v) + 1), 1);
  if (!(count() <= most)) return false;
  const known: Fact[] = [];
  for (const f of facts) {
    const vars = [...occurrences(f.a).values(), ...occurrences(f.b).values()];
    const [old, others] = [vars.filter(([n]) => names.has(n)), vars.filter(([n]) => !names.has(n))];
    if (!old.length || others.some(([n, v]) => others.some(([m, w]) => n === m && v !== w))) continue;
    for (const [n, v] of others) names.set(n, v);
    if (count() <= most) known.push(f);
    else for (const [n] of others) names.delete(n);
  }
  const axes = [...names];
  const at: Record<string, number> = {};
  const all = (i: number): boolean => {
    const axis = axes[i];
    if (!axis)
      return (
        !known.every((f) => (f.op === "<" ? evaluate(f.a, at) < evaluate(f.b, at) : evaluate(f.a, at) === evaluate(f.b, at))) ||
        evaluate(d, at) >= 0
      );
    for (let x = lo(axis[1]); x <= hi(axis[1]); x++) {
      at[axis[0]] = x;
      if (!all(i + 1)) return false;
    }
    return true;
  };
  return all(0);
}
/**
 * Sums of whose remainders facts speak, by names of their quotients and remainders, which replace one variable of each. Parts of such a sum may
 * have merged in an index, and bounds of one part say nothing of the whole; other quotients of it are known where its remainder is.
 */
function inDigits(facts: readonly Fact[], declared: ReadonlyMap<string, unknown>): View | undefined {
  let view: View = { names: [], facts };
  while (view.names.length < mostDigits) {
    const found = digit(view.facts, declared);
    if (!found) break;
    const [name, value, known] = found;
    const now = renamed(view, new Map([[name, value]]));
    view = { ...now, facts: [...now.facts, ...known] };
  }
  return view.names.length ? view : undefined;
}
/** A variable of a sum of whose remainder a fact speaks, by the sum's quotient and remainder; and what its bounds say of these. */
function digit(facts: readonly Fact[], declared: ReadonlyMap<string, unknown>): Digits | undefined {
  for (const { atom } of facts.flatMap(({ a, b }) => [...termsOf(a), ...termsOf(b)])) {
    const found = atom.kind === "mod" && digitsOf(atom.a, atom.b, declared);
    if (found) return found;
  }
  return undefined;
}
type Digits = readonly [name: string, value: Dim, known: readonly Fact[]];
/** The same of a sum that is divided by a size, or of one that is divided in it. */
function digitsOf(whole: Dim, size: Dim, declared: ReadonlyMap<string, unknown>): Digits | undefined {
  if (typeof size !== "number" || size <= 0) return undefined;
  const [least, most] = [Math.floor(lo(whole) / size), Math.floor(hi(whole) / size)];
  if (!Number.isFinite(least) || !Number.isFinite(most)) return undefined;
  const parts = termsOf(whole).filter(({ by }) => by === 1);
  for (const { atom } of parts) {
    if (atom.kind !== "var") continue;
    const { name } = atom;
    const [high, low] = [`${name}_high`, `${name}_low`];
    const self = variable(name, atom.min, atom.max, atom.below);
    const others = sub(whole, self);
    if (dependsOn(others, name) || declared.has(high) || declared.has(low)) continue;
    const value = sub(add(mul(variable(high, least, most), size), variable(low, 0, size - 1)), others);
    return [name, value, under(ends(self), new Map([[name, value]]))];
  }
  for (const { atom } of parts) {
    const found = atom.kind === "div" && digitsOf(atom.a, atom.b, declared);
    if (found) return found;
  }
  return undefined;
}
/** Combinations of values that are tried. */
const most = 1 << 16;
/** Values of one variable that are. */
const mostCases = 32;
/** Sums that are named by their digits. */
const mostDigits = 4;
/** What the bounds of a variable say. */
const ends = (v: Dim): Fact[] => [
  { a: lo(v) - 1, op: "<", b: v },
  { a: v, op: "<", b: belowOf(v) ?? hi(v) + 1 },
];
/** The dim that a variable is always less than. */
export const belowOf = (v: Dim): Dim | undefined =>
  typeof v !== "number" && v.terms[0]?.atom.kind === "var" ? v.terms[0].atom.below : undefined;
