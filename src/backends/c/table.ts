/** A program's steps as the table of words that the native loop walks, kept between calls and patched where buffers moved. */
import type { Allocation, Call } from "../../runtime/device.js";
import { bufferBytes, checkBuffers, type HostStep, type Sizes, sameNumbers, sizesOf, valueOf } from "../../runtime/encode.js";
import type { Program } from "../../runtime/program.js";

/** What the table needs of the device. */
export interface Places {
  /** Address of the caller's buffer. */
  of(a: Allocation): bigint;
  /** Address of the arena, of at least that many bytes. */
  arena(bytes: number): bigint;
  /** Native memory for `words` words, instead of what `old` had. */
  words(words: number, old: Words | undefined): Words;
  readonly copy: bigint;
}
export interface Words {
  readonly address: bigint;
  readonly view: BigInt64Array;
}
export type Segment =
  /** `step` is the first of the program's steps that it runs. */
  | { readonly kind: "native"; readonly at: number; readonly words: number; readonly step: number }
  | { readonly kind: "host"; readonly call: HostStep; readonly step: number };

const copyBlock = 1 << 18;

export class Table {
  readonly #program: Program;
  readonly #functions: readonly bigint[];
  readonly #constants: readonly (bigint | undefined)[];
  /** A segment for each step, whose times are wanted. */
  readonly #apart: boolean;
  #dims: readonly number[] | undefined;
  #last: (Allocation | undefined)[] = [];
  #arena = 0n;
  #offsets: (bigint | undefined)[] = [];
  /** Where each buffer's address stands. */
  #uses: number[][] = [];
  words: Words | undefined;
  segments: readonly Segment[] = [];
  sizes: Sizes = {};
  bytes: readonly number[] = [];
  arenaBytes = 0;
  scratchBytes = 0;

  constructor(program: Program, functions: readonly bigint[], constants: readonly (bigint | undefined)[], apart: boolean) {
    this.#program = program;
    this.#functions = functions;
    this.#constants = constants;
    this.#apart = apart;
  }

  /** Address of a buffer of the call that was prepared last. */
  address(buffer: number, places: Places): bigint {
    const offset = this.#offsets[buffer];
    if (offset !== undefined) return this.#arena + offset;
    return this.#constants[buffer] ?? places.of(this.#last[buffer]!);
  }

  /** Makes the table fit a call. In steady state it compares, and writes nothing. */
  prepare(call: Call, places: Places): void {
    const fresh = !this.#dims || !sameNumbers(this.#dims, call.dims);
    if (fresh) {
      this.#dims = undefined;
      this.#size(call.dims);
    }
    const { buffers } = call;
    const last = this.#last;
    let changed = fresh;
    for (let i = 0; i < this.bytes.length && !changed; i++) changed = buffers[i] !== last[i];
    if (changed) checkBuffers(this.#program, call, this.bytes);
    const arena = places.arena(this.arenaBytes);
    if (fresh) {
      this.#last = [...buffers];
      this.#arena = arena;
      this.#write(places);
      this.#dims = [...call.dims];
      return;
    }
    const view = this.words!.view;
    if (changed) {
      for (let i = 0; i < this.bytes.length; i++) {
        const b = buffers[i];
        if (b === last[i]) continue;
        last[i] = b;
        if (!b || this.#uses[i]!.length === 0) continue;
        const address = places.of(b);
        for (const at of this.#uses[i]!) view[at] = address;
      }
    }
    if (arena !== this.#arena) {
      this.#arena = arena;
      this.#offsets.forEach((offset, i) => {
        if (offset !== undefined) for (const at of this.#uses[i]!) view[at] = arena + offset;
      });
    }
  }

  #size(dims: readonly number[]): void {
    const p = this.#program;
    this.sizes = sizesOf(p, dims);
    this.bytes = bufferBytes(p, this.sizes);
    this.arenaBytes = valueOf(p.arena, this.sizes, `the arena of ${p.name}`);
    this.scratchBytes = p.kernels.reduce((most, k) => Math.max(most, valueOf(k.sharedBytes, this.sizes, `scratch of ${k.entry}`)), 0);
    this.#offsets = p.buffers.map((b, i) => {
      if (b.role !== "temp") return undefined;
      const offset = valueOf(b.offset ?? 0, this.sizes, `the place of buffer ${i} of ${p.name}`);
      if (offset + this.bytes[i]! > this.arenaBytes) throw new RangeError(`${p.name}: temporary ${i} reaches beyond the arena`);
      return BigInt(offset);
    });
  }

  #write(places: Places): void {
    const p = this.#program;
    const words: (number | bigint)[] = [];
    const segments: Segment[] = [];
    this.#uses = p.buffers.map(() => []);
    let begin = 0;
    let first = 0;
    const close = (next: number): void => {
      if (words.length > begin) segments.push({ kind: "native", at: begin, words: words.length - begin, step: first });
      begin = words.length;
      first = next;
    };
    // A launch without points has no record: the next one of its region begins it.
    let begun = false;
    const record = (f: bigint, grid: number, dims: readonly number[], buffers: readonly number[]): void => {
      words.push(5 + dims.length + buffers.length, f, grid, begun ? 1 : 0, dims.length, ...dims);
      begun = true;
      for (const b of buffers) {
        this.#uses[b]!.push(words.length);
        words.push(this.address(b, places));
      }
    };
    for (const [i, step] of p.steps.entries()) {
      if (this.#apart) close(i);
      if (step.kind === "host" || !step.beside) begun = false;
      switch (step.kind) {
        case "launch": {
          const grid = valueOf(step.grid, this.sizes, `the grid of ${p.kernels[step.kernel]!.entry}`);
          if (grid > 0)
            record(
              this.#functions[step.kernel]!,
              grid,
              step.dims.map((d) => valueOf(d, this.sizes, "a dim")),
              step.buffers,
            );
          break;
        }
        case "copy": {
          const bytes = this.bytes[step.to]!;
          if (bytes > 0) record(places.copy, Math.ceil(bytes / copyBlock), [bytes], [step.from, step.to]);
          break;
        }
        case "host":
          close(i + 1);
          segments.push({ kind: "host", call: step, step: i });
          break;
        default:
          step satisfies never;
      }
    }
    close(p.steps.length);
    this.words = places.words(Math.max(1, words.length), this.words);
    const view = this.words.view;
    for (let i = 0; i < words.length; i++) view[i] = BigInt(words[i]!);
    this.segments = segments;
  }
}
