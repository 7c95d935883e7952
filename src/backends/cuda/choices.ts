/**
 * Kernel or library, and by which algorithm: measured once for each product, GPU and version of the library, and kept on disk. Sizes that only
 * a call knows take what the library itself believes to be best.
 */
import { DeviceError, OutOfMemoryError } from "../../core/errors.js";
import { cacheFor, sha256 } from "../../runtime/cache.js";
import { type Sizes, valueOf } from "../../runtime/encode.js";
import { outside, type SizedProduct, sizedProduct } from "../../runtime/product.js";
import type { Program, Step } from "../../runtime/program.js";
import type { LibraryCall } from "./launch.js";
import type { Algorithm, Described, Lt, ProductTypes } from "./lt.js";

type Launch = Extract<Step, { kind: "launch" }>;
type ProductStep = Launch & { readonly product: NonNullable<Launch["product"]> };
/** What was found out: the library's algorithm, or that the kernel is faster. */
export type Choice = Algorithm | "kernel";
/** A choice, and the seconds that both ways took. */
interface Measured {
  readonly choice: Choice;
  readonly seconds: { readonly kernel: number; readonly library: number };
}
/** Seconds of a product by an algorithm, or by its kernel. */
export type Measure = (by: LibraryCall | undefined) => number;

/** Makes a step ready to be timed by itself. */
export type Measuring = (step: number) => { readonly by: Measure; close(): void };

/** Algorithms that are measured. */
const tried = 8;
/** A kernel is taken where it is faster by more than what measurements differ by. */
const clearly = 1.03;

/** A step that a library may compute. */
const isProduct = (s: Step): s is ProductStep => s.kind === "launch" && s.product !== undefined;
/** Whether every call has the same sizes. */
const isFixed = (p: Program, s: ProductStep): boolean => {
  const { product: x } = s;
  const sizes = [x.batch, x.m, x.n, x.k, s.grid, ...s.dims, ...s.buffers.map((b) => p.buffers[b]!.size)];
  return sizes.every((d) => typeof d === "number");
};

const callOf = (described: Described, algorithm: Algorithm): LibraryCall => ({
  workspace: algorithm.workspace,
  enqueue: (addresses, workspace, stream) => described.enqueue(algorithm, addresses, workspace, stream),
});

/** The choices of one loaded program. */
export class Choices {
  readonly #program: Program;
  readonly #lt: Lt;
  readonly #gpu: string;
  readonly #made = new Map<number, Choice>();
  readonly #texts = new Map<number, string>();
  readonly #found: Map<string, Choice>;
  /** Steps of fixed sizes that nothing is known of. */
  readonly #open: readonly number[];

  /** `found` has what other programs of this device found out. */
  constructor(program: Program, lt: Lt, gpu: string, found: Map<string, Choice>) {
    this.#found = found;
    this.#program = program;
    this.#lt = lt;
    this.#gpu = gpu;
    const open: number[] = [];
    for (const [i, s] of program.steps.entries()) {
      if (!isProduct(s) || !isFixed(program, s)) continue;
      const known = this.#read(i);
      if (known) this.#made.set(i, known);
      else open.push(i);
    }
    this.#open = open;
  }

