/** Runs a Kernel statement by statement, as its meaning says: slow, and the oracle for lowerings and printers where no compiler is. */
import { roundValue } from "../core/convert.js";
import { bytesOf, computeDType, type DType, isWide } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { add, type Dim, evaluate } from "../core/expr.js";
import { type HostData, hostData } from "../core/ndarray.js";
import { type Meeting, type Running, runCopyTile, runInBackground, runSignal, type Signal, type Step } from "./interpretBackground.js";
import { type Buffer, type Kernel, perWord, type Ref, type Stmt, type Test, type Value } from "./kernel.js";
import { bitsOf, fromBits, type Scalar, scalarValue } from "./scalarValue.js";
import { fragmentAt } from "./units.js";

type Store = Map<string, HostData>;

/** Runs every grid point. `args` are the global buffers in order, changed in place; every index is checked. */
export function interpretKernel(k: Kernel, args: readonly HostData[], dims: Readonly<Record<string, number>> = {}): void {
  const globals: Store = new Map(k.buffers.filter((b) => b.space === "global").map((b, i) => [b.name, args[i]!]));
  const points = evaluate(k.grid, dims);
  for (let pid = 0; pid < points; pid++) {
    const scope = { ...dims, pid };
    const shared = make(k, "shared", scope);
    const signals = new Map(
      k.buffers
        .filter((b) => b.space === "signal")
        .map((b) => [b.name, Array.from({ length: evaluate(b.size, scope) }, () => ({ left: 0, bytes: 0, phase: 0, arrivals: 0 }))]),
    );
    const threads = Array.from({ length: k.threads }, (_, tid) => {
      const registers = make(k, "reg", scope);
      return new Thread(k, new Map([...globals, ...shared, ...registers]), { ...scope, tid }, signals).run();
    });
    together(threads, k);
  }
}
function make(k: Kernel, space: Buffer["space"], scope: Readonly<Record<string, number>>): Store {
  return new Map(
    k.buffers
      .filter((b) => b.space === space)
      .map((b) => {
        const data = hostData(computeDType(b.dtype), evaluate(b.size, scope));
        // What was never written must not be relied on.
        if (data instanceof Float64Array) data.fill(computeDType(b.dtype)[0] === "f" ? Number.NaN : 77);
        return [b.name, data];
      }),
  );
}
/** Runs threads side by side: each goes on until it meets the others of its group. */
function together(threads: readonly Step[], k: Kernel): void {
  const at = threads.map((t) => t.next());
  for (;;) {
    if (at.every((r) => r.done)) return;
    let moved = false;
    for (let i = 0; i < threads.length; ) {
      const r = at[i]!;
      const size = r.done ? 1 : r.value.size;
      const first = Math.floor(i / size) * size;
      const group = at.slice(first, first + size);
      const met = !r.done && r.value.ready?.() !== false && group.every((x) => !x.done && x.value.what === r.value.what);
      if (met) {
        const values = group.map((x) => (x.value as Meeting).value ?? 0);
        for (let j = 0; j < group.length; j++) at[first + j] = threads[first + j]!.next(values);
        moved = true;
      }
      i = first + size;
    }
    if (!moved) throw new InternalError(`kernel ${k.name}: threads wait for each other at different barriers`);
  }
}

/** A float inside a word. */
const floatOf = (word: number, which: number, dtype: DType): number =>
  Number(fromBits(BigInt(bytesOf(dtype) === 4 ? word : (word >>> (16 * which)) & 0xffff), dtype));

class Thread implements Running {
  readonly kernel: Kernel;
  readonly store: Store;
  readonly buffers: ReadonlyMap<string, Buffer>;
  scope: Record<string, number>;
  names = new Map<string, Scalar>();
  readonly tiles = new Map<string, Float64Array>();

  readonly signals: ReadonlyMap<string, Signal[]>;

