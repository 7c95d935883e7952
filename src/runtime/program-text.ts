/** A Program as JSON and back. Bytes (constants, compiled kernels) are kept outside, as numbered blobs. */
import { type DType, dtypes } from "../core/dtype.js";
import { FormatError } from "../core/errors.js";
import { type Dim, show, variable } from "../core/expr.js";
import { parseDim, type Ranges } from "../core/expr-text.js";
import type { TensorType } from "../core/type.js";
import { readAttention } from "./attention-text.js";
import { asArray, asInteger, asObject, asString, type Json, onlyNames } from "./json.js";
import { readProduct, writeProduct } from "./product-text.js";
import type { BufferPlan, DimRange, KernelCode, Port, Program, Step, StepNote, TargetKey, Tile } from "./program.js";

/** Stores bytes and gives their number; equal bytes may get one number. */
export type StoreBlob = (bytes: Uint8Array) => number;
/** The bytes of a blob, read when they are first asked for. */
export type LoadBlob = (index: number) => Uint8Array;

/** Plain JSON data of a program. */
export function writeProgram(p: Program, store: StoreBlob): Json {
  const note = (n: StepNote | undefined): Json =>
    n ? { note: { tier: n.tier, label: n.label, ops: n.ops, why: n.why, bytes: writeDimText(n.bytes) } } : {};
  const beside = (s: { readonly beside?: true }): Json => (s.beside ? { beside: true } : {});
  const dims = (list: readonly Dim[]): unknown[] => list.map(writeDimText);
  return {
    version: p.version,
    name: p.name,
    key: p.key,
    dims: p.dims,
    inputs: p.inputs.map(writePort),
    outputs: p.outputs.map(writePort),
    state: p.state.map(writePort),
    buffers: p.buffers.map((b) => ({
      role: b.role,
      dtype: b.dtype,
      size: writeDimText(b.size),
      ...(b.offset !== undefined && { offset: writeDimText(b.offset) }),
      ...(b.data && { blob: store(b.data) }),
    })),
    arena: writeDimText(p.arena),
    prelude: p.prelude,
    kernels: p.kernels.map((k) => ({
      entry: k.entry,
      ...(typeof k.source === "string" ? { source: k.source } : { binary: store(k.source) }),
      threads: k.threads,
      sharedBytes: writeDimText(k.sharedBytes),
      writes: k.writes.map(Number),
      ...(k.early && { early: k.early.map(Number) }),
      ...(k.chunks && { chunks: k.chunks }),
      ...(k.tiles && { tiles: k.tiles }),
    })),
    steps: p.steps.map((s): Json => {
      switch (s.kind) {
        case "launch":
          return {
            kind: s.kind,
            kernel: s.kernel,
            buffers: s.buffers,
            dims: dims(s.dims),
            grid: writeDimText(s.grid),
            ...beside(s),
            ...(s.product && { product: writeProduct(s.product) }),
            ...(s.attention && { attention: s.attention as unknown as Json }),
            ...note(s.note),
          };
        case "copy":
          return { kind: s.kind, from: s.from, to: s.to, ...beside(s), ...note(s.note) };
        case "host":
          return {
            kind: s.kind,
            call: s.call,
            payload: s.payload,
            inputs: s.inputs,
            outputs: s.outputs,
            inputTypes: s.inputTypes.map(writeType),
            outputTypes: s.outputTypes.map(writeType),
            ...note(s.note),
          };
        default:
          return s satisfies never;
      }
    }),
  };
}
const writeDimText = (d: Dim): number | string => (typeof d === "number" ? d : show(d));
export const writeType = (t: TensorType): Json => ({ dtype: t.dtype, shape: t.shape.map(writeDimText) });
const writePort = (p: Port): Json => ({ name: p.name, ...writeType(p.type), buffer: p.buffer });

const names = {
  program: ["version", "name", "key", "dims", "inputs", "outputs", "state", "buffers", "arena", "prelude", "kernels", "steps"],
  launch: ["kind", "kernel", "buffers", "dims", "grid", "beside", "product", "attention", "note"],
  copy: ["kind", "from", "to", "beside", "note"],
  host: ["kind", "call", "payload", "inputs", "outputs", "inputTypes", "outputTypes", "note"],
};
const mostText = 1 << 26;

