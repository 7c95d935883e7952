/** The files of a model, wherever they lie: a folder on disk, addresses under a URL, or files that a user chose. */
import { FileError } from "../core/errors.js";
import { files, paths } from "../core/host.js";
import { type ByteSource, openSource } from "./file.js";
import { isUrl, openUrl, openUrlIfThere, type RemoteOptions } from "./remote.js";

/** Files by name. */
export interface Folder {
  /** For messages. */
  readonly name: string;
  /** The file, or undefined where there is none of that name. Whoever opens it closes it. */
  open(file: string): Promise<ByteSource | undefined>;
}

/** A folder on disk. */
export function diskFolder(path: string): Folder {
  return {
    name: path,
    async open(file) {
      const whole = paths().join(path, file);
      return files().existsSync(whole) ? openSource(whole) : undefined;
    },
  };
}

/** Files under an address: `https://host/models/gpt2` has `https://host/models/gpt2/config.json`. */
export function urlFolder(url: string | URL, options: RemoteOptions = {}): Folder {
  const base = String(url).replace(/\/*$/, "/");
  return { name: base.slice(0, -1), open: (file) => openUrlIfThere(new URL(encodeURIComponent(file), base), options) };
}
/** A path or an address as a folder. */
export function openFolder(from: string | Folder): Folder {
  if (typeof from !== "string") return from;
  return isUrl(from) ? urlFolder(from) : diskFolder(from);
}
/** A file by its path or its address, bytes, a file that a user chose, or a source as it is. */
export async function openAny(from: string | URL | Uint8Array | ByteSource | BlobLike, options: RemoteOptions = {}): Promise<ByteSource> {
  if (from instanceof URL || (typeof from === "string" && isUrl(from))) return openUrl(from, options);
  return typeof from === "object" && "slice" in from && !(from instanceof Uint8Array) ? blobSource(from) : openSource(from as string);
}

/** A file that the user of a page chose, as browsers have it. */
export interface BlobLike {
  readonly name?: string;
  readonly size: number;
  slice(from: number, to: number): { arrayBuffer(): Promise<ArrayBuffer> };
}
/** A chosen file as a source: its parts are read when they are asked for. */
export function blobSource(blob: BlobLike, name: string = blob.name ?? "the chosen file"): ByteSource {
  return partsSource(name, blob.size, async (from, to) => {
    try {
      return new Uint8Array(await blob.slice(from, to).arrayBuffer());
    } catch (cause) {
      throw new FileError(`${name} cannot be read any more (${(cause as Error).message}): it was moved or changed; choose it again`, {
        cause,
      });
    }
  });
}
/** Files that the user of a page chose, by their names. */
export function blobFolder(blobs: Iterable<BlobLike>, name: string = "the chosen folder"): Folder {
  const byName = new Map([...blobs].map((b) => [b.name ?? "", b]));
  return {
    name,
    async open(file) {
      const blob = byName.get(file);
      return blob && blobSource(blob, file);
    },
  };
}

/** A source whose bytes come in parts, each of which stays until it is released. */
function partsSource(name: string, size: number, fetchPart: (from: number, to: number) => Promise<Uint8Array>): ByteSource {
  const parts = new Map<number, Uint8Array>();
  const find = (offset: number, bytes: number): Uint8Array => {
    for (const [at, part] of parts)
      if (offset >= at && offset + bytes <= at + part.length) return part.subarray(offset - at, offset - at + bytes);
    throw new FileError(`bytes ${offset} to ${offset + bytes} of ${name} were not loaded`);
  };
  return {
    name,
    size,
    async load(offset, bytes, signal) {
      signal?.throwIfAborted();
      if (!bytes) return;
      if (offset + bytes > size)
        throw new FileError(`${name} ends at byte ${size}, and bytes ${offset} to ${offset + bytes} were expected: it is truncated`);
      const known = [...parts].some(([at, part]) => offset >= at && offset + bytes <= at + part.length);
      if (!known) parts.set(offset, await fetchPart(offset, offset + bytes));
      signal?.throwIfAborted();
    },
    release(offset, bytes) {
      for (const [at, part] of parts) if (at >= offset && at + part.length <= offset + bytes) parts.delete(at);
    },
    read: (offset, bytes) => (bytes ? find(offset, bytes).slice() : new Uint8Array()),
    readInto: (offset, into) => void (into.length && into.set(find(offset, into.length))),
    close: () => parts.clear(),
  };
}
