/** safetensors files: a JSON header and raw little-endian tensors. Everything in the header is checked before a tensor is read. */
import type { DType } from "../core/dtype.js";
import { ArgumentError, FileError, FormatError, UnsupportedError } from "../core/errors.js";
import { files, paths } from "../core/host.js";
import { type ByteSource, type FileCalls, openSource, writeFileWhole } from "./file.js";
import { widenF8 } from "./float8.js";
import type { Folder } from "./folder.js";
import { asArray, asInteger, asObject, asString, decodeText, parseJson } from "./json.js";
import { HostTensor } from "./tensor.js";

/** A tensor as the file describes it. */
export interface StoredTensor {
  readonly name: string;
  /** The file's name for the element type, e.g. "BF16" or "F8_E4M3". */
  readonly stored: string;
  /** The dtype that `read` gives: 8-bit floats widen to f32. Undefined for element types that cannot be read. */
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
  /** Where its bytes are in `file`. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** An open safetensors file, or a model of several. Tensors are read when they are asked for. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  read(name: string): HostTensor;
  /** The bytes as they are stored. */
  bytes(name: string): Uint8Array;
  /** Reads part of a tensor's stored bytes into memory that the caller has. */
  readInto(name: string, offset: number, into: Uint8Array): void;
  /** The same, in the background where the file can. */
  readLater(name: string, offset: number, into: Uint8Array): Promise<void>;
  /** The file that a tensor is in. */
  source(name: string): ByteSource;
  /** Brings a tensor's bytes here, for `read`, `bytes` and `readInto`; the files of a disk need it not. */
  load(name: string, signal?: AbortSignal): Promise<void>;
  /** A tensor's bytes may be forgotten. */
  release(name: string): void;
  /** Throws FileError where a file was changed since it was opened. */
  check(): void;
  close(): void;
}

const elements: Readonly<Record<string, { readonly bits: number; readonly dtype?: DType }>> = {
  BOOL: { bits: 8, dtype: "bool" },
  U8: { bits: 8, dtype: "u8" },
  I8: { bits: 8, dtype: "i8" },
  F8_E4M3: { bits: 8, dtype: "f32" },
  F8_E5M2: { bits: 8, dtype: "f32" },
  F8_E8M0: { bits: 8 },
  F4: { bits: 4 },
  F6_E2M3: { bits: 6 },
  F6_E3M2: { bits: 6 },
  U16: { bits: 16, dtype: "u16" },
  I16: { bits: 16, dtype: "i16" },
  F16: { bits: 16, dtype: "f16" },
  BF16: { bits: 16, dtype: "bf16" },
  U32: { bits: 32, dtype: "u32" },
  I32: { bits: 32, dtype: "i32" },
  F32: { bits: 32, dtype: "f32" },
  U64: { bits: 64, dtype: "u64" },
  I64: { bits: 64, dtype: "i64" },
  F64: { bits: 64, dtype: "f64" },
  C64: { bits: 64, dtype: "complex64" },
};
const storedName: Readonly<Record<DType, string>> = {
  bool: "BOOL",
  u8: "U8",
  u16: "U16",
  u32: "U32",
  u64: "U64",
  i8: "I8",
  i16: "I16",
  i32: "I32",
  i64: "I64",
  f16: "F16",
  bf16: "BF16",
  f32: "F32",
  f64: "F64",
  complex64: "C64",
};
const mostHeader = 100_000_000;
/** Where a folder's weights are. */
const weightFiles = ["model.safetensors", "model.safetensors.index.json"] as const;

/** Opens a safetensors file, the index of a sharded one (`*.safetensors.index.json`), the folder of either, or bytes in memory. */
export function openSafetensors(from: string | Uint8Array | ByteSource): Safetensors {
  if (typeof from !== "string") return one(openSource(from));
  const path = files().statSync(from, { throwIfNoEntry: false })?.isDirectory() ? inFolder(from) : from;
  return path.endsWith(".json") ? sharded(path) : one(openSource(path));
}
function inFolder(folder: string): string {
  const { join } = paths();
  const found = weightFiles.find((n) => files().existsSync(join(folder, n)));
  if (!found) throw new FileError(`${folder} has neither ${weightFiles.join(" nor ")}`);
  return join(folder, found);
}

