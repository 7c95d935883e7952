/** A program's steps as the table of words that the native loop walks, kept between calls and patched where buffers moved. */
import { type HostStep, type Sizes, scratchOf, valueOf } from "../../runtime/encode.js";
import { type Addresses, Prepared } from "../../runtime/prepared.js";
import type { Program } from "../../runtime/program.js";
import type { Record } from "./multiply.js";

/** What the table needs of the device. */
export interface Places extends Addresses {
  readonly copy: bigint;
  /** The kernel that asks a library for products. */
  readonly product: bigint;
}
/** What stands for a step that a library computes; undefined: its kernel runs. */
export type Chooser = (step: number, sizes: Sizes) => Record | undefined;
export type Segment =
  /** Records for the native loop; `step` is the first of the program's steps that they run. */
  | { readonly kind: "native"; readonly records: BigInt64Array; readonly step: number }
  | { readonly kind: "host"; readonly call: HostStep; readonly step: number };

const copyBlock = 1 << 18;
/** The records of a copy by itself. */
export const copyRecords = (kernel: bigint, from: bigint, to: bigint, bytes: number): BigInt64Array =>
  BigInt64Array.of(8n, kernel, BigInt(Math.ceil(bytes / copyBlock)), 0n, 1n, BigInt(bytes), from, to);

export class Table extends Prepared<Places> {
  readonly #functions: readonly bigint[];
  /** A segment for each step, whose times are wanted. */
  readonly #apart: boolean;
  readonly #choose: Chooser;
  /** Where each buffer's address stands. */
  #uses: number[][] = [];
  #words: BigInt64Array = new BigInt64Array();
  segments: readonly Segment[] = [];
  scratchBytes = 0;

  constructor(program: Program, functions: readonly bigint[], constants: readonly (bigint | undefined)[], apart: boolean, choose: Chooser) {
    super(program, constants);
    this.#functions = functions;
    this.#apart = apart;
    this.#choose = choose;
  }

  protected override move(buffer: number, address: () => bigint): void {
    const uses = this.#uses[buffer]!;
    if (!uses.length) return;
    const value = address();
    for (const at of uses) this.#words[at] = value;
  }

  protected override write(places: Places): void {
    const p = this.program;
    this.scratchBytes = scratchOf(p, this.sizes);
    const words: (number | bigint)[] = [];
    const segments: (Extract<Segment, { kind: "host" }> | { readonly begin: number; readonly end: number; readonly step: number })[] = [];
    this.#uses = p.buffers.map(() => []);
    let begin = 0;
    let first = 0;
    const close = (next: number): void => {
      if (words.length > begin) segments.push({ begin, end: words.length, step: first });
      begin = words.length;
      first = next;
    };
    // A launch without points has no record: the next one of its region begins it.
    let begun = false;
    const record = (f: bigint, grid: number, dims: readonly (number | bigint)[], buffers: readonly number[]): void => {
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
          const library = step.product && this.#choose(i, this.sizes);
          const grid = valueOf(step.grid, this.sizes, `the grid of ${p.kernels[step.kernel]!.entry}`);
          if (library) {
            this.scratchBytes = Math.max(this.scratchBytes, library.scratch);
            record(places.product, library.grid, library.dims, step.buffers);
          } else if (grid > 0)
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
    const all = (this.#words = BigInt64Array.from(words, BigInt));
    this.segments = segments.map((s) => ("kind" in s ? s : { kind: "native", records: all.subarray(s.begin, s.end), step: s.step }));
  }
}
