/**
 * One device function as a loop nest. Its meaning is scalar everywhere: lanes, threads and matrix units are axes, never value
 * types, so a kernel can be interpreted, and one lowering serves every target. A Kernel is plain data: it can be printed, hashed,
 * compared byte for byte and saved.
 */
import { bytesOf, computeDType, type DType } from "../core/dtype.js";
import { type Dim, indexOn } from "../core/expr.js";
import type { Test } from "../ir/node.js";
import type { ScalarOp } from "../ops/scalar.js";

export type { Test } from "../ir/node.js";

export interface Kernel {
  readonly name: string;
  /** Global ones are the arguments, in order. */
  readonly buffers: readonly Buffer[];
  /** Symbolic sizes, passed as integers: every free variable except `pid` and `tid`. */
  readonly dims: readonly Dim[];
  /** How many grid points; each reads its number as `pid`. */
  readonly grid: Dim;
  /** Threads of one grid point (1 on a CPU); each reads its number as `tid`. */
  readonly threads: number;
  readonly body: readonly Stmt[];
  /** A matter of its launches, no part of its text: 0 for sizes at which another kernel of its group does the work, else 1. */
  readonly runs?: Dim;
}

/**
 * Storage. A value loaded from a half float is an f32; a store rounds once.
 * shared: seen by all threads of one grid point (on a CPU: the thread's own scratch). reg: one thread's registers, matrix
 * fragments too. signal: shared-memory barriers that count arrivals.
 */
export interface Buffer {
  readonly name: string;
  readonly dtype: DType;
  readonly space: "global" | "shared" | "reg" | "signal";
  readonly size: Dim;
  readonly writes?: boolean;
  /** No launch that this one depends on writes it, nor one that may still run when this one begins early (`dependency`). */
  readonly fixed?: true;
  /** Of a buffer that is bound in chunks, those that this kernel reaches. */
  readonly window?: { readonly first: number; readonly count: number };
}

/** `loop` runs, `unroll` is repeated by the printer, `vector` is lanes: at most one around a statement. */
export interface Axis {
  readonly name: string;
  readonly size: Dim;
  readonly kind: "loop" | "unroll" | "vector";
}

/** A place in a buffer, by the buffer's name. */
export interface Ref {
  readonly buffer: string;
  readonly index: Dim;
}

export type Combiner = "add" | "mul" | "max" | "min" | "or" | "and";

