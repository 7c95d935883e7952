/**
 * The one canonical text of attributes: it hashes, compares, prints, parses and saves them. Numbers are exact (`nan`, `inf`, `-0`),
 * bigints end in `n`, integer expressions stand in `<...>` with the ranges of their variables, graphs print as graphs.
 */
import { FormatError } from "../core/errors.js";
import { show } from "../core/expr.js";
import { parseDim, type Ranges, writeDim } from "../core/expr-text.js";
import type { Graph } from "./graph.js";
import type { Attr, Attrs } from "./node.js";
import { parseGraph } from "./parse.js";
import { printGraph } from "./print.js";

/** `{axes=[0, 1], value=-0}`, names in order. */
export function writeAttrs(attrs: Attrs, ranges = true): string {
  const names = Object.keys(attrs);
  if (names.length === 0) return "{}";
  if (names.length > 1) names.sort();
  let text = "{";
  for (const name of names) {
    const value = attrs[name];
    if (value !== undefined) text += `${text.length > 1 ? ", " : ""}${name}=${writeAttr(value, ranges)}`;
  }
  return `${text}}`;
}

/** One attribute. Without `ranges`, expressions are written without the ranges of their variables. */
function writeAttr(a: Attr, ranges = true): string {
  switch (typeof a) {
    case "number":
      return writeNumber(a);
    case "bigint":
      return `${a}n`;
    case "string":
      return JSON.stringify(a);
    case "boolean":
      return a ? "true" : "false";
    default:
      if (a === null) return "null";
      if (Array.isArray(a)) return writeList(a as readonly Attr[], ranges);
      if ("terms" in a) return `<${ranges ? writeDim(a) : show(a)}>`;
      return printGraph(a as Graph);
  }
}
function writeList(list: readonly Attr[], ranges: boolean): string {
  let text = "[";
  for (let i = 0; i < list.length; i++) text += (i ? ", " : "") + writeAttr(list[i]!, ranges);
  return `${text}]`;
}
function writeNumber(x: number): string {
  if (x === 0) return Object.is(x, -0) ? "-0" : "0";
  return Number.isFinite(x) ? `${x}` : Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

/** A place in a text that is being read. */
export interface Reader {
  readonly text: string;
  at: number;
  depth: number;
  /** Symbolic dims declared so far. */
  readonly ranges: Ranges;
}

/** Reads what `writeAttrs` wrote, to the end. Throws FormatError. */
export function parseAttrs(text: string, ranges: Ranges = new Map()): Attrs {
  const r: Reader = { text, at: 0, depth: 0, ranges };
  const attrs = readAttrs(r);
  space(r);
  if (r.at !== text.length) failAt(r, "nothing more");
  return attrs;
}

const nameToken = /[A-Za-z_]\w*/y;
const numberToken = /-?(?:inf\b|\d+(?:\.\d+)?(?:e[+-]?\d+)?)|nan\b/y;
const bigToken = /(-?\d{1,400})n/y;
const stringToken = /"(?:[^"\\]|\\.)*"/y;
const wordToken = /true\b|false\b|null\b/y;

/** Attributes at the reader's place. */
export function readAttrs(r: Reader): Attrs {
  expect(r, "{");
  const attrs: Record<string, Attr> = {};
  if (accept(r, "}")) return attrs;
  do {
    const name = token(r, nameToken) ?? failAt(r, "an attribute's name");
    if (Object.hasOwn(attrs, name) || name === "__proto__") failAt(r, "an attribute that is not there yet");
    expect(r, "=");
    attrs[name] = readAttr(r);
  } while (accept(r, ","));
  expect(r, "}");
  return attrs;
}
function readAttr(r: Reader): Attr {
  if (++r.depth > 60) failAt(r, "less nesting");
  const a = readInner(r);
  r.depth--;
  return a;
}
function readInner(r: Reader): Attr {
  if (accept(r, "[")) {
    const list: Attr[] = [];
    if (accept(r, "]")) return list;
    do list.push(readAttr(r));
    while (accept(r, ","));
    expect(r, "]");
    return list;
  }
  if (accept(r, "<")) {
    const end = r.text.indexOf(">", r.at);
    if (end < 0) failAt(r, "the end of an expression");
    const d = parseDim(r.text.slice(r.at, end), r.ranges);
    r.at = end + 1;
    return d;
  }
  const word = token(r, wordToken);
  if (word) return word === "null" ? null : word === "true";
  const big = token(r, bigToken);
  if (big) return BigInt(big.slice(0, -1));
  const number = token(r, numberToken);
  if (number) return number === "nan" ? Number.NaN : number === "inf" ? Infinity : number === "-inf" ? -Infinity : Number(number);
  const string = token(r, stringToken);
  if (string) {
    try {
      return JSON.parse(string) as string;
    } catch {
      failAt(r, "a string");
    }
  }
  if (r.text.startsWith("graph", r.at)) return parseGraph(r);
  return failAt(r, "an attribute");
}

/** Skips blanks. */
export function space(r: Reader): void {
  while (r.at < r.text.length && r.text.charCodeAt(r.at) <= 32) r.at++;
}
/** Moves past `mark` if it stands here. */
export function accept(r: Reader, mark: string): boolean {
  space(r);
  if (!r.text.startsWith(mark, r.at)) return false;
  r.at += mark.length;
  return true;
}
export function expect(r: Reader, mark: string): void {
  if (!accept(r, mark)) failAt(r, `"${mark}"`);
}
/** The text that a sticky pattern matches here, or undefined. */
export function token(r: Reader, pattern: RegExp): string | undefined {
  space(r);
  pattern.lastIndex = r.at;
  const m = pattern.exec(r.text);
  if (!m) return undefined;
  r.at += m[0].length;
  return m[0];
}
export function failAt(r: Reader, wanted: string): never {
  const line = r.text.slice(0, r.at).split("\n").length;
  const found = r.text.slice(r.at, r.at + 40).split("\n")[0];
  throw new FormatError(`line ${line}: ${wanted} expected, found ${found ? JSON.stringify(found) : "the end"}`);
}
