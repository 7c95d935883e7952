/**
 * Kernel or library, and in which way: measured once for each product, device and version of the library, and kept on disk. Sizes that only
 * a call knows take what the library itself believes to be best, or the kernel.
 */
import { DeviceError, OutOfMemoryError } from "../core/errors.js";
import { cacheFor, sha256 } from "./cache.js";
import { type Sizes, valueOf } from "./encode.js";
import { asObject, type Json } from "./json.js";
import { outside, type ProductTypes, type SizedProduct, sizedProduct } from "./product.js";
import type { Product, Program, Step } from "./program.js";

type Launch = Extract<Step, { kind: "launch" }>;
type ProductStep = Launch & { readonly product: Product };

/** A library on a device. `W` is a way in which it computes a product: an algorithm, a partition. */
export interface Multiplier<W> {
  readonly library: Product["library"];
  /** Version and device: what a measured choice depends on besides the product. */
  readonly identity: readonly unknown[];
  /** The library is taken where it takes at most so many times as long as the kernel. */
  readonly margin: number;
  /** In how many more rounds everything is measured again, after a first one of so many seconds, which then only warms up. */
  rounds(seconds: number): number;
  /** Whether sizes that only a call knows take the library's first way. */
  readonly guesses: boolean;
  /** Its ways to compute a product, what it believes to be the best one first; none where it does not take the product. */
  ways(p: SizedProduct, t: ProductTypes, most: number): readonly W[];
  /** A way as JSON and back; what is read throws where it is none. */
  write(way: W): Json;
  read(way: Json): W;
}
/** A product of a call, and the way in which the library computes it. */
export interface Chosen<W> {
  readonly way: W;
  readonly sized: SizedProduct;
  readonly types: ProductTypes;
}
/** What was found out: the library's way, or that the kernel is faster. */
export type Choice<W> = { readonly way: W } | "kernel";
/** Seconds of a product by the library, or by its kernel. */
export type Measure<W> = (by: Chosen<W> | undefined) => number;
/** Makes a step ready to be timed by itself. */
export type Measuring<W> = (step: number) => { readonly by: Measure<W>; close(): void };

/** The least time of several, and the one in their middle: whoever is faster is so in both. */
interface Seconds {
  readonly least: number;
  readonly middle: number;
}
function seconds(times: readonly number[]): Seconds {
  const sorted = [...times].sort((a, b) => a - b);
  return { least: sorted[0]!, middle: sorted[sorted.length >> 1]! };
}

/** Ways that are measured. */
const tried = 8;

/** Whether every call has the same sizes. */
const isFixed = (p: Program, s: ProductStep): boolean => {
  const { product: x } = s;
  const sizes = [x.batch, x.m, x.n, x.k, s.grid, ...s.dims, ...s.buffers.map((b) => p.buffers[b]!.size)];
  return sizes.every((d) => typeof d === "number");
};

/** The choices of one loaded program. */
export class Choices<W> {
  readonly #program: Program;
  readonly #multiplier: Multiplier<W>;
  readonly #made = new Map<number, Choice<W>>();
  readonly #texts = new Map<number, string>();
  readonly #found: Map<string, Choice<W>>;
  /** Steps of fixed sizes that nothing is known of. */
  readonly #open: readonly number[];

