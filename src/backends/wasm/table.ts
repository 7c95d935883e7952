/** A program's steps as the table of words that the driver walks, kept between calls and patched where buffers moved. */
import { DeviceError } from "../../core/errors.js";
import type { Allocation, Call } from "../../runtime/device.js";
import { bufferBytes, checkBuffers, type HostStep, type Sizes, sameNumbers, sizesOf, valueOf } from "../../runtime/encode.js";
import type { Program } from "../../runtime/program.js";

/** What the table needs of the device. */
export interface Places {
  /** Address of the caller's buffer. */
  of(a: Allocation): number;
  /** Address of the arena, of at least that many bytes. */
  arena(bytes: number): number;
  /** Memory for `words` words, instead of what `old` had. */
  words(words: number, old: Words | undefined): Words;
  /** The memory as words, as it is now. */
  view(): Uint32Array;
  /** Place of the kernel that copies. */
  readonly copy: number;
}
export interface Words {
  readonly address: number;
  readonly count: number;
}
export type Segment =
  | { readonly kind: "native"; readonly at: number; readonly words: number; readonly launches: number }
  | { readonly kind: "host"; readonly call: HostStep };

/** Bytes of a copy's grid point. */
export const copyBlock: number = 1 << 18;
const most = 2 ** 31 - 1;

export class Table {
  readonly #program: Program;
  readonly #kernels: readonly number[];
  readonly #constants: readonly (number | undefined)[];
  #dims: readonly number[] | undefined;
  #last: (Allocation | undefined)[] = [];
  #arena = 0;
  #offsets: (number | undefined)[] = [];
  /** Where each buffer's address stands. */
  #uses: number[][] = [];
  words: Words | undefined;
  segments: readonly Segment[] = [];
  sizes: Sizes = {};
  bytes: readonly number[] = [];
  arenaBytes = 0;
  scratchBytes = 0;

  /** `kernels`: places of the program's kernels; `constants`: addresses of its constants. */
  constructor(program: Program, kernels: readonly number[], constants: readonly (number | undefined)[]) {
    this.#program = program;
    this.#kernels = kernels;
    this.#constants = constants;
  }

  /** Address of a buffer of the call that was prepared last. */
  address(buffer: number, places: Places): number {
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
    const changed = fresh || this.bytes.some((_, i) => buffers[i] !== this.#last[i]);
    if (changed) checkBuffers(this.#program, call, this.bytes);
    const arena = places.arena(this.arenaBytes);
    if (fresh) {
      this.#last = [...buffers];
      this.#arena = arena;
      this.#write(places);
      this.#dims = [...call.dims];
      return;
    }
    const move = (i: number, address: number): void => {
      const view = places.view();
      for (const at of this.#uses[i]!) view[this.words!.address / 4 + at] = address;
    };
    if (changed)
      this.bytes.forEach((_, i) => {
        const b = buffers[i];
        if (b === this.#last[i]) return;
        this.#last[i] = b;
        if (b) move(i, places.of(b));
      });
    if (arena !== this.#arena) {
      this.#arena = arena;
      for (const [i, offset] of this.#offsets.entries()) if (offset !== undefined) move(i, arena + offset);
    }
  }

  #size(dims: readonly number[]): void {
    const p = this.#program;
    this.sizes = sizesOf(p, dims);
    this.bytes = bufferBytes(p, this.sizes);
    this.arenaBytes = valueOf(p.arena, this.sizes, `the arena of ${p.name}`);
    this.scratchBytes = p.kernels.reduce((n, k) => Math.max(n, valueOf(k.sharedBytes, this.sizes, `scratch of ${k.entry}`)), 0);
    this.#offsets = p.buffers.map((b, i) => {
      if (b.role !== "temp") return undefined;
      const offset = valueOf(b.offset ?? 0, this.sizes, `the place of buffer ${i} of ${p.name}`);
      if (offset + this.bytes[i]! > this.arenaBytes) throw new DeviceError(`${p.name}: temporary ${i} reaches beyond the arena`);
      return offset;
    });
  }

  #write(places: Places): void {
    const p = this.#program;
    const words: number[] = [];
    const segments: Segment[] = [];
    this.#uses = p.buffers.map(() => []);
    let begin = 0;
    let launches = 0;
    const close = (): void => {
      if (words.length > begin) segments.push({ kind: "native", at: begin, words: words.length - begin, launches });
      begin = words.length;
      launches = 0;
    };
    // A launch without points has no record: the next one of its region begins it.
    let begun = false;
    const small = (n: number, what: string): number => {
      if (n > most) throw new DeviceError(`${p.name}: ${what} comes to ${n}; kernels in WebAssembly count to 2^31`);
      return n;
    };
    const record = (kernel: number, grid: number, dims: readonly number[], buffers: readonly number[]): void => {
      words.push(4 + dims.length + buffers.length, kernel, grid, begun ? 1 : 0);
      if (!begun) launches++;
      begun = true;
      for (const b of buffers) {
        this.#uses[b]!.push(words.length);
        words.push(this.address(b, places));
      }
      words.push(...dims);
    };
    for (const step of p.steps) {
      if (step.kind === "host" || !step.beside) begun = false;
      switch (step.kind) {
        case "launch": {
          const grid = small(valueOf(step.grid, this.sizes, `the grid of ${p.kernels[step.kernel]!.entry}`), "a grid");
          const dims = step.dims.map((d) => small(valueOf(d, this.sizes, "a dim"), "a dim"));
          if (grid > 0) record(this.#kernels[step.kernel]!, grid, dims, step.buffers);
          break;
        }
        case "copy": {
          const bytes = this.bytes[step.to]!;
          if (bytes > 0) record(places.copy, Math.ceil(bytes / copyBlock), [bytes], [step.from, step.to]);
          break;
        }
        case "host":
          close();
          segments.push({ kind: "host", call: step });
          break;
        default:
          step satisfies never;
      }
    }
    close();
    this.words = places.words(Math.max(1, words.length), this.words);
    places.view().set(words, this.words.address / 4);
    this.segments = segments;
  }
}
