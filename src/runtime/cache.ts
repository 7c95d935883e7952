/**
 * Compiled code on disk, by content. An entry is `<key>.json`, which names the code's SHA-256, and the code in a file under that
 * hash. Both are written aside, synced and renamed, so a reader in another process sees a whole entry or none. Whatever is not
 * exactly what was written (damaged, planted, a link, somebody else's file) is a miss.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { homedir, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { warnOnce } from "../core/warn.js";

export interface Cache {
  /** Where work in progress is put: private to the user. */
  readonly folder: string;
  /** Path of the file stored under the key. */
  get(key: string): string | undefined;
  /** Contents of the file stored under the key. */
  read(key: string): Uint8Array | undefined;
  /** Moves a built file into the cache and returns its new path. */
  put(key: string, built: string): string;
  /** Stores contents under the key. */
  write(key: string, contents: Uint8Array): void;
  /** Files live on after they are loaded; otherwise they are deleted then. */
  readonly lasting: boolean;
}

export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** The cache folder: $TREEPIE_CACHE_DIR, or the system's place for caches. */
function cacheFolder(): string {
  const own = process.env["TREEPIE_CACHE_DIR"];
  if (own) return own;
  if (platform() === "darwin") return join(homedir(), "Library", "Caches", "treepie");
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "treepie");
}

/** What a file holds: a shared library, a CUDA binary, a whole program, what was found out about a compiler, or what was measured to be faster. */
export type CodeKind = "so" | "cubin" | "program" | "compiler" | "choice";

const opened = new Map<string, Cache>();
/** The cache of a kind of code in this process' cache folder. */
export function cacheFor(kind: CodeKind): Cache {
  const where = `${kind} ${process.env["TREEPIE_CACHE_DIR"] ?? ""}`;
  let cache = opened.get(where);
  if (!cache) {
    cache = openCache(undefined, kind);
    opened.set(where, cache);
  }
  return cache;
}

/** The disk cache, or a folder of this process alone where the cache's folder cannot be trusted. */
export function openCache(folder: string = cacheFolder(), kind: CodeKind = "so"): Cache {
  const why = unsafe(folder);
  if (!why) return diskCache(folder, kind);
  warnOnce(
    `compiled kernels are not kept: ${why}; every process compiles them again (set TREEPIE_CACHE_DIR to a folder of your own with mode 0700)`,
  );
  return scratchCache();
}

function unsafe(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const s = lstatSync(folder);
    if (!s.isDirectory()) return `${folder} is not a folder`;
    if (process.getuid && s.uid !== process.getuid()) return `${folder} belongs to another user`;
    if (s.mode & 0o077) return `others may enter ${folder} (chmod 700 it)`;
    const probe = join(folder, `.probe-${unique()}`);
    closeSync(openSync(probe, "wx", 0o600));
    unlinkSync(probe);
    return undefined;
  } catch (error) {
    return `${folder} cannot be used (${(error as Error).message})`;
  }
}

function diskCache(folder: string, kind: CodeKind): Cache {
  prune(folder);
  const index = (key: string): string => join(folder, `${key}.json`);
  const code = (hash: string): string => join(folder, `${hash}.${kind}`);
  const find = (key: string): { readonly path: string; readonly bytes: Uint8Array } | undefined => {
    try {
      const entry = JSON.parse(trusted(index(key)).toString("utf8")) as { key?: unknown; sha256?: unknown };
      if (entry.key !== key || typeof entry.sha256 !== "string" || !/^[0-9a-f]{64}$/.test(entry.sha256)) return undefined;
      const path = code(entry.sha256);
      const bytes = trusted(path);
      if (sha256(bytes) !== entry.sha256) return undefined;
      utimesSync(index(key), new Date(), new Date());
      return { path, bytes };
    } catch {
      return undefined;
    }
  };
  const store = (key: string, bytes: Uint8Array): string => {
    const hash = sha256(bytes);
    save(code(hash), bytes);
    save(index(key), Buffer.from(JSON.stringify({ key, sha256: hash, bytes: bytes.length })));
    return code(hash);
  };
  return {
    folder,
    lasting: true,
    get: (key) => find(key)?.path,
    read: (key) => find(key)?.bytes,
    put(key, built) {
      const path = store(key, readFileSync(built));
      rmSync(built, { force: true });
      return path;
    },
    write: (key, contents) => void store(key, contents),
  };
}
/** Contents of a plain file that only this user can have written. */
function trusted(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const s = fstatSync(fd);
    if (!s.isFile() || (process.getuid && s.uid !== process.getuid()) || s.mode & 0o022) throw new Error(`${path} is not ours`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
function save(path: string, bytes: Uint8Array): void {
  const aside = `${path}.${unique()}.tmp`;
  try {
    const fd = openSync(aside, "wx", 0o600);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
/** A name that no other process makes. */
export const unique = (): string => `${process.pid}-${randomBytes(6).toString("hex")}`;

/** Entries not used for 30 days, and leftovers of processes that died, go away. */
function prune(folder: string): void {
  try {
    const now = Date.now();
    const stamp = join(folder, ".pruned");
    const last = lstatSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (now - last < 86_400_000) return;
    closeSync(openSync(stamp, "w", 0o600));
    utimesSync(stamp, new Date(), new Date());
    const used = new Set<string>();
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const age = now - lstatSync(path).mtimeMs;
      if (name.endsWith(".json") && age <= 30 * 86_400_000)
        used.add(String((JSON.parse(readFileSync(path, "utf8")) as { sha256?: unknown }).sha256));
      else if (name.endsWith(".json") || (/\.(tmp|c|log)$|^\.probe-|^build-/.test(name) && age > 86_400_000)) rmSync(path, { force: true });
    }
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (
        /^[0-9a-f]{64}\.(so|cubin|program|compiler|choice)$/.test(name) &&
        !used.has(name.slice(0, 64)) &&
        now - lstatSync(path).mtimeMs > 86_400_000
      )
        rmSync(path, { force: true });
    }
  } catch {
    // Another process is at it, or the folder is odd: the cache works without.
  }
}

function scratchCache(): Cache {
  const folder = mkdtempSync(join(tmpdir(), "treepie-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return { folder, lasting: false, get: () => undefined, read: () => undefined, put: (_key, built) => built, write: () => {} };
}