  /** `found` has what other programs of this device found out. */
  constructor(program: Program, multiplier: Multiplier<W>, found: Map<string, Choice<W>>) {
    this.#found = found;
    this.#program = program;
    this.#multiplier = multiplier;
    const open: number[] = [];
    for (const [i, s] of program.steps.entries()) {
      if (!this.#isProduct(s) || !isFixed(program, s)) continue;
      const known = this.#read(i);
      if (known) this.#made.set(i, known);
      else open.push(i);
    }
    this.#open = open;
  }

  /** Whether anything has to be measured. */
  get unknown(): boolean {
    return this.#open.length > 0;
  }

  /** Kernels that only a library's products would need, and whether any of them is needed all the same. */
  get spare(): { readonly kernels: ReadonlySet<number>; readonly needed: boolean } {
    const { steps } = this.#program;
    const isKnown = (i: number): boolean => this.#made.has(i) || this.#open.includes(i);
    const kernels = new Set(steps.flatMap((s, i) => (this.#isProduct(s) && isKnown(i) ? [s.kernel] : [])));
    steps.forEach((s, i) => {
      if (s.kind === "launch" && !isKnown(i)) kernels.delete(s.kernel);
    });
    return { kernels, needed: this.unknown || [...this.#made.values()].includes("kernel") };
  }

  /** Measures what is not known yet. */
  measure(measure: Measuring<W>): void {
    for (const i of this.#open) {
      // An equal step may have been measured just now.
      const choice = this.#read(i) ?? this.#measured(i, measure);
      if (choice) this.#made.set(i, choice);
    }
  }
  /** Undefined where memory has no room for the step by itself. */
  #measured(i: number, measure: Measuring<W>): Choice<W> | undefined {
    const [sized, types] = [this.#sized(i, {}), this.#types(i)];
    const ways = this.#multiplier.ways(sized, types, tried);
    if (!ways.length) return this.#write(i, "kernel");
    try {
      const { by, close } = measure(i);
      try {
        const { margin, rounds } = this.#multiplier;
        const sides = [undefined, ...ways.map((way) => ({ way, sized, types }))];
        let all = [sides.map(by)];
        const more = rounds(all[0]!.reduce((sum, s) => sum + s, 0));
        if (more) all = Array.from({ length: more }, () => sides.map(by));
        const [kernel, ...timed] = sides.map((_, side) => seconds(all.map((round) => round[side]!)));
        const best = timed.reduce((x, y, way) => (y.least < timed[x]!.least ? way : x), 0);
        const library = timed[best]!;
        const faster = library.least <= kernel!.least * margin && library.middle <= kernel!.middle * margin;
        return this.#write(i, faster ? { way: ways[best]! } : "kernel", { kernel: kernel!, library });
      } finally {
        close();
      }
    } catch (error) {
      if (error instanceof OutOfMemoryError) return undefined;
      throw error;
    }
  }

  /** The library's way for a step at these sizes, or undefined where its kernel runs. */
  choose(step: number, sizes: Sizes): Chosen<W> | undefined {
    if (!this.#isProduct(this.#program.steps[step]!)) return undefined;
    const fixed = this.#made.get(step);
    if (fixed === "kernel" || (!fixed && !this.#multiplier.guesses)) return undefined;
    const [sized, types] = [this.#sized(step, sizes), this.#types(step)];
    const way = fixed ? fixed.way : this.#multiplier.ways(sized, types, 1)[0];
    return way === undefined ? undefined : { way, sized, types };
  }

  /** A step that this library may compute. */
  #isProduct(s: Step): s is ProductStep {
    return s.kind === "launch" && s.product?.library === this.#multiplier.library;
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

  /** Everything that a measured choice depends on. */
  #key(i: number): string {
    const { kernel, grid } = this.#step(i);
    const { source, threads } = this.#program.kernels[kernel]!;
    let text = this.#texts.get(kernel);
    if (!text) this.#texts.set(kernel, (text = sha256(source)));
    const { library, identity, margin } = this.#multiplier;
    return sha256(JSON.stringify(["product", 2, library, identity, margin, this.#sized(i, {}), this.#types(i), grid, threads, text]));
  }
  /** What is known of a step; equal steps are looked up once. */
  #read(i: number): Choice<W> | undefined {
    const key = this.#key(i);
    const found = this.#found.get(key) ?? this.#kept(key);
    if (found) this.#found.set(key, found);
    return found;
  }
  #kept(key: string): Choice<W> | undefined {
    try {
      const bytes = cacheFor("choice").read(key);
      const found = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as { readonly way?: unknown });
      if (!found) return undefined;
      return found.way === undefined ? "kernel" : { way: this.#multiplier.read(asObject(found.way, "a way")) };
    } catch {
      return undefined;
    }
  }
  #write(i: number, choice: Choice<W>, took?: { readonly kernel: Seconds; readonly library: Seconds }): Choice<W> {
    const way = choice === "kernel" ? undefined : this.#multiplier.write(choice.way);
    const text = { way, seconds: took, product: this.#sized(i, {}), types: this.#types(i) };
    const key = this.#key(i);
    this.#found.set(key, choice);
    try {
      cacheFor("choice").write(key, new TextEncoder().encode(JSON.stringify(text)));
    } catch {
      // The next process measures again.
    }
    return choice;
  }
}
