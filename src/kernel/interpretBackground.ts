/** What runs in the background on a GPU, run at once: tiles on their way, signals, and products of tiles in shared memory. */
import { bytesOf, type DType } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import { add } from "../core/expr.js";
import type { HostData } from "../core/ndarray.js";
import type { Buffer, Ref, Stmt } from "./kernel.js";
import { fromBits, type Scalar } from "./scalarValue.js";
import { fragmentAt } from "./units.js";

/** A barrier in shared memory: how many arrivals end a phase, how many and how many bytes this one still waits for, and its number. */
export interface Signal {
  arrivals: number;
  left: number;
  bytes: number;
  phase: number;
}
/** What a thread waits for: everybody in its group of `size` threads, and that something is ready. */
export interface Meeting {
  readonly what: string;
  readonly size: number;
  readonly value?: Scalar;
  readonly ready?: () => boolean;
}
export type Step = Generator<Meeting, readonly Scalar[], readonly Scalar[]>;
/** A thread that runs. */
export interface Running {
  readonly buffers: ReadonlyMap<string, Buffer>;
  readonly signals: ReadonlyMap<string, readonly Signal[]>;
  readonly scope: Readonly<Record<string, number>>;
  dim(d: Dim): number;
  place(name: string, index: Dim): [HostData, number];
  write(r: Ref, x: Scalar): void;
}

const signalAt = (t: Running, r: Ref): Signal => t.signals.get(r.buffer)![t.dim(r.index)]!;
/** A phase ends with its last arrival and its last byte. */
function settled(s: Signal): void {
  if (s.left > 0 || s.bytes > 0) return;
  s.phase++;
  s.left = s.arrivals;
}

/** Arms a signal, arrives at it, or waits until a phase of the given parity has ended. */
export function* runSignal(t: Running, s: Extract<Stmt, { kind: "signal" }>): Step {
  const signal = signalAt(t, s.on);
  const amount = t.dim(s.amount);
  if (s.op === "arm") Object.assign(signal, { arrivals: amount, left: amount, bytes: 0, phase: 0 });
  else if (s.op === "await") yield { what: "await", size: 1, ready: () => signal.phase % 2 !== amount };
  else {
    signal.left--;
    if (s.op === "expect") signal.bytes += amount;
    settled(signal);
  }
  return [];
}

/** Elements of a swizzled row: 128 bytes. */
const rowOf = (dtype: DType): number => 128 / bytesOf(dtype);
/** Where an element of a tile lies: pieces of 16 bytes of a row are exchanged as the row's number in its eight says. */
function swizzled(index: number, dtype: DType): number {
  const [row, piece] = [rowOf(dtype), 16 / bytesOf(dtype)];
  const [r, c] = [Math.floor(index / row), index % row];
  return r * row + ((Math.floor(c / piece) ^ (r % 8)) * piece + (c % piece));
}

export function runCopyTile(t: Running, s: Extract<Stmt, { kind: "copyTile" }>): void {
  const from = t.buffers.get(s.from)!;
  const [rows, columns] = s.box;
  const [row, column, start, size] = [t.dim(s.origin[0]), t.dim(s.origin[1]), t.dim(s.to.index), t.dim(from.size)];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const at = (row + r) * s.columns + column + c;
      const inside = column + c < s.columns && at < Math.floor(size / s.columns) * s.columns;
      const [data, i] = inside ? t.place(s.from, at) : [[0], 0];
      t.write({ buffer: s.to.buffer, index: swizzled(start + r * columns + c, from.dtype) }, data[i]!);
    }
  const signal = signalAt(t, s.signal);
  signal.bytes -= rows * columns * bytesOf(from.dtype);
  settled(signal);
}

/** A product of a tile, or of fragments in registers, with a tile: a lane computes its own accumulators. */
export function* runInBackground(t: Running, s: Extract<Stmt, { kind: "mma" }>): Step {
  const { unit } = s;
  const lane = t.scope["tid"]! % unit.lanes;
  const row = rowOf(unit.input);
  const words: (readonly Scalar[])[] = [];
  for (let i = 0; i < unit.regs.a; i++) {
    const [data, at] = t.place(s.a.buffer, add(s.a.index, i));
    words.push(yield { what: "mma", size: 32, value: data[at]! });
  }
  const element = (r: Ref, outer: number, inner: number): number => {
    const [data, at] = t.place(r.buffer, swizzled(t.dim(r.index) + outer * row + inner, unit.input));
    return Number(data[at]);
  };
  const a = (m: number, k: number): number => {
    if (!unit.regs.a) return element(s.a, m, k);
    const word = Number(words[2 * Math.floor(k / 8) + (Math.floor(m / 8) % 2)]![(m % 8) * 4 + Math.floor((k % 8) / 2)]!);
    return Number(fromBits(BigInt((word >>> (16 * (k % 2))) & 0xffff), unit.input));
  };
  const b = (n: number, k: number): number => (unit.turned ? element(s.b, k, n) : element(s.b, n, k));
  for (let i = 0; i < unit.regs.acc; i++) {
    const [m, n] = fragmentAt(unit.layout!, lane, i) as [number, number];
    const [acc, at] = t.place(s.acc.buffer, add(s.acc.index, i));
    let sum = s.fresh ? 0 : Number(acc[at]);
    for (let k = 0; k < unit.k; k++) sum = Math.fround(sum + a(m, k) * b(n, k));
    (acc as Float64Array)[at] = sum;
  }
  return [];
}
