import { ArgumentError, FormatError } from "./errors.js";
import { add, type Dim, div, type Expr, hi, lo, max, min, mod, mul, show, sub, variable, variables, xor } from "./expr.js";

/** Range of each symbolic dim, by name. */
export type Ranges = ReadonlyMap<string, Dim>;

/** Text of a dim with the ranges of its variables: `2*n + 1 | n 1 256`. `parseDim` reads it back. */
export function writeDim(d: Dim): string {
  if (typeof d === "number") return `${d}`;
  let text = texts.get(d);
  if (text === undefined) {
    text = `${show(d)} | ${writeRanges(variables(d)).join(", ")}`;
    texts.set(d, text);
  }
  return text;
}
const texts = new WeakMap<object, string>();

/** `n 1 256` for each variable, in the order in which they can be read; `i 0 255 < n` where one stays below a dim. */
export function writeRanges(vars: ReadonlyMap<string, Dim>): string[] {
  const out = new Map<string, string>();
  const visit = (name: string, v: Dim): void => {
    if (out.has(name)) return;
    const below = belowOf(v);
    if (below) for (const [n, d] of sorted(variables(below))) visit(n, d);
    out.set(name, `${name} ${lo(v)} ${hi(v)}${below ? ` < ${show(below)}` : ""}`);
  };
  for (const [name, v] of sorted(vars)) visit(name, v);
  return [...out.values()];
}
const sorted = (vars: ReadonlyMap<string, Dim>): [string, Dim][] => [...vars].sort(([a], [b]) => (a < b ? -1 : 1));
const belowOf = (v: Dim): Expr | undefined => {
  const atom = typeof v === "number" ? undefined : v.terms[0]?.atom;
  return atom?.kind === "var" ? atom.below : undefined;
};

/** Reads one entry of `writeRanges` into `ranges`. */
export function readRange(part: string, ranges: Map<string, Dim>): void {
  const [, name, least, most, below] = /^\s*([A-Za-z_$#@][\w.$#@]*) (-?\d{1,16}) (-?\d{1,16})(?: < (.*?))?\s*$/.exec(part) ?? fail(part);
  const [min, max] = [Number(least), Number(most)];
  if (!(Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max)) fail(part);
  const v = variable(name!, min, max, below === undefined ? undefined : parseDim(below, ranges));
  if (ranges.has(name!) && ranges.get(name!) !== v) fail(part);
  ranges.set(name!, v);
}

/** Pieces between commas that stand outside of brackets. */
function parts(text: string): string[] {
  const out = [""];
  let depth = 0;
  for (const c of text) {
    if (c === "(") depth++;
    else if (c === ")") depth--;
    if (c === "," && depth === 0) out.push("");
    else out[out.length - 1] += c;
  }
  return out;
}

/** Reads what `writeDim` or `show` wrote; `known` gives the ranges of variables that the text does not declare. */
export function parseDim(text: string, known: Ranges = new Map()): Dim {
  const bar = text.indexOf("|");
  const ranges = new Map(known);
  if (bar >= 0) for (const part of parts(text.slice(bar + 1))) readRange(part, ranges);
  const source = bar >= 0 ? text.slice(0, bar) : text;
  const tokens = source.match(/\d+|[A-Za-z_$#@][\w.$#@]*|\S/g) ?? [];
  let at = 0;
  let depth = 0;
  const take = (token: string): boolean => tokens[at] === token && ++at > 0;
  const need = (token: string): void => {
    if (!take(token)) fail(source);
  };
  /** Products of sums grow without bound in hostile texts. */
  const mostTerms = 1000;
  const checked = (d: Dim): Dim => ((typeof d === "number" ? !Number.isSafeInteger(d) : d.terms.length > mostTerms) ? fail(source) : d);
  /** Multiplied out, a product of sums can have more terms than there is memory for. */
  const product = (a: Dim, b: Dim): Dim =>
    typeof a !== "number" && typeof b !== "number" && a.terms.length * b.terms.length > 1000 ? fail(source) : checked(mul(a, b));
  const divisor = (d: Dim): Dim => (d === 0 ? fail(source) : d);
  const whole = (): Dim => {
    if (++depth > 200) fail(source);
    let e = sum();
    while (take("^")) {
      const b = sum();
      e = xor(e, b);
    }
    depth--;
    return checked(e);
  };
  const sum = (): Dim => {
    let e = term();
    for (;;)
      if (take("+")) e = checked(add(e, term()));
      else if (take("-")) e = checked(sub(e, term()));
      else return e;
  };
  const term = (): Dim => {
    let e = factor();
    for (;;)
      if (take("*")) e = product(e, factor());
      else if (take("/")) e = checked(div(e, divisor(factor())));
      else if (take("%")) e = checked(mod(e, divisor(factor())));
      else return e;
  };
  const factor = (): Dim => {
    if (take("(")) {
      const e = whole();
      need(")");
      return e;
    }
    if (take("-")) {
      if (++depth > 200) fail(source);
      const e = mul(factor(), -1);
      depth--;
      return e;
    }
    const token = tokens[at++] ?? fail(source);
    if (/^\d/.test(token)) return checked(Number(token));
    if ((token === "min" || token === "max") && take("(")) {
      const a = whole();
      need(",");
      const b = whole();
      need(")");
      return token === "min" ? min(a, b) : max(a, b);
    }
    return ranges.get(token) ?? fail(source);
  };
  try {
    const e = whole();
    if (at !== tokens.length) fail(source);
    return e;
  } catch (error) {
    if (error instanceof ArgumentError) throw new FormatError(error.message, { cause: error });
    throw error;
  }
}
function fail(text: string): never {
  throw new FormatError(`"${text.slice(0, 80)}" is not an integer expression over known dims`);
}
