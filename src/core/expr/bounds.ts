/** What can be proved about expressions: from the bounds of variables, from `below`, and from tests that hold. */
import { add, div, exact, mul, scale, sub } from "./algebra.js";
import { type Atom, type Dim, type Expr, hi, lo, monomial, one, sum, type Term, termsOf, variable } from "./node.js";

/** A comparison that holds (a test of a branch). */
export interface Fact {
  readonly a: Dim;
  readonly op: "<" | "==";
  readonly b: Dim;
}

/** True where d >= 0 can be proved for all values of the variables that satisfy `facts`. */
export function nonNegative(d: Dim, facts: readonly Fact[] = []): boolean {
  if (lo(d) >= 0) return true;
  if (hi(d) < 0) return false;
  // What variables say themselves often suffices, and facts make the search wide.
  const known = facts.flatMap(gaps);
  return [[], ...(known.length ? [known] : [])].some((gaps) => search(d, gaps, { left: 80, seen: new Map() }, 6));
}
/** True where a < b can be proved. */
export const less = (a: Dim, b: Dim, facts: readonly Fact[] = []): boolean => nonNegative(sub(sub(b, a), 1), facts);

/** What a test says, as expressions that are not negative. */
function gaps(f: Fact): Dim[] {
  const gap = sub(f.b, f.a);
  return f.op === "<" ? [sub(gap, 1)] : [gap, scale(gap, -1)];
}

/** Steps left, and what was tried already: the same bounds in another order lead to the same expressions. */
interface Budget {
  left: number;
  readonly seen: Map<Dim, number>;
}
/** Replaces one atom after another by a bound of it, towards a smaller value, until plain bounds suffice. */
function search(d: Dim, known: readonly Dim[], budget: Budget, depth: number): boolean {
  if (lo(d) >= 0) return true;
  if (typeof d === "number" || depth === 0) return false;
  const tried = 8 * known.length + depth;
  if ((budget.seen.get(d) ?? 0) >= tried || budget.left-- <= 0) return false;
  budget.seen.set(d, tried);
  for (const gap of known)
    for (const k of multipliers(d, gap)) {
      const rest = sub(d, mul(k, gap));
      if (
        rest !== d &&
        search(
          rest,
          known.filter((g) => g !== gap),
          budget,
          depth - 1,
        )
      )
        return true;
    }
  for (const t of d.terms)
    for (const factor of t.atom.kind === "prod" ? new Set(t.atom.factors) : [t.atom]) {
      const others = t.atom.kind === "prod" ? rest(t.atom.factors, factor) : 1;
      if (lo(others) < 0) continue;
      for (const bound of t.by > 0 ? lower(factor, t, others) : upper(factor, t, others)) {
        const smaller = add(
          sum(
            d.terms.filter((x) => x !== t),
            d.offset,
          ),
          bound,
        );
        if (smaller !== d && search(smaller, known, budget, depth - 1)) return true;
      }
    }
  return false;
}
const rest = (factors: readonly Atom[], f: Atom): Dim => {
  const at = factors.indexOf(f);
  return one(monomial(factors.filter((_, i) => i !== at)));
};
/** Factors k >= 0 for which k * gap cancels a term of d. */
function multipliers(d: Expr, gap: Dim): Dim[] {
  const out = new Set<Dim>();
  for (const g of termsOf(gap))
    for (const t of d.terms) {
      const k = exact(scale(one(t.atom), t.by), scale(one(g.atom), g.by));
      if (k !== undefined && lo(k) >= 0) out.add(k);
    }
  return [...out];
}

/** A fraction of, or the lesser of, what is never negative for reasons that plain bounds do not show. */
const neverNegative = (f: Atom): boolean =>
  (f.kind === "div" && lo(f.b) > 0 && nonNegative(f.a)) || (f.kind === "min" && nonNegative(f.a) && nonNegative(f.b));