/** Reads what `writeProgram` wrote. The result still has to be verified (verify.ts). */
export function readProgram(json: unknown, load: LoadBlob, what: string): Program {
  const o = asObject(json, what);
  onlyNames(o, names.program, what);
  if (o["version"] !== 1) throw new FormatError(`${what} has version ${JSON.stringify(o["version"])}; this runtime reads version 1`);
  const dims = readDims(o["dims"], what);
  const ranges = rangesOf(dims);
  // The same few expressions stand in hundreds of places.
  const known = new Map<string, Dim>();
  const dim = (x: unknown, label: string): Dim => {
    const before = typeof x === "string" ? known.get(x) : undefined;
    if (before !== undefined) return before;
    const d = readDim(x, ranges, `${label} of ${what}`);
    if (typeof x === "string") known.set(x, d);
    return d;
  };
  const list = <T>(x: unknown, label: string, read: (x: unknown, label: string) => T): T[] =>
    asArray(x, `${label} of ${what}`).map((y, i) => read(y, `${label} ${i}`));
  const index = (x: unknown, label: string): number => asInteger(x, `${label} of ${what}`);
  const port = (x: unknown, label: string): Port => {
    const p = asObject(x, `${label} of ${what}`);
    return {
      name: asString(p["name"], `${label} of ${what}`),
      type: readType(p, ranges, `${label} of ${what}`),
      buffer: index(p["buffer"], label),
    };
  };
  const readNote = (x: unknown, label: string): { note?: StepNote } => {
    if (x === undefined) return {};
    const n = asObject(x, `${label} of ${what}`);
    const tier = asString(n["tier"], label) as StepNote["tier"];
    if (!["claimed", "generated", "interpreted", "copy"].includes(tier))
      throw new FormatError(`${label} of ${what} has the tier ${tier.slice(0, 40)}`);
    const texts = (y: unknown): string[] => asArray(y, label).map((t) => asString(t, label, mostText));
    return {
      note: {
        tier,
        label: asString(n["label"], label, mostText),
        ops: texts(n["ops"]),
        why: texts(n["why"]),
        bytes: dim(n["bytes"], label),
      },
    };
  };
  return {
    version: 1,
    name: asString(o["name"], `name of ${what}`),
    key: readKey(o["key"], what),
    dims,
    inputs: list(o["inputs"], "input", port),
    outputs: list(o["outputs"], "output", port),
    state: list(o["state"], "state", port),
    buffers: list(o["buffers"], "buffer", (x, label): BufferPlan => {
      const b = asObject(x, `${label} of ${what}`);
      const role = b["role"] as BufferPlan["role"];
      if (!["input", "output", "state", "constant", "temp"].includes(role))
        throw new FormatError(`${label} of ${what} has the role ${JSON.stringify(role)?.slice(0, 40)}`);
      return {
        role,
        dtype: readDType(b["dtype"], `${label} of ${what}`),
        size: dim(b["size"], label),
        ...(b["offset"] !== undefined && { offset: dim(b["offset"], label) }),
        ...(b["blob"] !== undefined && { data: load(index(b["blob"], label)) }),
      };
    }),
    arena: dim(o["arena"], "arena"),
    prelude: asString(o["prelude"], `prelude of ${what}`, mostText),
    kernels: list(o["kernels"], "kernel", (x, label): KernelCode => {
      const k = asObject(x, `${label} of ${what}`);
      return {
        entry: asString(k["entry"], `${label} of ${what}`),
        source: k["binary"] === undefined ? asString(k["source"], `${label} of ${what}`, mostText) : load(index(k["binary"], label)),
        threads: index(k["threads"], label),
        sharedBytes: dim(k["sharedBytes"], label),
        writes: list(k["writes"], label, (w) => asInteger(w, `${label} of ${what}`, 0, 1) === 1),
        ...(k["early"] !== undefined && { early: list(k["early"], label, (w) => asInteger(w, `${label} of ${what}`, 0, 1) === 1) }),
        ...(k["chunks"] !== undefined && { chunks: readChunks(k["chunks"], `${label} of ${what}`) }),
        ...(k["tiles"] !== undefined && { tiles: list(k["tiles"], label, (t) => readTile(t, `${label} of ${what}`)) }),
      };
    }),
    steps: list(o["steps"], "step", (x, label): Step => {
      const s = asObject(x, `${label} of ${what}`);
      const numbers = (y: unknown): number[] => list(y, label, index);
      const types = (y: unknown): TensorType[] =>
        list(y, label, (t) => readType(asObject(t, `${label} of ${what}`), ranges, `${label} of ${what}`));
      const kind = s["kind"];
      if (kind !== "launch" && kind !== "copy" && kind !== "host")
        throw new FormatError(`${label} of ${what} is of the kind ${JSON.stringify(kind)?.slice(0, 40)}`);
      onlyNames(s, names[kind], `${label} of ${what}`);
      const note = readNote(s["note"], label);
      if (s["beside"] !== undefined && s["beside"] !== true) throw new FormatError(`${label} of ${what} has a wrong mark "beside"`);
      const beside: { readonly beside?: true } = s["beside"] ? { beside: true } : {};
      switch (kind) {
        case "launch":
          return {
            kind,
            kernel: index(s["kernel"], label),
            buffers: numbers(s["buffers"]),
            dims: list(s["dims"], label, dim),
            grid: dim(s["grid"], label),
            ...beside,
            ...(s["product"] !== undefined && { product: readProduct(s["product"], (x) => dim(x, label), `${label} of ${what}`) }),
            ...(s["attention"] !== undefined && { attention: readAttention(s["attention"], `${label} of ${what}`) }),
            ...note,
          };
        case "copy":
          return { kind, from: index(s["from"], label), to: index(s["to"], label), ...beside, ...note };
        case "host":
          return {
            kind,
            call: asString(s["call"], label),
            payload: asString(s["payload"], label, mostText),
            inputs: numbers(s["inputs"]),
            outputs: numbers(s["outputs"]),
            inputTypes: types(s["inputTypes"]),
            outputTypes: types(s["outputTypes"]),
            ...note,
          };
        default:
          return kind satisfies never;
      }
    }),
  };
}

