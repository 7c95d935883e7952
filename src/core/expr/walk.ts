/** Substitution, evaluation, variables, strides and text of expressions. */
import { add, div, max, min, mod, mul, scale, xor } from "./algebra.js";
import { type Atom, type Dim, type Expr, one, sum, type Term, termsOf, variable } from "./node.js";

interface Memo {
  readonly names: readonly string[];
  readonly dims: readonly Dim[];
  readonly mask: number;
  readonly done: Map<Expr | Atom, Dim>;
}
const memos = new WeakMap<ReadonlyMap<string, Dim>, Memo>();

/** What is remembered about a map of values, as long as the map has not changed. */
function memoOf(values: ReadonlyMap<string, Dim>): Memo {
  const seen = memos.get(values);
  if (seen && seen.names.length === values.size) {
    let i = 0;
    let same = true;
    for (const [name, d] of values) {
      if (seen.names[i] !== name || seen.dims[i] !== d) {
        same = false;
        break;
      }
      i++;
    }
    if (same) return seen;
  }
  let mask = 0;
  for (const name of values.keys()) mask |= maskOfName(name);
  const memo: Memo = { names: [...values.keys()], dims: [...values.values()], mask, done: new Map() };
  memos.set(values, memo);
  return memo;
}
const masks = new Map<string, number>();
function maskOfName(name: string): number {
  let mask = masks.get(name);
  if (mask === undefined) {
    const probe = variable(name, 0, 1);
    mask = typeof probe === "number" ? 0 : probe.mask;
    if (masks.size > 10000) masks.clear();
    masks.set(name, mask);
  }
  return mask;
}

/** Replaces variables by name and rebuilds, so that everything simplifies again (this is how loops unroll). */
export function substitute(e: Dim, values: ReadonlyMap<string, Dim>): Dim {
  if (typeof e === "number" || values.size === 0) return e;
  const memo = memoOf(values);
  return (e.mask & memo.mask) === 0 ? e : rebuild(e, values, memo);
}
function rebuild(e: Dim, values: ReadonlyMap<string, Dim>, memo: Memo): Dim {
  if (typeof e === "number" || (e.mask & memo.mask) === 0) return e;
  const known = memo.done.get(e);
  if (known !== undefined) return known;
  const kept: Term[] = [];
  let moved: Dim = e.offset;
  for (const t of e.terms) {
    const now = (t.atom.mask & memo.mask) === 0 ? undefined : rebuildAtom(t.atom, values, memo);
    if (now === undefined) kept.push(t);
    else moved = add(moved, scale(now, t.by));
  }
  const out = kept.length === e.terms.length ? e : add(sum(kept, 0), moved);
  memo.done.set(e, out);
  return out;
}
function rebuildAtom(a: Atom, values: ReadonlyMap<string, Dim>, memo: Memo): Dim {
  if (a.kind === "var") {
    const v = values.get(a.name);
    if (v !== undefined) return v;
    return a.below ? variable(a.name, a.min, a.max, rebuild(a.below, values, memo)) : one(a);
  }
  const known = memo.done.get(a);
  if (known !== undefined) return known;
  const out = rebuildInner(a, values, memo);
  memo.done.set(a, out);
  return out;
}
function rebuildInner(a: Exclude<Atom, { kind: "var" }>, values: ReadonlyMap<string, Dim>, memo: Memo): Dim {
  switch (a.kind) {
    case "prod": {
      let p: Dim = 1;
      for (const f of a.factors) p = mul(p, rebuildAtom(f, values, memo));
      return p;
    }
    case "div":
      return div(rebuild(a.a, values, memo), rebuild(a.b, values, memo));
    case "mod":
      return mod(rebuild(a.a, values, memo), rebuild(a.b, values, memo));
    case "xor":
      return xor(rebuild(a.a, values, memo), rebuild(a.b, values, memo));
    case "min":
      return min(rebuild(a.a, values, memo), rebuild(a.b, values, memo));
    case "max":
      return max(rebuild(a.a, values, memo), rebuild(a.b, values, memo));
    default:
      return a satisfies never;
  }
}

