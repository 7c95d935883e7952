/** A program's steps as the table of words that the driver walks, kept between calls and patched where buffers moved. */
import { DeviceError } from "../../core/errors.js";
import { type HostStep, scratchOf, valueOf } from "../../runtime/encode.js";
import { type Addresses, Prepared } from "../../runtime/prepared.js";
import type { Program } from "../../runtime/program.js";

/** What the table needs of the device. */
export interface Places extends Addresses {
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
  /** `step` is the first of the program's steps that it runs. */
  | { readonly kind: "native"; readonly at: number; readonly words: number; readonly launches: number; readonly step: number }
  | { readonly kind: "host"; readonly call: HostStep; readonly step: number };

/** Bytes of a copy's grid point. */
export const copyBlock: number = 1 << 18;
const most = 2 ** 31 - 1;

export class Table extends Prepared<Places> {
  readonly #kernels: readonly number[];
  readonly #places: Places;
  /** A segment for each region, whose times are wanted. */
  readonly #apart: boolean;
  /** Where each buffer's address stands. */
  #uses: number[][] = [];
  words: Words | undefined;
  segments: readonly Segment[] = [];
  scratchBytes = 0;

  /** `kernels`: places of the program's kernels; `constants`: addresses of its constants. */
  constructor(program: Program, kernels: readonly number[], constants: readonly (bigint | undefined)[], places: Places, apart = false) {
    super(program, constants);
    this.#apart = apart;
    this.#kernels = kernels;
    this.#places = places;
  }

  protected override move(buffer: number, address: () => bigint): void {
    const uses = this.#uses[buffer]!;
    if (!uses.length) return;
    const view = this.#places.view();
    for (const at of uses) view[this.words!.address / 4 + at] = Number(address());
  }

  protected override write(places: Places): void {
    const p = this.program;
    this.scratchBytes = scratchOf(p, this.sizes);
    const words: number[] = [];
    const segments: Segment[] = [];
    this.#uses = p.buffers.map(() => []);
    let begin = 0;
    let launches = 0;
    let first = 0;
    const close = (next: number): void => {
      if (words.length > begin) segments.push({ kind: "native", at: begin, words: words.length - begin, launches, step: first });
      begin = words.length;
      launches = 0;
      first = next;
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
        words.push(Number(this.address(b, places)));
      }
      words.push(...dims);
    };
    for (const [i, step] of p.steps.entries()) {
      if (step.kind === "host" || !step.beside) {
        begun = false;
        if (this.#apart) close(i);
      }
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
          close(i + 1);
          segments.push({ kind: "host", call: step, step: i });
          break;
        default:
          step satisfies never;
      }
    }
    close(p.steps.length);
    this.words = places.words(Math.max(1, words.length), this.words);
    places.view().set(words, this.words.address / 4);
    this.segments = segments;
  }
}