function one(source: ByteSource): Safetensors {
  try {
    const { tensors, metadata } = readHeader(source);
    return opened(tensors, metadata, new Map([[source.name, source]]));
  } catch (error) {
    source.close();
    throw error;
  }
}

function sharded(path: string): Safetensors {
  const { dirname, join } = paths();
  const index = openSource(path);
  const sources = new Map<string, ByteSource>();
  try {
    const files = shardsOf(index);
    for (const file of files.keys()) sources.set(file, openSource(join(dirname(path), file)));
    return gathered(path, files, sources);
  } catch (error) {
    for (const s of sources.values()) s.close();
    throw error;
  } finally {
    index.close();
  }
}

/** Opens what a folder holds: model.safetensors, or the files that model.safetensors.index.json names. */
export async function openSafetensorsIn(folder: Folder, signal?: AbortSignal): Promise<Safetensors> {
  const single = await folder.open(weightFiles[0]);
  if (single) {
    await loadHeader(single, signal);
    return one(single);
  }
  const index = await folder.open(weightFiles[1]);
  if (!index) throw new FileError(`${folder.name} has neither ${weightFiles.join(" nor ")}`);
  const sources = new Map<string, ByteSource>();
  try {
    await index.load?.(0, Math.min(index.size, mostHeader), signal);
    const files = shardsOf(index);
    for (const file of files.keys()) {
      const source = await folder.open(file);
      if (!source) throw new FileError(`${folder.name} has no ${file}, which its ${weightFiles[1]} names`);
      sources.set(file, source);
      await loadHeader(source, signal);
    }
    return gathered(index.name, files, sources);
  } catch (error) {
    for (const s of sources.values()) s.close();
    throw error;
  } finally {
    index.close();
  }
}
async function loadHeader(source: ByteSource, signal?: AbortSignal): Promise<void> {
  if (!source.load || source.size < 8) return;
  await source.load(0, 8, signal);
  const length = headerLength(source);
  await source.load(8, Math.min(length, mostHeader, source.size - 8), signal);
}
const headerLength = (source: ByteSource): number => Number(new DataView(source.read(0, 8).buffer).getBigUint64(0, true));

/** The files that an index names, which lie beside it, and the tensors in each. */
function shardsOf(index: ByteSource): ReadonlyMap<string, ReadonlySet<string>> {
  const path = index.name;
  if (index.size > mostHeader) throw new FormatError(`${path} has ${index.size} bytes; ${mostHeader} are the most for an index`);
  const json = asObject(parseJson(decodeText(index.read(0, index.size), path), path), path);
  const files = new Map<string, Set<string>>();
  for (const [name, file] of Object.entries(asObject(json["weight_map"], `weight_map of ${path}`))) {
    const shard = asString(file, `the file of ${name} in ${path}`);
    if (shard.startsWith(".") || /[\\/\0]/.test(shard))
      throw new FormatError(`${path} names the file ${JSON.stringify(shard)}, which is not beside it`);
    const names = files.get(shard) ?? new Set();
    files.set(shard, names.add(name));
  }
  return files;
}
/** A model of several files, whose headers are here. */
function gathered(path: string, files: ReadonlyMap<string, ReadonlySet<string>>, sources: ReadonlyMap<string, ByteSource>): Safetensors {
  const tensors = new Map<string, StoredTensor>();
  let metadata: Record<string, string> = {};
  for (const [file, names] of files) {
    const shard = readHeader(sources.get(file)!);
    metadata = { ...shard.metadata, ...metadata };
    for (const name of names) {
      const t = shard.tensors.get(name);
      if (!t) throw new FormatError(`${path} says that ${name} is in ${file}, which does not have it`);
      tensors.set(name, t);
    }
  }
  return opened(tensors, metadata, new Map([...sources.values()].map((s) => [s.name, s])));
}

