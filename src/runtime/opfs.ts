/** Pieces of files in a page's origin-private file system: a file for each piece, called by its SHA-256, and one for each URL that lists them. */

import { warnOnce } from "../core/warn.js";
import type { KnownFile, PieceStore } from "./remote.js";
import { digest, hashOf } from "./sha256.js";

/** What browsers have of files, as far as it is used here. */
interface FileHandle {
  getFile(): Promise<{ readonly size: number; arrayBuffer(): Promise<ArrayBuffer> }>;
  createWritable(): Promise<{ write(data: Uint8Array | string): Promise<void>; close(): Promise<void>; abort(): Promise<void> }>;
}
interface FolderHandle {
  getFileHandle(name: string, options?: { readonly create?: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options: { readonly create: boolean }): Promise<FolderHandle>;
  removeEntry(name: string, options?: { readonly recursive?: boolean }): Promise<void>;
  keys(): AsyncIterable<string>;
}
const storage = (): { getDirectory?(): Promise<FolderHandle> } | undefined =>
  (globalThis as { navigator?: { storage?: { getDirectory?(): Promise<FolderHandle> } } }).navigator?.storage;

let store: PieceStore | undefined;
/** The store of this page's origin; undefined where there is none (outside of browsers, and in pages that are not secure). */
export function pageStore(): PieceStore | undefined {
  if (!storage()?.getDirectory) return undefined;
  store ??= openStore();
  return store;
}
const root = "treepie";

/** Forgets every file that was kept. */
export async function clearKept(): Promise<void> {
  const folder = await storage()?.getDirectory?.();
  await folder?.removeEntry(root, { recursive: true }).catch(() => {});
  store = undefined;
}

function openStore(): PieceStore {
  let folders: Promise<readonly [pieces: FolderHandle, urls: FolderHandle]> | undefined;
  let full = false;
  const open = (): Promise<readonly [FolderHandle, FolderHandle]> => {
    folders ??= (async () => {
      const own = await (await storage()!.getDirectory!()).getDirectoryHandle(root, { create: true });
      return [await own.getDirectoryHandle("pieces", { create: true }), await own.getDirectoryHandle("urls", { create: true })] as const;
    })();
    return folders;
  };
  const read = async (folder: FolderHandle, name: string): Promise<Uint8Array | undefined> => {
    try {
      return new Uint8Array(await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer());
    } catch {
      return undefined;
    }
  };
  /** A file appears whole or not at all. Where nothing can be kept, everything still works. */
  const write = async (folder: FolderHandle, name: string, data: Uint8Array | string): Promise<void> => {
    if (full) return;
    try {
      const out = await (await folder.getFileHandle(name, { create: true })).createWritable();
      try {
        await out.write(data);
        await out.close();
      } catch (error) {
        await out.abort().catch(() => {});
        throw error;
      }
    } catch (error) {
      full = true;
      await folder.removeEntry(name).catch(() => {});
      warnOnce(`downloaded files are not kept for the next visit: ${(error as Error).message}`);
    }
  };
  const listed = async (folder: FolderHandle): Promise<Map<string, KnownFile>> => {
    const all = new Map<string, KnownFile>();
    for await (const name of folder.keys()) {
      const file = parsed(await read(folder, name));
      if (file) all.set(name, file);
    }
    return all;
  };
  return {
    async known(url) {
      const [, urls] = await open();
      return parsed(await read(urls, nameOf(url)));
    },
    async remember(url, file) {
      const [pieces, urls] = await open();
      const before = parsed(await read(urls, nameOf(url)));
      await write(urls, nameOf(url), JSON.stringify(file));
      if (!before || before.version === file.version) return;
      const used = new Set([...(await listed(urls)).values()].flatMap((f) => f.pieces));
      for (const hash of before.pieces) if (hash && !used.has(hash)) await pieces.removeEntry(hash).catch(() => {});
    },
    async get(hash) {
      const [pieces] = await open();
      const bytes = await read(pieces, hash);
      if (bytes && (await digest(bytes)) === hash) return bytes;
      if (bytes) await pieces.removeEntry(hash).catch(() => {});
      return undefined;
    },
    async put(hash, piece) {
      const [pieces] = await open();
      await write(pieces, hash, piece);
    },
  };
}
const nameOf = (url: string): string => `${hashOf(url)}.json`;
function parsed(bytes: Uint8Array | undefined): KnownFile | undefined {
  if (!bytes) return undefined;
  try {
    const x = JSON.parse(new TextDecoder().decode(bytes)) as KnownFile;
    const sound =
      typeof x.version === "string" &&
      Number.isSafeInteger(x.size) &&
      Array.isArray(x.pieces) &&
      x.pieces.every((p) => p === null || /^[0-9a-f]{64}$/.test(p));
    return sound ? x : undefined;
  } catch {
    return undefined;
  }
}
