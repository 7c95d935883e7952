/** Integer expressions in C-like languages. */
import { type Atom, type Dim, hi, lo } from "../core/expr.js";

/** How far a quotient's operands reach: below 2^32 and not negative, not negative, or anything. */
export type Reach = "u32" | "u64" | "any";

/** The words that differ between languages. Division rounds down. */
export interface IndexWords {
  number(n: number): string;
  div(a: string, b: string, reach: Reach): string;
  mod(a: string, b: string, reach: Reach): string;
  xor(a: string, b: string): string;
  min(a: string, b: string): string;
  max(a: string, b: string): string;
}

/** The text of an expression; products and sums are spelled alike everywhere. Safe as an operand of `+` and inside brackets. */
export function spellIndex(e: Dim, name: (variable: string) => string, words: IndexWords): string {
  if (typeof e === "number") return words.number(e);
  const sub = (d: Dim): string => spellIndex(d, name, words);
  const reach = (a: Dim, b: Dim): Reach => (lo(a) < 0 || lo(b) < 0 ? "any" : hi(a) < 2 ** 32 && hi(b) < 2 ** 32 ? "u32" : "u64");
  const atom = (a: Atom): string => {
    switch (a.kind) {
      case "var":
        return name(a.name);
      case "prod":
        return a.factors.map(atom).join(" * ");
      case "div":
        return words.div(sub(a.a), sub(a.b), reach(a.a, a.b));
      case "mod":
        return words.mod(sub(a.a), sub(a.b), reach(a.a, a.b));
      case "xor":
        return words.xor(sub(a.a), sub(a.b));
      case "min":
        return words.min(sub(a.a), sub(a.b));
      case "max":
        return words.max(sub(a.a), sub(a.b));
      default:
        return a satisfies never;
    }
  };
  const parts = e.terms.map((t) => (t.by === 1 ? atom(t.atom) : `${words.number(t.by)} * ${atom(t.atom)}`));
  if (e.offset) parts.push(words.number(e.offset));
  const text = parts.join(" + ").replaceAll("+ -", "- ");
  return parts.length > 1 ? `(${text})` : text;
}
