/**
 * The `.pie` file: methods as graphs and as programs for targets, and the state they share, stored once.
 *
 * 8 bytes of magic, u32 version, u32 zero, u64 length of the header, the header as JSON, then blobs, each on a multiple of 64 bytes
 * from the start of the blob area. The header names every blob with its place, length and SHA-256; everything else refers to blobs
 * by number. A file is checked whole, down to every index, size and integer expression, before anything is made of it.
 */

import { bytesOf, type DType } from "../core/dtype.js";
import { FormatError } from "../core/errors.js";
import { roundUp } from "../core/numbers.js";
import { sameShape, showType, type TensorType } from "../core/type.js";
import type { ByteSource } from "./file.js";
import { asArray, asInteger, asObject, asString, decodeText, type Json, onlyNames, parseJson } from "./json.js";
import type { DimRange, Port, Program, TargetKey } from "./program.js";
import { rangesOf, readDims, readDType, readProgram, readType } from "./program-text.js";
import { hashOf } from "./sha256.js";
import { verifyProgram } from "./verify.js";

export const pieMagic: Uint8Array = new Uint8Array([0x89, 0x50, 0x49, 0x45, 0x0d, 0x0a, 0x1a, 0x0a]);
export const pieVersion = 1;
const blobAlign = 64;
/** Bytes before the header. */
export const preludeBytes = 24;
const mostHeader = 1 << 28;