function readTile(x: unknown, what: string): Tile {
  const t = asObject(x, what);
  const [rows, columns] = asArray(t["box"], what, 2).map((n) => asInteger(n, what, 1));
  return { buffer: asInteger(t["buffer"], what), columns: asInteger(t["columns"], what, 1), box: [rows ?? 0, columns ?? 0] };
}
function readChunks(x: unknown, what: string): NonNullable<KernelCode["chunks"]> {
  const c = asObject(x, what);
  const of = asArray(c["of"], what, 1000).map((n) => asInteger(n, what, 1));
  const from = c["from"] === undefined ? undefined : asArray(c["from"], what, 1000).map((n) => (n === null ? null : asInteger(n, what)));
  return { bytes: asInteger(c["bytes"], what, 1), of, ...(from && { from }) };
}
function readKey(x: unknown, what: string): TargetKey {
  const k = asObject(x, `key of ${what}`);
  return {
    backend: asString(k["backend"], `key of ${what}`, 40),
    arch: asString(k["arch"], `key of ${what}`, 40),
    features: asArray(k["features"], `key of ${what}`, 100).map((f) => asString(f, `key of ${what}`, 40)),
    format: asInteger(k["format"], `key of ${what}`),
  };
}
export function readDims(x: unknown, what: string): DimRange[] {
  return asArray(x, `dims of ${what}`, 64).map((d) => {
    const o = asObject(d, `a dim of ${what}`);
    const name = asString(o["name"], `a dim of ${what}`, 100);
    const max = asInteger(o["max"], `dim ${name} of ${what}`, 0, 2 ** 40);
    return { name, min: asInteger(o["min"], `dim ${name} of ${what}`, 0, max), max };
  });
}
export const rangesOf = (dims: readonly DimRange[]): Ranges => new Map(dims.map((d) => [d.name, variable(d.name, d.min, d.max)]));

/** A number, or text over the known dims. */
function readDim(x: unknown, ranges: Ranges, what: string): Dim {
  if (typeof x === "number") return asInteger(x, what);
  const text = asString(x, what, 1 << 14);
  if (text.includes("|")) throw new FormatError(`${what}: ${JSON.stringify(text.slice(0, 80))} declares dims of its own`);
  try {
    return parseDim(text, ranges);
  } catch (cause) {
    throw new FormatError(`${what}: ${(cause as Error).message}`, { cause });
  }
}
export function readDType(x: unknown, what: string): DType {
  if (typeof x !== "string" || !Object.hasOwn(dtypes, x)) throw new FormatError(`${what} has the dtype ${JSON.stringify(x)?.slice(0, 40)}`);
  return x as DType;
}
export const readType = (o: Json, ranges: Ranges, what: string): TensorType => ({
  dtype: readDType(o["dtype"], what),
  shape: asArray(o["shape"], `shape of ${what}`, 64).map((d) => readDim(d, ranges, `shape of ${what}`)),
});