function opened(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>>,
  sources: ReadonlyMap<string, ByteSource>,
): Safetensors {
  const find = (name: string): StoredTensor => {
    const t = tensors.get(name);
    if (!t)
      throw new ArgumentError(
        `${[...sources.keys()].join(", ")} has no tensor ${name}; it has ${[...tensors.keys()].slice(0, 8).join(", ")}${tensors.size > 8 ? ", ..." : ""}`,
      );
    return t;
  };
  const place = (name: string, offset: number, length: number): readonly [ByteSource, number] => {
    const t = find(name);
    if (!(offset >= 0 && offset + length <= t.bytes))
      throw new ArgumentError(`bytes ${offset} to ${offset + length} of ${name}, which has ${t.bytes}`);
    return [sources.get(t.file)!, t.offset + offset];
  };
  const bytes = (t: StoredTensor): Uint8Array => sources.get(t.file)!.read(t.offset, t.bytes);
  return {
    tensors,
    metadata,
    bytes: (name) => bytes(find(name)),
    read(name) {
      const t = find(name);
      if (!t.dtype || t.dtype === "complex64")
        throw new UnsupportedError(`${name} is stored as ${t.stored}, which cannot be computed with; its bytes() can be read`);
      const stored = bytes(t);
      return new HostTensor(t.dtype, t.shape, t.stored.startsWith("F8") ? widenF8(t.stored, stored) : stored);
    },
    readInto(name, offset, into) {
      const [source, at] = place(name, offset, into.length);
      source.readInto(at, into);
    },
    async readLater(name, offset, into) {
      const [source, at] = place(name, offset, into.length);
      if (source.readLater) await source.readLater(at, into);
      else source.readInto(at, into);
    },
    async load(name, signal) {
      const t = find(name);
      await sources.get(t.file)!.load?.(t.offset, t.bytes, signal);
    },
    release(name) {
      const t = find(name);
      sources.get(t.file)!.release?.(t.offset, t.bytes);
    },
    source: (name) => sources.get(find(name).file)!,
    check() {
      for (const s of sources.values()) s.check?.();
    },
    close() {
      for (const s of sources.values()) s.close();
    },
  };
}

function readHeader(source: ByteSource): { tensors: Map<string, StoredTensor>; metadata: Record<string, string> } {
  const file = source.name;
  if (source.size < 8) throw new FormatError(`${file} has ${source.size} bytes: too short for a safetensors file`);
  const length = headerLength(source);
  if (length > mostHeader) throw new FormatError(`${file}: a header of ${length} bytes; ${mostHeader} are the most`);
  if (8 + length > source.size)
    throw new FormatError(`${file} is truncated: its header ends at byte ${8 + length}, the file at ${source.size}`);
  const text = decodeText(source.read(8, length), `the header of ${file}`);
  if (!text.startsWith("{")) throw new FormatError(`the header of ${file} does not start with {`);
  const header = asObject(parseJson(text, `the header of ${file}`), `the header of ${file}`);
  const begin = 8 + length;
  const tensors = new Map<string, StoredTensor>();
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries(asObject(value, `__metadata__ of ${file}`)))
        metadata[key] = asString(text, `metadata ${key} of ${file}`, mostHeader);
    } else tensors.set(name, readEntry(file, name, value, begin, source.size - begin));
  }
  const ordered = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let at = begin;
  for (const t of ordered) {
    if (t.offset !== at)
      throw new FormatError(
        `${file}: ${t.name} begins at byte ${t.offset}, and the tensor before it ends at ${at}: ${t.offset < at ? "they overlap" : "there is a gap"}`,
      );
    at += t.bytes;
  }
  if (at !== source.size) throw new FormatError(`${file}: the last tensor ends at byte ${at}, the file at ${source.size}`);
  return { tensors, metadata };
}

