/** The native half of the device as typed calls. */
import { DeviceError } from "../../core/errors.js";
import { type Ffi, ffi, type NativeFunction, type NativeLibrary } from "../../runtime/ffi.js";
import { build, type Held } from "./build.js";
import { productEntry } from "./multiply.js";
import { copyEntry, poolSource } from "./pool.js";

export interface Native {
  readonly ffi: Ffi;
  readonly held: Held;
  readonly compiled: number;
  alloc(bytes: number): bigint;
  free(address: bigint): void;
  /** A file's bytes in memory, read only; 0 where the system cannot. */
  map(fd: number, bytes: number): bigint;
  unmap(address: bigint, bytes: number): void;
  /** Lets go of the memory behind part of a mapped file. */
  forget(address: bigint, bytes: number): void;
  /** Brings a mapped file into memory, until the word at `stop` is set. */
  readonly touch: NativeFunction;
  move(to: bigint | Uint8Array, from: bigint | Uint8Array, bytes: number): void;
  fill(to: bigint, byte: number, bytes: number): void;
  /** Offset of the first byte that differs, or -1. */
  differs(address: bigint, byte: number, bytes: number): number;
  /** Address of the kernel that copies. */
  readonly copy: bigint;
  /** Address of the kernel that asks a library for products. */
  readonly product: bigint;
  open(threads: number, control: bigint): bigint;
  threads(pool: bigint): number;
  close(pool: bigint): void;
  /** Hands a table of records to the pool's own thread; false where there is no memory for it. */
  submit(pool: bigint, table: BigInt64Array, scratch: number, ticket: number): boolean;
  /** Runs one on this thread, while nothing else runs. */
  run(pool: bigint, table: BigInt64Array, scratch: number, ticket: number): void;
  readonly wait: NativeFunction;
  /** Ticket of the last request that has ended. */
  completed(pool: bigint): number;
}

/** Compiles (or finds) and loads the native half; `library` is one that was compiled already. */
export async function native(library: Uint8Array | string = poolSource): Promise<Native> {
  const { libraries, compiled } = await build([library]);
  const held = libraries[0]!;
  const lib: NativeLibrary = held.library;
  const alloc = lib.func("tp_alloc", "pointer", ["i64"]);
  const free = lib.func("tp_free", "void", ["pointer"]);
  const map = lib.func("tp_map", "pointer", ["i32", "i64"]);
  const unmap = lib.func("tp_unmap", "void", ["pointer", "i64"]);
  const forget = lib.func("tp_forget", "void", ["pointer", "i64"]);
  const move = lib.func("tp_move", "void", ["pointer", "pointer", "i64"]);
  const fill = lib.func("tp_fill", "void", ["pointer", "i32", "i64"]);
  const differs = lib.func("tp_differs", "i64", ["pointer", "i32", "i64"]);
  const open = lib.func("tp_open", "pointer", ["i32", "pointer"]);
  const threads = lib.func("tp_threads", "i32", ["pointer"]);
  const close = lib.func("tp_close", "void", ["pointer"]);
  const request = ["pointer", "pointer", "i64", "i64", "i64"] as const;
  const submit = lib.func("tp_submit", "i32", request);
  const run = lib.func("tp_run", "void", request);
  const completed = lib.func("tp_completed", "i64", ["pointer"]);
  return {
    ffi: ffi(),
    held,
    compiled,
    alloc: (bytes) => (alloc(bytes) as bigint | null) ?? 0n,
    free: (address) => void free(address),
    map: (fd, bytes) => (map(fd, bytes) as bigint | null) ?? 0n,
    unmap: (address, bytes) => void unmap(address, bytes),
    forget: (address, bytes) => void forget(address, bytes),
    touch: lib.func("tp_touch", "i32", ["pointer", "i64", "pointer"]),
    move: (to, from, bytes) => void move(to, from, bytes),
    fill: (to, byte, bytes) => void fill(to, byte, bytes),
    differs: (address, byte, bytes) => Number(differs(address, byte, bytes)),
    copy: lib.symbol(copyEntry),
    product: lib.symbol(productEntry),
    open(count, control) {
      const pool = open(count, control) as bigint | null;
      if (!pool) throw new DeviceError(`no thread pool of ${count} threads could be made`);
      return pool;
    },
    threads: (pool) => threads(pool) as number,
    close: (pool) => void close(pool),
    submit: (pool, table, scratch, ticket) => submit(pool, table, table.length, scratch, ticket) === 1,
    run: (pool, table, scratch, ticket) => void run(pool, table, table.length, scratch, ticket),
    wait: lib.func("tp_wait", "void", ["pointer", "i64"]),
    completed: (pool) => completed(pool) as number,
  };
}