/** Value of an expression; every variable must be bound. Division by zero gives 0. */
export function evaluate(e: Dim, values: Readonly<Record<string, number>>): number {
  if (typeof e === "number") return e;
  let total = e.offset;
  for (const t of e.terms) total += t.by * evaluateAtom(t.atom, values);
  return total;
}
function evaluateAtom(a: Atom, values: Readonly<Record<string, number>>): number {
  switch (a.kind) {
    case "var": {
      const v = values[a.name];
      if (v === undefined) throw new Error(`dim ${a.name} has no value`);
      return v;
    }
    case "div":
    case "mod": {
      const [x, y] = [evaluate(a.a, values), evaluate(a.b, values)];
      return a.kind === "div" ? (div(x, y) as number) : mod(x, y);
    }
    case "xor":
      return evaluate(a.a, values) ^ evaluate(a.b, values);
    case "min":
      return Math.min(evaluate(a.a, values), evaluate(a.b, values));
    case "max":
      return Math.max(evaluate(a.a, values), evaluate(a.b, values));
    case "prod":
      return a.factors.reduce((p, f) => p * evaluateAtom(f, values), 1);
    default:
      return a satisfies never;
  }
}

/** Every variable that occurs, by name. What only bounds another variable does not count. */
export function variables(e: Dim, into: Map<string, Dim> = new Map()): Map<string, Dim> {
  for (const t of termsOf(e)) gather(t.atom, into);
  return into;
}
function gather(a: Atom, into: Map<string, Dim>): void {
  if (a.kind === "var") {
    if (!into.has(a.name)) into.set(a.name, one(a));
  } else if (a.kind === "prod") for (const f of a.factors) gather(f, into);
  else {
    variables(a.a, into);
    variables(a.b, into);
  }
}

/** Coefficient of a variable, or undefined where the variable also occurs inside a div, mod, xor, min, max or product. */
export function stride(e: Dim, name: string): number | undefined {
  let s = 0;
  const mask = maskOfName(name);
  for (const { atom, by } of termsOf(e)) {
    if ((atom.mask & mask) !== mask) continue;
    if (atom.kind === "var") {
      if (atom.name === name) s += by;
    } else if (mentions(atom, name)) return undefined;
  }
  return s;
}
/** Coefficient of a variable as an expression of others (n in i * n + j), or undefined where it is not linear. */
export function coefficient(e: Dim, name: string): Dim | undefined {
  let s: Dim = 0;
  for (const { atom, by } of termsOf(e)) {
    if (!mentions(atom, name)) continue;
    if (atom.kind === "var") s = add(s, by);
    else if (atom.kind === "prod") {
      const rest = atom.factors.filter((f) => !(f.kind === "var" && f.name === name));
      if (rest.length !== atom.factors.length - 1 || rest.some((f) => mentions(f, name))) return undefined;
      s = add(
        s,
        scale(
          rest.reduce<Dim>((p, f) => mul(p, one(f)), 1),
          by,
        ),
      );
    } else return undefined;
  }
  return s;
}
/** True where a variable of that name occurs. */
export const dependsOn = (e: Dim, name: string): boolean => typeof e !== "number" && e.terms.some((t) => mentions(t.atom, name));
function mentions(a: Atom, name: string): boolean {
  if ((a.mask & maskOfName(name)) === 0) return false;
  if (a.kind === "var") return a.name === name;
  if (a.kind === "prod") return a.factors.some((f) => mentions(f, name));
  return dependsOn(a.a, name) || dependsOn(a.b, name);
}

/** Text that `parseDim` (expr-text.ts) reads back when the bounds of its variables are known. */
export function show(e: Dim): string {
  if (typeof e === "number") return `${e}`;
  const parts = e.terms.map(({ atom: a, by }) => (by === 1 ? showAtom(a) : by === -1 ? `-${showAtom(a)}` : `${by}*${showAtom(a)}`));
  if (e.offset) parts.push(`${e.offset}`);
  return parts.join(" + ").replaceAll("+ -", "- ");
}
function showAtom(a: Atom): string {
  switch (a.kind) {
    case "var":
      return a.name;
    case "prod":
      return a.factors.map(showAtom).join("*");
    case "min":
    case "max":
      return `${a.kind}(${show(a.a)}, ${show(a.b)})`;
    case "div":
    case "mod":
    case "xor":
      return `((${show(a.a)}) ${a.kind === "div" ? "/" : a.kind === "mod" ? "%" : "^"} (${show(a.b)}))`;
    default:
      return a satisfies never;
  }
}