  /** Kernels that only a library's products would need, and whether any of them is needed all the same. */
  get spare(): { readonly kernels: ReadonlySet<number>; readonly needed: boolean } {
    const { steps } = this.#program;
    const kernels = new Set(steps.flatMap((s, i) => (isProduct(s) && (this.#made.has(i) || this.#open.includes(i)) ? [s.kernel] : [])));
    steps.forEach((s, i) => {
      if (s.kind === "launch" && !this.#made.has(i) && !this.#open.includes(i)) kernels.delete(s.kernel);
    });
    return { kernels, needed: this.#open.length > 0 || [...this.#made.values()].includes("kernel") };
  }

  /** Measures what is not known yet. */
  measure(measure: Measuring): void {
    for (const i of this.#open) {
      // An equal step may have been measured just now.
      let choice = this.#read(i);
      if (!choice) {
        const measured = this.#measured(i, measure);
        if (!measured) continue;
        this.#write(i, measured);
        choice = measured.choice;
      }
      this.#made.set(i, choice);
    }
  }
  /** Undefined where memory has no room for the step by itself: the library's own first choice is taken then. */
  #measured(i: number, measure: Measuring): Measured | undefined {
    try {
      const m = measure(i);
      try {
        return this.#best(i, m.by);
      } finally {
        m.close();
      }
    } catch (error) {
      if (error instanceof OutOfMemoryError) return undefined;
      throw error;
    }
  }
  #best(i: number, measure: Measure): Measured {
    const described = this.#described(this.#sized(i, {}), i);
    const kernel = measure(undefined);
    const timed = described.proposals(tried).map((algorithm) => ({ algorithm, seconds: measure(callOf(described, algorithm)) }));
    const [best] = timed.sort((a, b) => a.seconds - b.seconds);
    const library = best?.seconds ?? Number.POSITIVE_INFINITY;
    return {
      choice: best && library <= kernel * clearly ? best.algorithm : "kernel",
      seconds: { kernel, library },
    };
  }

  /** The library's call for a step at these sizes, or undefined where its kernel runs. */
  choose(step: number, sizes: Sizes): LibraryCall | undefined {
    const sized = this.#sized(step, sizes);
    const fixed = this.#made.get(step);
    if (fixed === "kernel") return undefined;
    const described = this.#described(sized, step);
    const algorithm = fixed ?? described.proposals(1)[0];
    return algorithm && callOf(described, algorithm);
  }

  #step(i: number): ProductStep {
    return this.#program.steps[i] as ProductStep;
  }
  #sized(i: number, sizes: Sizes): SizedProduct {
    const { product, buffers } = this.#step(i);
    const sized = sizedProduct(product, sizes);
    const why = outside(sized, (argument) => valueOf(this.#program.buffers[buffers[argument]!]!.size, sizes, "a buffer's size"));
    if (why) throw new DeviceError(`${this.#program.name}: the product of step ${i}: ${why}`);
    return sized;
  }
  #types(i: number): ProductTypes {
    const { product, buffers } = this.#step(i);
    const dtype = (argument: number): ProductTypes["input"] => this.#program.buffers[buffers[argument]!]!.dtype;
    return { input: dtype(product.a.argument), output: dtype(product.d.argument) };
  }
  #described(sized: SizedProduct, i: number): Described {
    return this.#lt.describe(sized, this.#types(i));
  }

  /** Everything that a measured choice depends on. */
  #key(i: number): string {
    const { kernel, grid } = this.#step(i);
    const { source, threads } = this.#program.kernels[kernel]!;
    let text = this.#texts.get(kernel);
    if (!text) this.#texts.set(kernel, (text = sha256(source)));
    return sha256(JSON.stringify(["product", 1, this.#lt.version, this.#gpu, this.#sized(i, {}), this.#types(i), grid, threads, text]));
  }
  /** What is known of a step; equal steps are looked up once. */
  #read(i: number): Choice | undefined {
    const key = this.#key(i);
    const found = this.#found.get(key) ?? this.#kept(key);
    if (found) this.#found.set(key, found);
    return found;
  }
  #kept(key: string): Choice | undefined {
    try {
      const bytes = cacheFor("choice").read(key);
      const found = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as { code?: string; workspace?: number });
      if (!found) return undefined;
      return found.code ? { code: Uint8Array.from(Buffer.from(found.code, "base64")), workspace: found.workspace ?? 0 } : "kernel";
    } catch {
      return undefined;
    }
  }
  #write(i: number, { choice, seconds }: Measured): void {
    const code = choice === "kernel" ? {} : { code: Buffer.from(choice.code).toString("base64"), workspace: choice.workspace };
    const text = { ...code, seconds, product: this.#sized(i, {}), types: this.#types(i) };
    const key = this.#key(i);
    this.#found.set(key, choice);
    try {
      cacheFor("choice").write(key, new TextEncoder().encode(JSON.stringify(text)));
    } catch {
      // The next process measures again.
    }
  }
}
