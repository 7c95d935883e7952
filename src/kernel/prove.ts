/** Proofs that a number is never negative, from what is known where it is used: how the verifier knows that an index lies inside its buffer. */
import {
  type Atom,
  add,
  type Dim,
  evaluate,
  type Fact,
  hi,
  lo,
  mul,
  narrow,
  nonNegative,
  sub,
  substitute,
  variable,
} from "../core/expr.js";

/**
 * What tells of a number whether it is shown to be at least 0: given `facts`, and `running`, which hold wherever the kernel runs. `declared` are
 * names that are taken. Undefined where the facts contradict each other, so that nothing runs.
 */
export function prover(facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): Prove | undefined {
  const direct = atOnce(facts, running, declared);
  return direct && ((d) => direct(d) || caseByCase(d, facts, running, declared) || asOne(direct, d, facts, running, declared));
}
type Prove = (d: Dim) => boolean;

/** For each value of a variable that has few: tests that bound it together with others bound these then. */
function caseByCase(d: Dim, facts: readonly Fact[], running: readonly Fact[], declared: ReadonlyMap<string, unknown>): boolean {
  const values = (v: Dim): number => hi(v) - lo(v) + 1;
  const few = [...occurrences(d).values()].filter(([, v]) => values(v) <= mostCases).sort((x, y) => values(x[1]) - values(y[1]));
  return few.some(([name, v]) =>
    Array.from({ length: values(v) }, (_, i) => new Map<string, Dim>([[name, lo(v) + i]])).every((names) => {
      const prove = atOnce(under(facts, names), under(running, names), declared);
      return !prove || prove(substitute(d, names));
    }),
  );
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
  // The tests around it may leave so little that divisions vanish; where they contradict each other nothing runs.
  const tight = narrow(facts);
  if (!tight) return undefined;
  const left = under(facts, tight);
  // Where divisions have vanished, what is left says more.
  const tighter = narrow(left);
  if (!tighter) return undefined;
  const last = under(left, tighter);
  const digits = digitsOf(facts, declared);
  const apart = digits.size ? under(facts, digits) : [];
  return (d) =>
    nonNegative(substitute(d, tight), left) ||
    nonNegative(d, [...facts, ...running]) ||
    (digits.size > 0 && nonNegative(substitute(d, digits), apart)) ||
    everywhere(d, facts) ||
    everywhere(substitute(substitute(d, tight), tighter), last);
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
/** Variables of whose digits facts speak, as sums of these digits: they may have merged in an index, and bounds of one say nothing of the sum. */
function digitsOf(facts: readonly Fact[], declared: ReadonlyMap<string, unknown>): ReadonlyMap<string, Dim> {
  const found = new Map<string, Dim>();
  for (const { a, b } of facts)
    for (const side of [a, b])
      for (const { atom } of typeof side === "number" ? [] : side.terms) {
        if (atom.kind !== "mod" || typeof atom.b !== "number" || typeof atom.a === "number") continue;
        const [only] = atom.a.terms;
        if (atom.a.terms.length !== 1 || atom.a.offset || only!.by !== 1 || only!.atom.kind !== "var" || lo(atom.a) < 0) continue;
        const { name } = only!.atom;
        const most = hi(atom.a);
        const [high, low] = [`${name}_high`, `${name}_low`];
        if (Number.isFinite(most) && most >= atom.b && !declared.has(high) && !declared.has(low))
          found.set(name, add(mul(variable(high, 0, Math.floor(most / atom.b)), atom.b), variable(low, 0, atom.b - 1)));
      }
  return found;
}
/** Combinations of values that are tried. */
const most = 1 << 16;
/** Values of one variable that are. */
const mostCases = 32;
/** The dim that a variable is always less than. */
export const belowOf = (v: Dim): Dim | undefined =>
  typeof v !== "number" && v.terms[0]?.atom.kind === "var" ? v.terms[0].atom.below : undefined;