export type Stmt =
  | { readonly kind: "for"; readonly axis: Axis; readonly body: readonly Stmt[] }
  /** Predication: inside a vector axis the test holds per lane. */
  | { readonly kind: "if"; readonly test: Test; readonly body: readonly Stmt[]; readonly else?: readonly Stmt[] }
  /** Predication by data. Not inside a vector axis. */
  | { readonly kind: "when"; readonly test: Value; readonly body: readonly Stmt[]; readonly else?: readonly Stmt[] }
  /** A name for a value, once per scope. */
  | { readonly kind: "let"; readonly name: string; readonly value: Value }
  /** A name for an integer value that indices, tests and loop bounds may use as a Dim: clamped to [min, max], so it is never trusted. */
  | { readonly kind: "letIndex"; readonly name: string; readonly value: Value; readonly min: number; readonly max: Dim }
  | { readonly kind: "store"; readonly buffer: string; readonly index: Dim; readonly value: Value; readonly hint?: "stream" }
  /** Read, combine and write back as one step that no other thread can come between. */
  | { readonly kind: "atomic"; readonly op: Combiner; readonly buffer: string; readonly index: Dim; readonly value: Value }
  /** Reduces `value` over lanes (`axes`, and over `threads` neighbouring threads), the result in register `into` of every thread. */
  | {
      readonly kind: "combine";
      readonly op: Combiner;
      readonly axes: readonly Axis[];
      readonly threads: number;
      readonly value: Value;
      readonly into: Ref;
    }
  /** Asks for an element of a global buffer to be brought near, or no nearer than the second cache. It means nothing, also beyond the buffer's end.
   * `count`: as many from there, all inside the buffer, of whole multiples of 16 bytes (`Target.ahead`). */
  | { readonly kind: "prefetch"; readonly buffer: string; readonly index: Dim; readonly second?: true; readonly count?: number }
  | { readonly kind: "barrier"; readonly warp?: true }
  /** `count` contiguous elements, global to shared, possibly in the background; `commit` closes a group, `wait` leaves at most `pending` groups. */
  | { readonly kind: "copy"; readonly to: Ref; readonly from: Ref; readonly count: number }
  | { readonly kind: "commit" }
  /**
   * release: launches that depend on this one may begin, though nothing of it is done yet. await: the launches that this one depends on have
   * ended, and what they wrote is seen; every thread comes by it once, and before it reads `fixed` buffers alone. Both mean nothing where
   * launches begin after what they depend on.
   */
  | { readonly kind: "dependency"; readonly op: "release" | "await" }
  | { readonly kind: "wait"; readonly pending: number }
  /** Registers of a thread from here on, in a branch of a whole group of four warps: some give what others take. It means nothing. */
  | { readonly kind: "registers"; readonly change: "more" | "fewer"; readonly count: number }
  /** A whole tile in the background, by one thread; its bytes arrive at `signal`. The launcher makes a descriptor of `from`: rows of `columns` elements, as many as there are, and the box; beyond them a tile is 0. */
  | {
      readonly kind: "copyTile";
      readonly to: Ref;
      readonly from: string;
      readonly origin: readonly [Dim, Dim];
      readonly box: readonly [number, number];
      readonly columns: number;
      readonly signal: Ref;
    }
  /** arm: arrivals; expect: bytes; arrive; await: phase. */
  | { readonly kind: "signal"; readonly op: "arm" | "expect" | "arrive" | "await"; readonly on: Ref; readonly amount: Dim }
  /**
   * `rows` rows of sixteen words, columns in place of rows: words are 4 bytes of narrow elements too, and strides count elements. Sixteen
   * rows of sixteen words are written, the first ones first: zeros where there was no row, over which the next row may be written.
   */
  | {
      readonly kind: "turn";
      readonly to: Ref;
      readonly toStride: Dim;
      readonly from: Ref;
      readonly fromStride: Dim;
      readonly rows: number;
    }
  /** A matrix unit's operations on fragments: registers whose layout over lanes `unit` describes. */
  | { readonly kind: "fill"; readonly unit: MatrixUnit; readonly acc: Ref }
  | {
      readonly kind: "fetch";
      readonly unit: MatrixUnit;
      readonly into: Ref;
      readonly from: Ref;
      readonly stride: Dim;
      readonly count: number;
      readonly transposed: boolean;
      /** What is fetched is not fetched again soon: it need not push anything out of the first cache. */
      readonly hint?: "stream";
    }
  /** `fresh`: what the accumulators held before does not count. */
  | { readonly kind: "mma"; readonly unit: MatrixUnit; readonly acc: Ref; readonly a: Ref; readonly b: Ref; readonly fresh?: true }
  | { readonly kind: "spill"; readonly unit: MatrixUnit; readonly acc: Ref; readonly to: Ref; readonly stride: Dim }
  /** Operations that run in the background are issued as one group; `settle` leaves at most `pending` groups running. */
  | { readonly kind: "issue"; readonly unit: MatrixUnit; readonly body: readonly Stmt[] }
  /** `of`: accumulators that are read or changed from here on, and not before. */
  | { readonly kind: "settle"; readonly unit: MatrixUnit; readonly pending: number; readonly of?: Settled };

/** Registers, from `at` on. */
export interface Settled extends Ref {
  readonly count: number;
}

/**
 * A scalar. `dtype` is never f16 or bf16 except for `cast`, which rounds to it and yields the f32 of that value, and for `const`.
 * Small integers wrap at every operation; bool is 0 or 1.
 */