function readEntry(file: string, name: string, value: unknown, begin: number, room: number): StoredTensor {
  const what = `${name.slice(0, 200)} in ${file}`;
  const entry = asObject(value, what);
  const stored = asString(entry["dtype"], `dtype of ${what}`);
  const element = Object.hasOwn(elements, stored) ? elements[stored] : undefined;
  if (!element)
    throw new FormatError(`${what} has the element type ${JSON.stringify(stored.slice(0, 40))}, which safetensors does not know`);
  const shape = asArray(entry["shape"], `shape of ${what}`, 64).map((n) => asInteger(n, `a dim of ${what}`));
  const [from, to, ...more] = asArray(entry["data_offsets"], `data_offsets of ${what}`, 2).map((n) =>
    asInteger(n, `data_offsets of ${what}`),
  );
  if (from === undefined || to === undefined || more.length) throw new FormatError(`data_offsets of ${what} are not two numbers`);
  if (from > to || to > room) throw new FormatError(`${what} lies at ${from} to ${to} of ${room} bytes`);
  const bits = shape.reduce((a, b) => a * b, element.bits);
  if (!Number.isSafeInteger(bits) || bits % 8)
    throw new FormatError(`${what} has shape [${shape.join(", ")}], which is not a whole number of bytes`);
  if (bits / 8 !== to - from)
    throw new FormatError(`${what}: ${stored}[${shape.join(", ")}] has ${bits / 8} bytes, its offsets span ${to - from}`);
  for (const extra of Object.keys(entry))
    if (!["dtype", "shape", "data_offsets"].includes(extra))
      throw new FormatError(`${what} has an unknown entry ${JSON.stringify(extra.slice(0, 40))}`);
  return { name, stored, dtype: element.dtype, shape, file, offset: begin + from, bytes: to - from };
}

/** What is written besides tensors, and how. */
export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** A larger model is written as several files and `<name>.safetensors.index.json`. */
  readonly maxShardBytes?: number;
  readonly calls?: FileCalls;
}

/** Writes tensors to a safetensors file, whole or not at all. */
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, HostTensor>, options: WriteOptions = {}): void {
  const total = [...tensors.values()].reduce((sum, t) => sum + t.bytes.length, 0);
  if (total > (options.maxShardBytes ?? Number.POSITIVE_INFINITY)) writeShards(path, tensors, options);
  else writeFileWhole(path, encodeSafetensors(tensors, options.metadata), options.calls);
}

/** The parts of a safetensors file in order. */
export function encodeSafetensors(tensors: ReadonlyMap<string, HostTensor>, metadata?: Readonly<Record<string, string>>): Uint8Array[] {
  // Wide elements first keeps every tensor aligned.
  const width = (t: HostTensor): number => elements[storedName[t.dtype]]!.bits;
  const ordered = [...tensors].sort(([a, x], [b, y]) => width(y) - width(x) || (a < b ? -1 : 1));
  const header: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  if (metadata && Object.keys(metadata).length) header["__metadata__"] = metadata;
  let at = 0;
  for (const [name, t] of ordered) {
    if (name === "__metadata__") throw new ArgumentError("a tensor cannot be called __metadata__");
    header[name] = { dtype: storedName[t.dtype], shape: t.shape, data_offsets: [at, at + t.bytes.length] };
    at += t.bytes.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(text, 8);
  return [padded, ...ordered.map(([, t]) => t.bytes)];
}

function writeShards(path: string, tensors: ReadonlyMap<string, HostTensor>, options: WriteOptions): void {
  const { basename } = paths();
  const most = options.maxShardBytes!;
  const shards: Map<string, HostTensor>[] = [];
  let room = 0;
  for (const [name, t] of tensors) {
    if (!shards.length || t.bytes.length > room) {
      shards.push(new Map());
      room = most;
    }
    shards[shards.length - 1]!.set(name, t);
    room -= t.bytes.length;
  }
  const stem = path.replace(/\.safetensors$/, "");
  const number = (i: number): string => String(i).padStart(5, "0");
  const map: Record<string, string> = {};
  let total = 0;
  shards.forEach((shard, i) => {
    const file = `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeFileWhole(file, encodeSafetensors(shard, options.metadata), options.calls);
    for (const [name, t] of shard) {
      map[name] = basename(file);
      total += t.bytes.length;
    }
  });
  const index = JSON.stringify({ metadata: { total_size: total }, weight_map: map }, null, 2);
  writeFileWhole(`${stem}.safetensors.index.json`, [new TextEncoder().encode(index)], options.calls);
}
