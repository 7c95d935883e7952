/** The names of a kernel as numbers, and its indices, tests and places as functions of a thread. */
import { fromBf16, fromF16, roundValue } from "../../core/convert.js";
import { bytesOf, type DType } from "../../core/dtype.js";
import { InternalError } from "../../core/errors.js";
import type { Atom, Dim, Expr } from "../../core/expr.js";
import type { HostData } from "../../core/ndarray.js";
import { type Buffer, type Kernel, perWord, type Ref, type Test } from "../kernel.js";
import { bitsOf, fromBits, type Scalar } from "./scalar.js";
import type { Thread } from "./thread.js";

export type Index = (t: Thread) => number;

/** What the functions of one kernel share: which number each name has. */
export class Code {
  readonly kernel: Kernel;
  private readonly slots = new Map<string, number>();
  private readonly values = new Map<string, number>();
  private readonly buffers: ReadonlyMap<string, number>;
  private readonly indices = new Map<Expr, Index>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.buffers = new Map(kernel.buffers.map((b, i) => [b.name, i]));
  }
  fault(what: string): InternalError {
    return new InternalError(`kernel ${this.kernel.name}: ${what}`);
  }

  /** Number of a name that indices use. */
  slot(name: string): number {
    return numberOf(this.slots, name);
  }
  get slotCount(): number {
    return this.slots.size;
  }
  /** Number of a name of a value. */
  valueSlot(name: string): number {
    return numberOf(this.values, name);
  }

  index(d: Dim): Index {
    if (typeof d === "number") return () => d;
    let known = this.indices.get(d);
    if (!known) this.indices.set(d, (known = this.sum(d)));
    return known;
  }
  private sum({ terms, offset }: Expr): Index {
    const parts = terms.map(({ atom, by }) => [this.atom(atom), by] as const);
    const [[a, x], [b, y]] = [parts[0]!, parts[1] ?? [() => 0, 0]];
    if (parts.length === 1) return x === 1 && offset === 0 ? a : (t) => offset + x * a(t);
    if (parts.length === 2) return (t) => offset + x * a(t) + y * b(t);
    return (t) => {
      let total = offset;
      for (const [f, by] of parts) total += by * f(t);
      return total;
    };
  }
  private atom(a: Atom): Index {
    if (a.kind === "var") {
      const slot = this.slot(a.name);
      return (t) => {
        const x = t.scope[slot]!;
        if (Number.isNaN(x)) throw this.fault(`${a.name} has no value`);
        return x;
      };
    }
    if (a.kind === "prod") {
      const factors = a.factors.map((f) => this.atom(f));
      return (t) => factors.reduce((p, f) => p * f(t), 1);
    }
    const [x, y] = [this.index(a.a), this.index(a.b)];
    switch (a.kind) {
      case "div":
        return (t) => floored(x(t), y(t));
      case "mod":
        return (t) => {
          const [p, q] = [x(t), y(t)];
          return q === 0 ? 0 : p - q * floored(p, q);
        };
      case "xor":
        return (t) => x(t) ^ y(t);
      case "min":
        return (t) => Math.min(x(t), y(t));
      case "max":
        return (t) => Math.max(x(t), y(t));
      default:
        return a satisfies never;
    }
  }
  test({ a, op, b }: Test): (t: Thread) => boolean {
    const [x, y] = [this.index(a), this.index(b)];
    return op === "<" ? (t) => x(t) < y(t) : (t) => x(t) === y(t);
  }

  /** Number of a buffer. */
  buffer(name: string): number {
    const n = this.buffers.get(name);
    if (n === undefined) throw this.fault(`no buffer ${name}`);
    return n;
  }
  plan(name: string): Buffer {
    return this.kernel.buffers[this.buffer(name)]!;
  }
  /** A buffer's elements, once it is sure that `i` is one of them. */
  around(t: Thread, buffer: number, i: number): HostData {
    const data = t.store[buffer]!;
    if (!(i >= 0 && i < data.length)) throw this.fault(`${this.kernel.buffers[buffer]!.name}[${i}] is outside its ${data.length} elements`);
    return data;
  }
  read(r: Ref): (t: Thread) => Scalar {
    const [n, index] = [this.buffer(r.buffer), this.index(r.index)];
    return (t) => {
      const i = index(t);
      return this.around(t, n, i)[i]!;
    };
  }
  /** Writes an element of a buffer, rounded as the buffer's elements are. */
  writer(buffer: string): (t: Thread, i: number, x: Scalar) => void {
    const n = this.buffer(buffer);
    const { dtype } = this.kernel.buffers[n]!;
    const round = dtype === "f32" ? (x: Scalar): Scalar => (typeof x === "number" ? Math.fround(x) : roundValue(dtype, x)) : undefined;
    return (t, i, x) => {
      this.around(t, n, i)[i] = round ? round(x) : roundValue(dtype, x);
    };
  }

  /** Reads the bits of neighbouring elements, as many as make a word. */
  wordReader(buffer: string): (t: Thread, i: number) => number {
    const n = this.buffer(buffer);
    const { dtype } = this.kernel.buffers[n]!;
    const [per, shift] = [perWord(dtype), BigInt(8 * bytesOf(dtype))];
    return (t, start) => {
      let bits = 0n;
      for (let i = start + per - 1; i >= start; i--) bits = (bits << shift) | bitsOf(this.around(t, n, i)[i]!, dtype);
      return Number(bits);
    };
  }
  wordWriter(buffer: string): (t: Thread, i: number, word: number) => void {
    const n = this.buffer(buffer);
    const { dtype } = this.kernel.buffers[n]!;
    const [per, bits] = [perWord(dtype), 8 * bytesOf(dtype)];
    const mask = (1n << BigInt(bits)) - 1n;
    return (t, start, word) => {
      for (let i = 0; i < per; i++) this.around(t, n, start + i)[start + i] = fromBits((BigInt(word) >> BigInt(bits * i)) & mask, dtype);
    };
  }
}

function numberOf(known: Map<string, number>, name: string): number {
  let n = known.get(name);
  if (n === undefined) known.set(name, (n = known.size));
  return n;
}
/** Division as indices divide: towards minus infinity, and 0 by 0. */
const floored = (a: number, b: number): number => (b === 0 ? 0 : Math.floor(a / b));

/** A narrow float inside a word, or the word as an f32. */
export function floatOf(word: number, which: number, dtype: DType): number {
  if (dtype === "bf16") return fromBf16((word >>> (16 * which)) & 0xffff);
  if (dtype === "f16") return fromF16((word >>> (16 * which)) & 0xffff);
  return Number(fromBits(BigInt(word), dtype));
}
