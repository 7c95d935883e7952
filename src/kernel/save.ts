/** Kernels as JSON: canonical (equal kernels, and only those, have equal text), and read back with every field checked. */
import { type DType, dtypes, isWide } from "../core/dtype.js";
import { FormatError } from "../core/errors.js";
import { type Dim, show } from "../core/expr.js";
import { parseDim, writeDim } from "../core/expr-text.js";
import { type ScalarOp, scalarOps } from "../ops/scalar.js";
import type { Kernel } from "./kernel.js";
import { verifyKernel } from "./verify.js";

/** How a field is written. `x?` may be absent, `x[]` is a list; other words are records of `records` or unions of `unions`. */
type Field = string;
type Shape = Readonly<Record<string, Field>>;

const records: Readonly<Record<string, Shape>> = {
  kernel: { name: "text", buffers: "buffer[]", dims: "dim[]", grid: "dim", threads: "number", body: "stmt[]", runs: "dim?" },
  buffer: {
    name: "text",
    dtype: "dtype",
    space: "global|shared|reg|signal",
    size: "dim",
    writes: "flag?",
    fixed: "flag?",
    window: "window?",
  },
  window: { first: "number", count: "number" },
  axis: { name: "text", size: "dim", kind: "loop|unroll|vector" },
  ref: { buffer: "text", index: "dim" },
  settled: { buffer: "text", index: "dim", count: "number" },
  test: { a: "dim", op: "<|==", b: "dim" },
  unit: {
    name: "text",
    m: "number",
    n: "number",
    k: "number",
    lanes: "number",
    operands: "registers|shared",
    input: "dtype",
    regs: "regs",
    layout: "layout?",
    rounds: "flag?",
    turned: "flag?",
  },
  regs: { a: "number", b: "number", acc: "number" },
  layout: { row: "digit[]", column: "digit[]" },
  digit: { of: "lane|register", over: "number", size: "number", by: "number" },
};
const combiner = "add|mul|max|min|or|and";
const unions: Readonly<Record<string, Readonly<Record<string, Shape>>>> = {
  stmt: {
    for: { axis: "axis", body: "stmt[]" },
    if: { test: "test", body: "stmt[]", else: "stmt[]?" },
    when: { test: "value", body: "stmt[]", else: "stmt[]?" },
    let: { name: "text", value: "value" },
    letIndex: { name: "text", value: "value", min: "number", max: "dim" },
    store: { buffer: "text", index: "dim", value: "value", hint: "stream?" },
    atomic: { op: combiner, buffer: "text", index: "dim", value: "value" },
    combine: { op: combiner, axes: "axis[]", threads: "number", value: "value", into: "ref" },
    prefetch: { buffer: "text", index: "dim", second: "flag?", count: "number?" },
    barrier: { warp: "flag?" },
    copy: { to: "ref", from: "ref", count: "number" },
    commit: {},
    dependency: { op: "release|await" },
    wait: { pending: "number" },
    registers: { change: "more|fewer", count: "number" },
    copyTile: { to: "ref", from: "text", origin: "dim[]", box: "number[]", columns: "number", signal: "ref" },
    signal: { op: "arm|expect|arrive|await", on: "ref", amount: "dim" },
    turn: { to: "ref", toStride: "dim", from: "ref", fromStride: "dim", rows: "number" },
    fill: { unit: "unit", acc: "ref" },
    fetch: { unit: "unit", into: "ref", from: "ref", stride: "dim", count: "number", transposed: "boolean", hint: "stream?" },
    mma: { unit: "unit", acc: "ref", a: "ref", b: "ref", fresh: "flag?" },
    spill: { unit: "unit", acc: "ref", to: "ref", stride: "dim" },
    issue: { unit: "unit", body: "stmt[]" },
    settle: { unit: "unit", pending: "number", of: "settled?" },
  },
  value: {
    const: { dtype: "dtype", value: "scalar" },
    index: { dtype: "dtype", expr: "dim" },
    load: { dtype: "dtype", buffer: "text", index: "dim" },
    word: { dtype: "u32", buffer: "text", index: "dim" },
    ref: { dtype: "dtype", name: "text" },
    select: { dtype: "dtype", tests: "test[]", then: "value", else: "value" },
    op: { dtype: "dtype", op: "op", args: "value[]" },
  },
};

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** One direction of the conversion. */
interface Way {
  leaf(kind: string, x: unknown): unknown;
}
const fail = (what: string): never => {
  throw new FormatError(`not a kernel: ${what}`);
};

