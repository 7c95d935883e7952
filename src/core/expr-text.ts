import { FormatError } from "./errors.js";
import { add, type Dim, div, hi, lo, max, min, mod, mul, show, sub, variable, variables, xor } from "./expr.js";

/** Range of each symbolic dim, by name. */
export type Ranges = ReadonlyMap<string, Dim>;

/** Text of a dim with the ranges of its variables: `2*n + 1 | n 1 256`. `parseDim` reads it back. */
export function writeDim(d: Dim): string {
  if (typeof d === "number") return `${d}`;
  let text = texts.get(d);
  if (text === undefined) {
    const vars = [...variables(d)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, v]) => `${name} ${lo(v)} ${hi(v)}`);
    text = `${show(d)} | ${vars.join(", ")}`;
    texts.set(d, text);
  }
  return text;
}
const texts = new WeakMap<object, string>();

/** Reads what `writeDim` or `show` wrote; `known` gives the ranges of variables that the text does not declare. */
export function parseDim(text: string, known: Ranges = new Map()): Dim {
  const bar = text.indexOf("|");
  const ranges = new Map(known);
  if (bar >= 0)
    for (const part of text.slice(bar + 1).split(",")) {
      const [, name, least, most] = /^\s*([A-Za-z_$#@][\w.$#@]*) (-?\d{1,16}) (-?\d{1,16})\s*$/.exec(part) ?? fail(part);
      if (!(Number.isSafeInteger(Number(least)) && Number.isSafeInteger(Number(most)) && Number(least) <= Number(most))) fail(part);
      ranges.set(name!, variable(name!, Number(least), Number(most)));
    }
  const source = bar >= 0 ? text.slice(0, bar) : text;
  const tokens = source.match(/\d+|[A-Za-z_$#@][\w.$#@]*|\S/g) ?? [];
  let at = 0;
  let depth = 0;
  const take = (token: string): boolean => tokens[at] === token && ++at > 0;
  const need = (token: string): void => {
    if (!take(token)) fail(source);
  };
  const checked = (d: Dim): Dim => {
    if (!(Number.isSafeInteger(lo(d)) && Number.isSafeInteger(hi(d)))) fail(source);
    return d;
  };
  const divisor = (d: Dim): Dim => (lo(d) > 0 ? d : fail(source));
  const whole = (): Dim => {
    if (++depth > 200) fail(source);
    let e = sum();
    while (take("^")) {
      const b = sum();
      if (lo(e) < 0 || lo(b) < 0) fail(source);
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
      if (take("*")) e = checked(mul(e, factor()));
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
  const e = whole();
  if (at !== tokens.length) fail(source);
  return e;
}
function fail(text: string): never {
  throw new FormatError(`"${text.slice(0, 80)}" is not an integer expression over known dims`);
}