  constructor(kernel: Kernel, store: Store, scope: Record<string, number>, signals: ReadonlyMap<string, Signal[]>) {
    this.signals = signals;
    this.kernel = kernel;
    this.store = store;
    this.scope = scope;
    this.buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
  }
  *run(): Step {
    yield* this.block(this.kernel.body);
    return [];
  }
  *block(body: readonly Stmt[]): Step {
    for (const s of body) yield* this.statement(s);
    return [];
  }
  dim(d: Dim): number {
    return typeof d === "number" ? d : evaluate(d, this.scope);
  }
  test(t: Test): boolean {
    return t.op === "<" ? this.dim(t.a) < this.dim(t.b) : this.dim(t.a) === this.dim(t.b);
  }
  place(name: string, index: Dim): [HostData, number] {
    const data = this.store.get(name);
    const i = this.dim(index);
    if (!data) throw new InternalError(`kernel ${this.kernel.name}: no buffer ${name}`);
    if (!(i >= 0 && i < data.length))
      throw new InternalError(`kernel ${this.kernel.name}: ${name}[${i}] is outside its ${data.length} elements`);
    return [data, i];
  }
  value(v: Value): Scalar {
    switch (v.kind) {
      case "const":
        return roundValue(computeDType(v.dtype), v.value);
      case "index": {
        const x = this.dim(v.expr);
        return roundValue(v.dtype, isWide(v.dtype) ? BigInt(x) : x);
      }
      case "load": {
        const [data, i] = this.place(v.buffer, v.index);
        return data[i]!;
      }
      case "word":
        return this.word(v.buffer, this.dim(v.index));
      case "ref": {
        const x = this.names.get(v.name);
        if (x === undefined) throw new InternalError(`kernel ${this.kernel.name}: ${v.name} is used before its let`);
        return x;
      }
      case "select":
        return this.value(v.tests.every((t) => this.test(t)) ? v.then : v.else);
      case "op":
        return scalarValue(
          v.op,
          v.dtype,
          v.args.map((a) => this.value(a)),
          v.args.map((a) => a.dtype),
        );
      default:
        return v satisfies never;
    }
  }
  /** The bits of neighbouring elements, as many as make a word. */
  word(buffer: string, index: number): number {
    const { dtype } = this.buffers.get(buffer)!;
    let bits = 0n;
    for (let i = perWord(dtype) - 1; i >= 0; i--) {
      const [data, at] = this.place(buffer, index + i);
      bits = (bits << BigInt(8 * bytesOf(dtype))) | bitsOf(data[at]!, dtype);
    }
    return Number(bits);
  }
  setWord(buffer: string, index: number, word: number): void {
    const { dtype } = this.buffers.get(buffer)!;
    const bits = 8 * bytesOf(dtype);
    for (let i = 0; i < perWord(dtype); i++) {
      const [data, at] = this.place(buffer, index + i);
      data[at] = fromBits((BigInt(word) >> BigInt(bits * i)) & ((1n << BigInt(bits)) - 1n), dtype);
    }
  }
  write(r: Ref, x: Scalar): void {
    const [data, i] = this.place(r.buffer, r.index);
    data[i] = roundValue(this.buffers.get(r.buffer)!.dtype, x);
  }
  *each(name: string, n: number, body: () => Step): Step {
    for (let i = 0; i < n; i++) {
      this.scope[name] = i;
      yield* body();
    }
    return [];
  }
  /** Operations on tiles of 16 rows of 16 words. */
  tile(s: Extract<Stmt, { kind: "fill" | "fetch" | "mma" | "spill" }>): readonly Scalar[] {
    const key = (r: Ref): string => `${r.buffer} ${this.dim(r.index)}`;
    const tileAt = (r: Ref): Float64Array => {
      const found = this.tiles.get(key(r));
      if (!found) throw new InternalError(`kernel ${this.kernel.name}: a tile is used before it is filled`);
      return found;
    };
    const each = (f: (row: number, column: number, i: number) => void): void => {
      for (let i = 0; i < 256; i++) f(i >> 4, i & 15, i);
    };
    if (s.kind === "fill") this.tiles.set(key(s.acc), new Float64Array(256));
    else if (s.kind === "spill") {
      const [from, stride] = [tileAt(s.acc), this.dim(s.stride)];
      each((row, column, i) => this.write({ buffer: s.to.buffer, index: this.dim(s.to.index) + row * stride + column }, from[i]!));
    } else if (s.kind === "fetch") {
      const [words, stride, start] = [new Float64Array(256), this.dim(s.stride), this.dim(s.from.index)];
      const plain = s.unit.lanes > 1;
      const per = plain ? 1 : perWord(this.buffers.get(s.from.buffer)!.dtype);
      each((row, column, i) => {
        const at = plain && s.transposed ? start + column * stride + row : start + row * stride + column * per;
        // Words of operands are bits; accumulators are numbers.
        words[i] = per > 1 ? this.word(s.from.buffer, at) : Number(this.place(s.from.buffer, at)[0][at]);
      });
      this.tiles.set(key(s.into), words);
    } else {
      const [acc, a, b] = [tileAt(s.acc), tileAt(s.a), tileAt(s.b)];
      if (s.unit.lanes > 1) {
        each((row, column, i) => {
          for (let w = 0; w < 16; w++) acc[i] = Math.fround(acc[i]! + a[16 * row + w]! * b[16 * w + column]!);
        });
        return [];
      }
      const per = 4 / bytesOf(s.unit.input);
      const part = (word: number, j: number): number =>
        per === 4 ? ((word >>> (8 * j)) << 24) >> 24 : Number(floatOf(word, j, s.unit.input));
      const rounded = per === 4 ? (x: number): number => x | 0 : Math.fround;
      each((row, column, i) => {
        for (let w = 0; w < 16; w++)
          for (let j = 0; j < per; j++) acc[i] = rounded(acc[i]! + part(a[16 * row + w]!, j) * part(b[16 * w + column]!, j));
      });
    }
    return [];
  }
  /** Operations of a matrix unit that takes registers, by all of its lanes together. */
  *unit(s: Extract<Stmt, { kind: "fill" | "fetch" | "mma" }>): Step {
    const { unit } = s;
    if (unit.regs.acc === 0) return this.tile(s);
    const size = unit.lanes;
    const lane = this.scope["tid"]! % size;
    const together = function* (what: string, value: Scalar): Step {
      return yield { what, size, value };
    };
    if (s.kind === "fill") {
      for (let i = 0; i < unit.regs.acc; i++) this.write({ buffer: s.acc.buffer, index: add(s.acc.index, i) }, 0);
      return [];
    }
    if (s.kind === "fetch") {
      // Each of four blocks has eight rows of 16 bytes; eight lanes name them.
      const starts = yield* together("fetch", this.dim(s.from.index));
      const { dtype } = this.buffers.get(s.from.buffer)!;
      const per = 4 / bytesOf(dtype);
      for (let j = 0; j < s.count; j++) {
        let word = 0n;
        for (let e = per - 1; e >= 0; e--) {
          const [row, column] = s.transposed ? [(lane % 4) * per + e, Math.floor(lane / 4)] : [Math.floor(lane / 4), (lane % 4) * per + e];
          const [data, at] = this.place(s.from.buffer, Number(starts[8 * j + row]) + column);
          word = (word << BigInt(8 * bytesOf(dtype))) | bitsOf(data[at]!, dtype);
        }
        this.write({ buffer: s.into.buffer, index: add(s.into.index, j) }, Number(word));
      }
      return [];
    }
    if (s.kind === "mma" && unit.operands === "shared") return yield* runInBackground(this, s);
    const words = function* (self: Thread, r: Ref, count: number): Generator<Meeting, (readonly Scalar[])[], readonly Scalar[]> {
      const all: (readonly Scalar[])[] = [];
      for (let i = 0; i < count; i++) {
        const [data, at] = self.place(r.buffer, add(r.index, i));
        all.push(yield { what: "mma", size, value: data[at]! });
      }
      return all;
    };
    const a = yield* words(this, s.a, unit.regs.a);
    const b = yield* words(this, s.b, unit.regs.b);
    const per = 4 / bytesOf(unit.input);
    const half = unit.k / 2;
    /** Element of a fragment: neighbours along k lie in a word, and a second word is half of k further on. */
    const element = (
      words_: readonly (readonly Scalar[])[],
      outer: number,
      k: number,
      registers: (second: number, row: number) => number,
    ): number => {
      const within = k % half;
      const word = Number(words_[registers(Math.floor(k / half), Math.floor(outer / 8))]![(outer % 8) * 4 + Math.floor(within / per)]!);
      return floatOf(word, within % per, unit.input);
    };
    for (let i = 0; i < unit.regs.acc; i++) {
      const [row, column] = fragmentAt(unit.layout!, lane, i) as [number, number];
      const [acc, at] = this.place(s.acc.buffer, add(s.acc.index, i));
      let sum = s.fresh ? 0 : Number(acc[at]);
      for (let k = 0; k < unit.k; k++)
        sum = Math.fround(sum + element(a, row, k, (second, r) => 2 * second + r) * element(b, column, k, (second) => second));
      (acc as Float64Array)[at] = sum;
    }
    return [];
  }
  *statement(s: Stmt): Step {
    switch (s.kind) {
      case "for":
        return yield* this.each(s.axis.name, this.dim(s.axis.size), () => this.block(s.body));
      case "if":
        return yield* this.block(this.test(s.test) ? s.body : (s.else ?? []));
      case "when":
        return yield* this.block(this.value(s.test) ? s.body : (s.else ?? []));
      case "let":
        this.names.set(s.name, this.value(s.value));
        return [];
      case "letIndex":
        this.scope[s.name] = Math.max(s.min, Math.min(this.dim(s.max), Number(this.value(s.value))));
        return [];
      case "store":
        this.write(s, this.value(s.value));
        return [];
      case "atomic": {
        const [data, i] = this.place(s.buffer, s.index);
        const dtype = computeDType(this.buffers.get(s.buffer)!.dtype);
        this.write(s, scalarValue(s.op, dtype, [data[i]!, this.value(s.value)], [dtype, dtype]));
        return [];
      }
      case "combine": {
        const values: Scalar[] = [];
        const walk = (axes: typeof s.axes): void => {
          const [a, ...rest] = axes;
          if (!a) {
            values.push(this.value(s.value));
            return;
          }
          for (let i = 0; i < this.dim(a.size); i++) {
            this.scope[a.name] = i;
            walk(rest);
          }
        };
        walk(s.axes);
        const { dtype } = s.value;
        const merge = (xs: readonly Scalar[]): Scalar => xs.reduce((a, b) => scalarValue(s.op, dtype, [a, b], [dtype, dtype]));
        const own = merge(values);
        this.write(s.into, s.threads > 1 ? merge(yield { what: "combine", size: s.threads, value: own }) : own);
        return [];
      }
      case "prefetch":
        return [];
      case "barrier":
        yield { what: "barrier", size: s.warp ? Math.min(32, this.kernel.threads) : this.kernel.threads };
        return [];
      case "copy": {
        for (let i = 0; i < s.count; i++) {
          const [from, at] = this.place(s.from.buffer, this.dim(s.from.index) + i);
          this.write({ buffer: s.to.buffer, index: this.dim(s.to.index) + i }, from[at]!);
        }
        return [];
      }
      case "turn": {
        const [to, from, toStride, fromStride] = [s.to.index, s.from.index, s.toStride, s.fromStride].map((d) => this.dim(d)) as [
          number,
          number,
          number,
          number,
        ];
        const per = (r: Ref): number => perWord(this.buffers.get(r.buffer)!.dtype);
        for (let column = 0; column < 16; column++)
          for (let row = 0; row < 16; row++)
            this.setWord(
              s.to.buffer,
              to + column * toStride + row * per(s.to),
              row < s.rows ? this.word(s.from.buffer, from + row * fromStride + column * per(s.from)) : 0,
            );
        return [];
      }
      case "commit":
      case "wait":
        return [];
      case "fill":
      case "fetch":
      case "mma":
        return yield* this.unit(s);
      case "spill":
        return this.tile(s);
      case "copyTile":
        runCopyTile(this, s);
        return [];
      case "signal":
        return yield* runSignal(this, s);
      case "issue":
        return yield* this.block(s.body);
      case "settle":
        return [];
      default:
        return s satisfies never;
    }
  }
}
