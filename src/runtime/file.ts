/** Bytes from files, by range, and files that are replaced whole or not at all. */
import { FileError, FormatError } from "../core/errors.js";
import { builtin, files, paths, processId } from "../core/host.js";

/** Something that bytes are read from, by range. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** Exactly those bytes: throws FormatError beyond the end. */
  read(offset: number, bytes: number): Uint8Array;
  /** Reads into memory that the caller has. */
  readInto(offset: number, into: Uint8Array): void;
  /** The same in the background, several at once; absent where `readInto` is as good. */
  readLater?(offset: number, into: Uint8Array): Promise<void>;
  /** Brings bytes to where `read` can take them; absent where they all are. Whoever reads a source that has it calls it first. */
  load?(offset: number, bytes: number, signal?: AbortSignal): Promise<void>;
  /** Bytes that were loaded may be forgotten. */
  release?(offset: number, bytes: number): void;
  /** The open file, for a device to map; undefined where the bytes are not those of a file. */
  readonly descriptor?: number;
  /** Throws FileError where the file is no longer what it was when it was opened: whoever has it mapped would compute with something else. */
  check?(): void;
  close(): void;
}

/** A file or bytes in memory as a source. */
export function openSource(from: string | Uint8Array | ByteSource): ByteSource {
  if (typeof from === "string") return fileSource(from);
  return from instanceof Uint8Array ? memorySource(from) : from;
}

function inside(name: string, size: number, offset: number, bytes: number): void {
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= size))
    throw new FormatError(`${name} ends at byte ${size}, and bytes ${offset} to ${offset + bytes} were expected: it is truncated`);
}
function memorySource(data: Uint8Array): ByteSource {
  const name = "the file in memory";
  return {
    name,
    size: data.length,
    read(offset, bytes) {
      inside(name, data.length, offset, bytes);
      return new Uint8Array(data.subarray(offset, offset + bytes));
    },
    readInto(offset, into) {
      inside(name, data.length, offset, into.length);
      into.set(data.subarray(offset, offset + into.length));
    },
    close() {},
  };
}
function fileSource(path: string): ByteSource {
  const { closeSync, fstatSync, openSync, read, readSync, statSync } = files();
  let fd: number;
  let size: number;
  let stamp: number;
  let inode: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    throw new FileError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const s = fstatSync(fd);
    if (!s.isFile()) throw new FileError(`${path} is not a file`);
    size = s.size;
    stamp = s.mtimeMs;
    inode = s.ino;
  } catch (cause) {
    closeSync(fd);
    throw cause;
  }
  let open = true;
  const fill = (offset: number, into: Uint8Array): void => {
    inside(path, size, offset, into.length);
    if (!open) throw new FileError(`${path} was closed`);
    for (let at = 0; at < into.length; ) {
      const n = readSync(fd, into, at, Math.min(into.length - at, 1 << 30), offset + at);
      if (n === 0) throw new FormatError(`${path} became shorter while it was read`);
      at += n;
    }
  };
  const fillLater = (offset: number, into: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (at: number): void => {
        if (at === into.length) {
          resolve();
          return;
        }
        read(fd, into, at, into.length - at, offset + at, (error, n) => {
          if (error) reject(error);
          else if (n === 0) reject(new FormatError(`${path} became shorter while it was read`));
          else next(at + n);
        });
      };
      inside(path, size, offset, into.length);
      if (!open) throw new FileError(`${path} was closed`);
      next(0);
    });
  return {
    name: path,
    size,
    read(offset, bytes) {
      inside(path, size, offset, bytes);
      const out = new Uint8Array(bytes);
      fill(offset, out);
      return out;
    },
    readInto: fill,
    readLater: fillLater,
    descriptor: fd,
    check() {
      const now = statSync(path, { throwIfNoEntry: false });
      // Another file under the name leaves the one that was opened as it was.
      if (!now || now.ino !== inode || (now.size === size && now.mtimeMs === stamp)) return;
      throw new FileError(
        `${path} was changed after it was opened (it had ${size} bytes and has ${now.size}): open it again; writers should write beside it and rename`,
      );
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** The calls that write a file, so that tests can make them fail. */
export interface FileCalls {
  readonly open: (path: string, flags: string, mode: number) => number;
  readonly write: (fd: number, data: Uint8Array, offset: number, length: number) => number;
  readonly sync: (fd: number) => void;
  readonly close: (fd: number) => void;
  readonly rename: (from: string, to: string) => void;
}
function system(): FileCalls {
  const fs = files();
  return {
    open: fs.openSync,
    write: (fd, data, offset, length) => fs.writeSync(fd, data, offset, length),
    sync: fs.fsyncSync,
    close: fs.closeSync,
    rename: fs.renameSync,
  };
}

/**
 * Writes a file beside its name, syncs it and renames it into place: whoever reads the name finds the old contents or the new ones,
 * never a part. If writing fails (a full disk) the old file stays as it was, and FileError says so.
 */
export function writeFileWhole(path: string, parts: Iterable<Uint8Array>, calls: FileCalls = system()): void {
  const { closeSync, rmSync } = files();
  const { dirname, resolve } = paths();
  const aside = `${path}.${processId()}-${builtin("node:crypto")!.randomBytes(4).toString("hex")}.tmp`;
  let fd: number | undefined;
  try {
    fd = calls.open(aside, "wx", 0o644);
    for (const part of parts) {
      for (let at = 0; at < part.length; ) at += calls.write(fd, part, at, Math.min(part.length - at, 1 << 28));
    }
    calls.sync(fd);
    calls.close(fd);
    fd = undefined;
    calls.rename(aside, path);
    syncFolder(dirname(resolve(path)));
  } catch (cause) {
    if (fd !== undefined) closeSync(fd);
    rmSync(aside, { force: true });
    if (!(cause instanceof Error) || !("code" in cause)) throw cause;
    const why = cause.code === "ENOSPC" ? "the disk is full" : cause.message;
    throw new FileError(`${path} was not written: ${why}; what was there before is unchanged`, { cause });
  }
}
/** Makes the new name last through a power cut, where the system can. */
function syncFolder(folder: string): void {
  const { closeSync, fsyncSync, openSync } = files();
  try {
    const fd = openSync(folder, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Some systems cannot sync a folder.
  }
}
