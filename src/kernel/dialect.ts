/** What a target language supplies to the shared printer: words, not decisions. */
import type { DType } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import type { ScalarOp } from "../ops/scalar.js";
import type { KernelCode } from "../runtime/program.js";
import type { Buffer, Combiner, Kernel, MatrixUnit } from "./kernel.js";

/** Printed text of a value: one scalar, or (native vectors only) all lanes of the vector axis. Never f16 or bf16: those compute as f32. */
export interface Text {
  readonly text: string;
  readonly lanes: number;
  readonly dtype: DType;
}

/** How a vector axis is written: as native vector values, as one scalar copy per lane, or as a plain inner loop. */
export type VectorStyle = "native" | "unrolled" | "loop";

export interface Dialect {
  readonly vectors: VectorStyle;
  /** Widest single memory access in bytes, for unrolled lanes. */
  readonly access: number;
  /** False where `?:` does not exist or evaluates both sides: the printer then writes if statements. */
  readonly conditional: boolean;
  /** Words that a name in a kernel may not be. */
  readonly reserved: ReadonlySet<string>;

  literal(value: number | bigint, dtype: DType): string;
  op(op: ScalarOp, dtype: DType, args: readonly Text[], lanes: number): string;
  splat(x: string, dtype: DType, lanes: number): string;
  /** A native vector from memory that a register is to hold: compilers may not read it again instead. */
  held(x: string, dtype: DType, lanes: number): string;
  /** A native vector of lane values. */
  pack(lanes: readonly string[], dtype: DType): string;
  /** One lane of a native vector. */
  lane(x: string, l: number | string, dtype: DType, lanes: number): string;
  /** The vector with one lane replaced. */
  insert(x: string, l: string, value: string, dtype: DType, lanes: number): string;
  /** base, base + step, ... as a native vector. */
  ramp(base: string, step: number, dtype: DType, lanes: number): string;

  /** Integer expressions. */
  index(e: Dim, name: (variable: string) => string): string;
  /** An integer expression as a value. */
  fromIndex(index: string, dtype: DType): string;
  /** A value as an integer in [min, max]. */
  clamp(value: Text, min: string, max: string): string;

  declare(name: string, dtype: DType, lanes: number, value: string): string;
  declareIndex(name: string, value: string): string;
  /** Lane values of an integer, by position. */
  declareIndices(name: string, values: readonly string[]): readonly string[];
  /** A mutable register, and an array of them. */
  variable(name: string, dtype: DType, lanes: number): string;
  array(name: string, dtype: DType, size: number): string;
  assign(to: string, value: string): string;
  loop(name: string, count: string): string;
  branch(test: string): string;
  test(a: string, op: "<" | "==", b: string): string;
  and(tests: readonly string[]): string;
  choose(test: string, a: string, b: string): string;
  /** An expression that runs statements first (native vectors only). */
  block(statements: readonly string[], result: string): string;

  /** `buffer` is a global or shared one, or an array of registers. Several lanes are contiguous. */
  load(b: Buffer, index: string, lanes: number): string;
  /** The word that starts at an element of a global or shared buffer of narrow elements; several lanes are neighbouring words. */
  word(b: Buffer, index: string, lanes: number): string;
  /** Several lanes as they lie in memory (unrolled vectors), declared as `name`, and lane `l` of it as a value. */
  wide(b: Buffer, index: string, lanes: number, name: string): string;
  wideLane(b: Buffer, name: string, l: number): string;
  /** One text per lane for unrolled vectors, otherwise one. */
  store(b: Buffer, index: string, values: readonly string[], lanes: number, stream: boolean): string;
  atomic(op: Combiner, b: Buffer, index: string, value: string): string;
  /** Rounds to what a register of this storage dtype holds. */
  hold(value: string, storage: DType, lanes: number): string;

  /** A reduction over the lanes of one native vector, and over neighbouring threads. */
  across(op: Combiner, x: string, dtype: DType, lanes: number): string;
  /** Reductions of several native vectors, as the lanes of one. */
  acrossEach(op: Combiner, xs: readonly string[], dtype: DType, lanes: number): string;
  overThreads(op: Combiner, x: string, dtype: DType, threads: number, all: number): string;
  barrier(warp: boolean): string;

  copy(to: Buffer, at: string, from: Buffer, index: string, count: number): string;
  /** Empty where hardware does without. More than one element at once only where `Target.ahead` allows it. */
  prefetch(buffer: Buffer, index: string, second: boolean, count: number): string;
  /** A block of words, columns in place of rows; strides count elements. */
  turn(to: Buffer, at: string, toStride: string, from: Buffer, index: string, fromStride: string, rows: number): string;
  commit(): string;
  wait(pending: number): string;
  /** Absent where a launch begins after all that it depends on. */
  dependency?(op: "release" | "await"): string;
  copyTile(to: Buffer, at: string, from: Buffer, row: string, column: string, signal: string): string;
  signal(op: "arm" | "expect" | "arrive" | "await", on: string, amount: string): string;
  fill(u: MatrixUnit, acc: readonly string[]): string;
  fetch(
    u: MatrixUnit,
    into: readonly string[],
    from: Buffer,
    index: string,
    stride: string,
    how: { readonly transposed: boolean; readonly stream: boolean },
  ): string;
  mma(u: MatrixUnit, acc: readonly string[], a: readonly string[], b: readonly string[], fresh: boolean): string;
  spill(u: MatrixUnit, acc: readonly string[], to: Buffer, index: string, stride: string): string;
  issue(u: MatrixUnit): readonly [string, string];
  /** Absent where threads cannot give registers to others. */
  registerCount?(change: "more" | "fewer", count: number): string;
  settle(u: MatrixUnit, pending: number, of: readonly string[]): string;

  finish(k: Kernel, printed: Printed): KernelCode;
}

/** A kernel's body in the target language, before the function around it. */
export interface Printed {
  readonly entry: string;
  /** Declarations of registers. */
  readonly registers: readonly string[];
  readonly body: readonly string[];
  /** Some index may reach 2^31. */
  readonly wide: boolean;
  /** The spelling of a name, and of an integer expression. */
  name(n: string): string;
  index(e: Dim): string;
}

/**
 * A name that is safe in the target language: plain names stay as they are; reserved ones, and those that could meet a name
 * which the printer makes (`acc_3`), are spelled so that no two become equal.
 */
export function identifier(name: string, reserved: ReadonlySet<string>): string {
  const plain = /^[A-Za-z][A-Za-z0-9_]*$/.test(name) && !/(_|x)\d+$|__|^n_.*_n$/.test(name) && !reserved.has(name);
  if (plain) return name;
  return `n_${[...name].map((c) => (/[A-Za-z0-9]/.test(c) ? c : `_${c.codePointAt(0)!.toString(16)}_`)).join("")}_n`;
}