function convert(field: Field, x: unknown, way: Way, depth: number): unknown {
  if (depth > 200) fail("nested too deeply");
  if (field.endsWith("?")) return x === undefined ? undefined : convert(field.slice(0, -1), x, way, depth);
  if (field.endsWith("[]")) {
    if (!Array.isArray(x)) fail(`${field} is not a list`);
    return (x as unknown[]).map((y) => convert(field.slice(0, -2), y, way, depth + 1));
  }
  const record = records[field];
  const union = unions[field];
  if (!record && !union) return way.leaf(field, x);
  if (typeof x !== "object" || x === null || Array.isArray(x)) return fail(`a ${field} is not a record`);
  const given = x as Readonly<Record<string, unknown>>;
  const kind = union ? `${given["kind"]}` : undefined;
  const shape = record ?? (Object.hasOwn(union!, kind!) ? union![kind!]! : fail(`there is no ${field} called ${kind}`));
  const out: Record<string, unknown> = kind === undefined ? {} : { kind };
  for (const key of Object.keys(given)) if (key !== "kind" && !Object.hasOwn(shape, key)) fail(`a ${kind ?? field} has no ${key}`);
  for (const [key, type] of Object.entries(shape)) {
    const y = convert(type, given[key], way, depth + 1);
    if (y !== undefined) out[key] = y;
  }
  return out;
}

const special = ["NaN", "Infinity", "-Infinity", "-0"];
const write: Way = {
  leaf(kind, x) {
    if (kind === "dim") return typeof x === "number" ? x : writeDim(x as Dim);
    if (kind !== "scalar") return x;
    if (typeof x === "bigint") return `${x}n`;
    return Object.is(x, -0) || !Number.isFinite(x) ? (Object.is(x, -0) ? "-0" : `${x as number}`) : x;
  },
};
const read: Way = {
  leaf(kind, x) {
    switch (kind) {
      case "text":
        return typeof x === "string" && x.length < 1000 ? x : fail("a name is not text");
      case "number":
        return Number.isSafeInteger(x) ? x : fail(`${x} is not a whole number`);
      case "flag":
        return x === true ? x : fail("a flag is true or absent");
      case "boolean":
        return typeof x === "boolean" ? x : fail("not true or false");
      case "dtype":
        return typeof x === "string" && Object.hasOwn(dtypes, x) ? (x as DType) : fail(`there is no dtype ${x}`);
      case "op":
        return typeof x === "string" && Object.hasOwn(scalarOps, x) ? (x as ScalarOp) : fail(`there is no scalar operation ${x}`);
      case "dim":
        return Number.isSafeInteger(x) ? x : typeof x === "string" ? parseDim(x) : fail("a size or index is neither a number nor text");
      case "scalar":
        if (typeof x === "number") return x;
        if (typeof x === "string" && /^-?\d{1,20}n$/.test(x)) return BigInt(x.slice(0, -1));
        return typeof x === "string" && special.includes(x) ? Number(x) : fail(`${x} is not a number`);
      default:
        return typeof x === "string" && kind.split("|").includes(x) ? x : fail(`${x} is none of ${kind}`);
    }
  },
};

/** A kernel as JSON, its fields in one order. */
export const writeKernel = (k: Kernel): string => JSON.stringify(convert("kernel", k, write, 0) as Json);

/** Reads what `writeKernel` wrote, and verifies it. */
export function readKernel(text: string): Kernel {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("not a kernel: not JSON", { cause });
  }
  const k = convert("kernel", json, read, 0) as Kernel;
  for (const [what, at] of constants(k)) if ((typeof at === "bigint") !== isWide(what)) fail(`${at} is not an element of ${what}`);
  if (new Set(k.dims.map(show)).size !== k.dims.length) fail("a dim stands twice");
  return verifyKernel(k);
}
/** Every constant with its dtype. */
function constants(x: unknown, into: [DType, unknown][] = []): [DType, unknown][] {
  if (Array.isArray(x)) for (const y of x) constants(y, into);
  else if (typeof x === "object" && x !== null && !("terms" in x)) {
    const v = x as Readonly<Record<string, unknown>>;
    if (v["kind"] === "const") into.push([v["dtype"] as DType, v["value"]]);
    else for (const y of Object.values(v)) constants(y, into);
  }
  return into;
}

/** Canonical text of a kernel whatever it is called: equal texts mean equal kernels. */
export const kernelText = (k: Kernel): string => writeKernel({ ...k, name: "" });