/** Values that by * factor * others (with by > 0, others >= 0) is never below. */
function lower(f: Atom, t: Term, others: Dim): Dim[] {
  const out: Dim[] = [];
  const least = (x: Dim): unknown => out.push(scale(mul(x, others), t.by));
  if (others !== 1 && Number.isFinite(f.min)) least(f.min);
  if (f.min < 0 && neverNegative(f)) least(0);
  if (f.kind === "max") {
    least(f.a);
    least(f.b);
  }
  if (f.kind === "div" && lo(f.b) >= 0) {
    // (a / b) * b >= a - (b - 1)
    const k = exact(scale(others, t.by), f.b);
    if (k !== undefined && lo(k) >= 0) out.push(mul(k, sub(f.a, sub(f.b, 1))));
  }
  return out;
}
/** Values that by * factor * others (with by < 0, others >= 0) is never below. */
function upper(f: Atom, t: Term, others: Dim): Dim[] {
  const out: Dim[] = [];
  const most = (x: Dim): unknown => out.push(scale(mul(x, others), t.by));
  if (f.kind === "var" && f.below) most(sub(f.below, 1));
  if (f.kind === "mod" && lo(f.b) >= 0 && typeof f.b !== "number") most(sub(f.b, 1));
  if (f.kind === "mod" && lo(f.a) >= 0) most(f.a);
  if (f.kind === "min") {
    most(f.a);
    most(f.b);
  }
  if (f.kind === "div" && lo(f.b) >= 0) {
    // (a / b) * b <= a
    const k = exact(scale(others, t.by), f.b);
    if (k !== undefined && hi(k) <= 0) out.push(mul(k, f.a));
    const top = ceiling(f.a);
    if (top !== f.a) most(div(top, f.b));
  }
  if (others !== 1 && Number.isFinite(f.max)) most(f.max);
  return out;
}
/** A value that a is never above, with variables replaced by what they stay below. */
function ceiling(a: Dim): Dim {
  let top = a;
  for (const t of termsOf(a)) {
    if (t.by < 0) continue;
    const factors = t.atom.kind === "prod" ? t.atom.factors : [t.atom];
    const f = factors.find((x) => x.kind === "var" && x.below);
    if (f?.kind !== "var" || !f.below) continue;
    const others = factors.length > 1 ? rest(factors, f) : 1;
    if (lo(others) >= 0) top = add(top, scale(mul(sub(sub(f.below, 1), one(f)), others), t.by));
  }
  return top;
}

/**
 * Tighter bounds of variables where `facts` hold: variables by name, ready for `substitute`, whose result then has the bounds that
 * hold under the tests. Undefined where the facts contradict each other.
 */
export function narrow(facts: readonly Fact[]): Map<string, Dim> | undefined {
  const bounds = new Map<Atom, { min: number; max: number }>();
  const known = (a: Atom): { min: number; max: number } => bounds.get(a) ?? a;
  const sums = facts.flatMap(gaps);
  let changed = true;
  const limit = (a: Atom, least: number, most: number): boolean => {
    const now = known(a);
    const min = Math.max(now.min, least);
    const max = Math.min(now.max, most);
    if (min > max) return false;
    if (min === now.min && max === now.max) return true;
    bounds.set(a, { min, max });
    changed = true;
    // a / c in [p, q] puts a into [p * c, q * c + c - 1].
    if (a.kind === "div" && typeof a.b === "number" && a.b > 0) return within(a.a, min * a.b, max * a.b + a.b - 1);
    return true;
  };
  /** least <= d <= most, told to each atom of d. */
  const within = (d: Dim, least: number, most: number): boolean => {
    if (typeof d === "number") return d >= least && d <= most;
    for (const t of d.terms) {
      let low = d.offset;
      let high = d.offset;
      for (const s of d.terms) {
        if (s === t) continue;
        const k = known(s.atom);
        low += s.by * (s.by > 0 ? k.min : k.max);
        high += s.by * (s.by > 0 ? k.max : k.min);
      }
      const [p, q] = [(least - high) / t.by, (most - low) / t.by];
      if (Number.isNaN(p) || Number.isNaN(q)) continue;
      if (!limit(t.atom, Math.ceil(Math.min(p, q)), Math.floor(Math.max(p, q)))) return false;
    }
    return true;
  };
  for (let round = 0; round < 4 && changed; round++) {
    changed = false;
    for (const d of sums) if (!within(d, 0, Infinity)) return undefined;
  }
  const out = new Map<string, Dim>();
  for (const [a, b] of bounds) if (a.kind === "var") out.set(a.name, variable(a.name, b.min, b.max, a.below));
  return out;
}