export type Value =
  | { readonly kind: "const"; readonly dtype: DType; readonly value: number | bigint }
  | { readonly kind: "index"; readonly dtype: DType; readonly expr: Dim }
  | { readonly kind: "load"; readonly dtype: DType; readonly buffer: string; readonly index: Dim }
  /** The bits of neighbouring narrow elements, from `index` on, as one u32; the first is the lowest. */
  | { readonly kind: "word"; readonly dtype: "u32"; readonly buffer: string; readonly index: Dim }
  | { readonly kind: "ref"; readonly dtype: DType; readonly name: string }
  /** One of two values, by index tests alone: the one not taken is not evaluated, so its loads may be out of bounds there. */
  | { readonly kind: "select"; readonly dtype: DType; readonly tests: readonly Test[]; readonly then: Value; readonly else: Value }
  | { readonly kind: "op"; readonly dtype: DType; readonly op: ScalarOp; readonly args: readonly Value[] };

/** What a matrix unit multiplies: acc[m,n] += a[m,k] * b[k,n]. Data, so that a tiling can be computed from it. */
export interface MatrixUnit {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Threads that issue it together. */
  readonly lanes: number;
  /** Where a and b must be; `shared` units with registers for a take it from there. */
  readonly operands: "registers" | "shared";
  /** b lies in rows along n, one for each k, where others have a row along k for each n. */
  readonly turned?: true;
  readonly input: DType;
  /** Operands must be rounded before: the unit ignores their last bits. */
  readonly rounds?: true;
  /** Registers per lane; acc 0 means opaque: the fragment leaves through `spill`. */
  readonly regs: { readonly a: number; readonly b: number; readonly acc: number };
  /** Where a lane's accumulators lie; absent when opaque. */
  readonly layout?: FragmentLayout;
}

/**
 * Row and column of accumulator `i` of a lane, as digits: each entry adds `by * ((source / over) % size)` to the row or the
 * column, where the source is the lane number or the accumulator's own number.
 */
export interface FragmentLayout {
  readonly row: readonly Digit[];
  readonly column: readonly Digit[];
}
export interface Digit {
  readonly of: "lane" | "register";
  readonly over: number;
  readonly size: number;
  readonly by: number;
}

// Builders, so that lowerings read like the loops they write.
export const axis = (name: string, size: Dim, kind: Axis["kind"]): Axis => ({ name, size, kind });
/** The position on an axis, with the axis' bounds. */
export const at = (a: Axis): Dim => indexOn(a.name, a.size);
export const constant = (value: number | bigint, dtype: DType): Value => ({ kind: "const", dtype, value });
export const indexValue = (expr: Dim, dtype: DType): Value => ({ kind: "index", dtype, expr });
export const load = (buffer: Buffer, index: Dim): Value => ({
  kind: "load",
  dtype: computeDType(buffer.dtype),
  buffer: buffer.name,
  index,
});
/** The word that starts at an element of a buffer of narrow elements, and how many elements a word holds. */
export const wordAt = (buffer: Buffer, index: Dim): Value => ({ kind: "word", dtype: "u32", buffer: buffer.name, index });
export const perWord = (dtype: DType): number => 4 / bytesOf(dtype);
export const apply = (op: ScalarOp, dtype: DType, ...args: readonly Value[]): Value => ({ kind: "op", dtype, op, args });
export const store = (buffer: Buffer, index: Dim, value: Value, hint?: "stream"): Stmt => ({
  kind: "store",
  buffer: buffer.name,
  index,
  value,
  ...(hint && { hint }),
});
export const ref = (buffer: Buffer, index: Dim): Ref => ({ buffer: buffer.name, index });
export const below = (a: Dim, b: Dim): Test => ({ a, op: "<", b });
/** Wraps a body in axes, outermost first. */
export const loops = (axes: readonly Axis[], body: readonly Stmt[]): readonly Stmt[] =>
  axes.reduceRight<readonly Stmt[]>((inner, a) => [{ kind: "for", axis: a, body: inner }], body);