/** A value that lives between calls, shared by the methods that name it. */
export interface PieState {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The blob with its first value; zeros where there is none. */
  readonly blob: number | undefined;
}
/** A named value with its type over the method's dims. */
export interface PiePort {
  readonly name: string;
  readonly type: TensorType;
}
/** A method of a `.pie` file: its graph, and its programs by target. */
export interface PieMethod {
  readonly name: string;
  readonly dims: readonly DimRange[];
  readonly inputs: readonly PiePort[];
  readonly outputs: readonly PiePort[];
  /** Names of the state that it uses, in the order of the graph's state. */
  readonly state: readonly string[];
  /** Text of the graph; its inputs, state and outputs are in the order above. */
  readonly graph: string;
  readonly programs: readonly Program[];
}
/** A verified file. */
export interface Pie {
  readonly source: ByteSource;
  readonly producer: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly state: ReadonlyMap<string, PieState>;
  readonly methods: ReadonlyMap<string, PieMethod>;
  /** Every target that it has a program for. */
  readonly keys: readonly TargetKey[];
  /** Brings bytes of a blob here, where they come from a server, and lets them be forgotten. */
  load(blob: number, offset: number, bytes: number, signal?: AbortSignal): Promise<void>;
  release(blob: number, offset: number, bytes: number): void;
  /** Bytes of a blob from `offset` on, into memory that the caller has. They were loaded. */
  readInto(blob: number, offset: number, into: Uint8Array): void;
}
interface Blob {
  readonly offset: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Reads and checks a whole file. Throws FormatError. */
export function readPie(source: ByteSource): Pie {
  const file = source.name;
  if (source.size < preludeBytes) throw new FormatError(`${file} has ${source.size} bytes: too short for a .pie file`);
  const start = source.read(0, preludeBytes);
  if (!pieMagic.every((b, i) => start[i] === b)) throw new FormatError(`${file} is not a .pie file`);
  const view = new DataView(start.buffer);
  const version = view.getUint32(8, true);
  if (version !== pieVersion) throw new FormatError(`${file} has version ${version}; this runtime reads version ${pieVersion}`);
  if (view.getUint32(12, true) !== 0) throw new FormatError(`${file} has unknown flags`);
  const length = Number(view.getBigUint64(16, true));
  if (length > mostHeader) throw new FormatError(`${file}: a header of ${length} bytes; ${mostHeader} are the most`);
  if (preludeBytes + length > source.size)
    throw new FormatError(`${file} is truncated: its header ends at byte ${preludeBytes + length}, the file at ${source.size}`);
  const what = `the header of ${file}`;
  const header = asObject(parseJson(decodeText(source.read(preludeBytes, length), what), what), what);
  onlyNames(header, ["format", "producer", "metadata", "blobs", "state", "methods"], what);
  if (header["format"] !== "treepie") throw new FormatError(`${what} names the format ${JSON.stringify(header["format"])?.slice(0, 40)}`);

  const begin = align(preludeBytes + length);
  const blobs = readBlobs(header["blobs"], source.size - begin, file);
  const read = blobReader(source, begin, blobs);
  const state = new Map<string, PieState>();
  for (const x of asArray(header["state"], `state of ${file}`)) {
    const s = readState(x, blobs, file);
    if (state.has(s.name)) throw new FormatError(`${file} has two states called ${s.name}`);
    state.set(s.name, s);
  }
  const methods = new Map<string, PieMethod>();
  for (const x of asArray(header["methods"], `methods of ${file}`, 1000)) {
    const m = readMethod(x, state, read, file);
    if (methods.has(m.name)) throw new FormatError(`${file} has two methods called ${m.name}`);
    methods.set(m.name, m);
  }
  const metadata: Record<string, string> = {};
  for (const [name, text] of Object.entries(asObject(header["metadata"] ?? {}, `metadata of ${file}`)))
    metadata[name] = asString(text, `metadata ${name} of ${file}`, 1 << 20);
  const keys = new Map([...methods.values()].flatMap((m) => m.programs.map((p) => [JSON.stringify(p.key), p.key] as const)));
  return {
    source,
    producer: asString(header["producer"] ?? "", `producer of ${file}`),
    metadata,
    state,
    methods,
    keys: [...keys.values()],
    async load(blob, offset, bytes, signal) {
      await source.load?.(begin + blobs[blob]!.offset + offset, bytes, signal);
    },
    release(blob, offset, bytes) {
      source.release?.(begin + blobs[blob]!.offset + offset, bytes);
    },
    readInto(blob, offset, into) {
      source.readInto(begin + blobs[blob]!.offset + offset, into);
    },
  };
}
/** The same for a source whose bytes have to be brought here: all but the values of the state. */
export async function loadPie(source: ByteSource, signal?: AbortSignal): Promise<Pie> {
  if (!source.load || source.size < preludeBytes) return readPie(source);
  await source.load(0, preludeBytes, signal);
  const length = Number(new DataView(source.read(0, preludeBytes).buffer).getBigUint64(16, true));
  const end = preludeBytes + length;
  // Whatever is wrong with the file is told by `readPie`.
  if (length > mostHeader || end > source.size) return readPie(source);
  await source.load(preludeBytes, length, signal);
  const parts = codeOf(source.read(preludeBytes, length)).map(([at, bytes]) => [align(end) + at, bytes] as const);
  for (const [at, bytes] of parts) if (at + bytes <= source.size) await source.load(at, bytes, signal);
  const pie = readPie(source);
  source.release?.(preludeBytes, length);
  for (const [at, bytes] of parts) source.release?.(at, bytes);
  return pie;
}
/** Where the blobs lie that are no state: code, graphs and constants, read whole when a file is opened. Nothing for a header that is not sound. */
function codeOf(header: Uint8Array): readonly (readonly [at: number, bytes: number])[] {
  type Known = {
    readonly blobs: readonly { readonly offset: number; readonly bytes: number }[];
    readonly state: readonly { readonly blob?: number }[];
  };
  try {
    const { blobs, state } = JSON.parse(new TextDecoder().decode(header)) as Known;
    const values = new Set(state.map((s) => s.blob));
    const code = blobs.filter((_, i) => !values.has(i)).map((b) => [b.offset, b.bytes] as const);
    return code.every(([at, bytes]) => Number.isSafeInteger(at) && Number.isSafeInteger(bytes) && at >= 0 && bytes >= 0) ? code : [];
  } catch {
    return [];
  }
}
export const align = (n: number): number => roundUp(n, blobAlign);

function readBlobs(x: unknown, room: number, file: string): Blob[] {
  let end = 0;
  const blobs = asArray(x, `blobs of ${file}`).map((b, i): Blob => {
    const what = `blob ${i} of ${file}`;
    const o = asObject(b, what);
    onlyNames(o, ["offset", "bytes", "sha256"], what);
    const offset = asInteger(o["offset"], `offset of ${what}`);
    const bytes = asInteger(o["bytes"], `size of ${what}`);
    const sha256 = asString(o["sha256"], `hash of ${what}`, 64);
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new FormatError(`hash of ${what} is not a SHA-256`);
    if (offset !== align(end)) throw new FormatError(`${what} begins at byte ${offset}; the blob before it ends at ${end}`);
    end = offset + bytes;
    if (end > room) throw new FormatError(`${what} ends at byte ${end} of ${Math.max(0, room)}: the file is truncated`);
    return { offset, bytes, sha256 };
  });
  if (blobs.length && end !== room) throw new FormatError(`${file} has ${room - end} bytes behind its last blob`);
  return blobs;
}

type ReadBlob = (index: number) => Uint8Array;
/** Reads blobs once and checks their hash: code, graphs and constants. State is read straight to the device instead. */
function blobReader(source: ByteSource, begin: number, blobs: readonly Blob[]): ReadBlob {
  const known = new Map<number, Uint8Array>();
  return (index) => {
    const b = blobs[index];
    if (!b) throw new FormatError(`${source.name} refers to blob ${index} of ${blobs.length}`);
    let bytes = known.get(index);
    if (!bytes) {
      bytes = source.read(begin + b.offset, b.bytes);
      if (hashOf(bytes) !== b.sha256) throw new FormatError(`blob ${index} of ${source.name} is damaged: its SHA-256 is another one`);
      known.set(index, bytes);
    }
    return bytes;
  };
}

function readState(x: unknown, blobs: readonly Blob[], file: string): PieState {
  const o = asObject(x, `a state of ${file}`);
  onlyNames(o, ["name", "dtype", "shape", "blob"], `a state of ${file}`);
  const name = asString(o["name"], `a state of ${file}`);
  const what = `state ${name} of ${file}`;
  const dtype = readDType(o["dtype"], what);
  const shape = asArray(o["shape"], `shape of ${what}`, 64).map((n) => asInteger(n, `a dim of ${what}`));
  const bytes = shape.reduce((a, b) => a * b, bytesOf(dtype));
  if (!Number.isSafeInteger(bytes) || bytes > 2 ** 48) throw new FormatError(`${what} would have ${bytes} bytes`);
  if (o["blob"] === undefined) return { name, dtype, shape, blob: undefined };
  const blob = asInteger(o["blob"], `blob of ${what}`, 0, blobs.length - 1);
  if (blobs[blob]!.bytes !== bytes)
    throw new FormatError(`${what}: ${dtype}[${shape.join(", ")}] has ${bytes} bytes, its blob ${blobs[blob]!.bytes}`);
  return { name, dtype, shape, blob };
}

function readMethod(x: unknown, state: ReadonlyMap<string, PieState>, read: ReadBlob, file: string): PieMethod {
  const o = asObject(x, `a method of ${file}`);
  const name = asString(o["name"], `a method of ${file}`, 200);
  const what = `method ${name} of ${file}`;
  onlyNames(o, ["name", "dims", "inputs", "outputs", "state", "graph", "programs"], what);
  const dims = readDims(o["dims"], what);
  const ranges = rangesOf(dims);
  const ports = (y: unknown, kind: string): PiePort[] => {
    const list = asArray(y, `${kind} of ${what}`).map((p): PiePort => {
      const port: Json = asObject(p, `an ${kind} of ${what}`);
      onlyNames(port, ["name", "dtype", "shape"], `an ${kind} of ${what}`);
      return { name: asString(port["name"], `an ${kind} of ${what}`), type: readType(port, ranges, `an ${kind} of ${what}`) };
    });
    if (new Set(list.map((p) => p.name)).size !== list.length) throw new FormatError(`${what} has two ${kind}s of one name`);
    return list;
  };
  const method: PieMethod = {
    name,
    dims,
    inputs: ports(o["inputs"], "input"),
    outputs: ports(o["outputs"], "output"),
    state: asArray(o["state"], `state of ${what}`).map((s) => asString(s, `state of ${what}`)),
    graph: decodeText(read(asInteger(o["graph"], `graph of ${what}`)), `the graph of ${what}`),
    programs: asArray(o["programs"], `programs of ${what}`, 1000).map((p, i) => {
      const label = `program ${i} of ${what}`;
      const text = decodeText(read(asInteger(p, label)), label);
      const program = readProgram(parseJson(text, label), read, label);
      verifyProgram(program, label);
      return program;
    }),
  };
  for (const s of method.state) if (!state.has(s)) throw new FormatError(`${what} uses the state ${s}, which the file does not have`);
  for (const p of method.programs) checkFits(p, method, state, `${what}, program for ${p.key.backend}`);
  return method;
}

/** A program computes its method: the same inputs and outputs, and only state that the file has. */
export function checkFits(
  p: Program,
  m: Pick<PieMethod, "dims" | "inputs" | "outputs" | "state">,
  state: ReadonlyMap<string, PieState>,
  what: string,
): void {
  const same = (a: readonly Port[], b: readonly PiePort[], kind: string): void => {
    const fits =
      a.length === b.length &&
      a.every((x, i) => x.name === b[i]!.name && x.type.dtype === b[i]!.type.dtype && sameShape(x.type.shape, b[i]!.type.shape));
    if (!fits)
      throw new FormatError(
        `${what} has the ${kind}s (${a.map((x) => `${x.name}: ${showType(x.type)}`).join(", ")}), the method has (${b.map((x) => `${x.name}: ${showType(x.type)}`).join(", ")})`,
      );
  };
  same(p.inputs, m.inputs, "input");
  same(p.outputs, m.outputs, "output");
  for (const x of p.state) {
    const s = m.state.includes(x.name) ? state.get(x.name) : undefined;
    if (!s || s.dtype !== x.type.dtype || !sameShape(s.shape, x.type.shape))
      throw new FormatError(`${what} uses the state ${x.name}: ${showType(x.type)}, which the method does not have`);
  }
}
