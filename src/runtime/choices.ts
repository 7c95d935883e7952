/**
 * Kernel or library, and in which way: measured once for each call, device and version of the library, and kept on disk. Sizes that only
 * a call knows take what the library itself believes to be best, or the kernel.
 */
import { OutOfMemoryError } from "../core/errors.js";
import { cacheFor, sha256 } from "./cache.js";
import type { Sizes } from "./encode.js";
import { asObject, type Json } from "./json.js";
import type { Program, Step } from "./program.js";

export type LaunchStep = Extract<Step, { kind: "launch" }>;

/** Calls of a kind that a program's steps hold: products, attention. `C` is one with numbers for sizes. */
export interface CallKind<C> {
  readonly name: string;
  /** The library that could compute a step. */
  libraryOf(s: LaunchStep): string | undefined;
  /** Steps that its call stands in for as well, counted from the step. */
  also(s: LaunchStep): readonly number[];
  /** Whether every call has the same sizes. */
  isFixed(p: Program, s: LaunchStep): boolean;
  /** A step's call at these sizes. Throws DeviceError where it leaves its buffers. */
  sized(p: Program, step: number, sizes: Sizes): C;
}
/** A library on a device. `W` is a way in which it makes a call: an algorithm, a partition. */
export interface Library<C, W> {
  readonly kind: CallKind<C>;
  readonly library: string;
  /** Version and device: what a measured choice depends on besides the call. */
  readonly identity: readonly unknown[];
  /** The library is taken where it takes at most so many times as long as the kernel. */
  readonly margin: number;
  /** In how many more rounds everything is measured again, after a first one of so many seconds, which then only warms up. */
  rounds(seconds: number): number;
  /** Whether sizes that only a call knows take the library's first way. */
  readonly guesses: boolean;
  /** Its ways to make a call, what it believes to be the best one first; none where it cannot. */
  ways(call: C, most: number): readonly W[];
  /** A way as JSON and back; what is read throws where it is none. */
  write(way: W): Json;
  read(way: Json): W;
}
/** A call, and the way in which the library makes it. */
export interface Chosen<C, W> {
  readonly way: W;
  readonly call: C;
}
/** What was found out: the library's way, or that the kernel is faster. */
export type Choice<W> = { readonly way: W } | "kernel";
/** Seconds of a call by the library, or of its steps by their kernels. */
export type Measure<C, W> = (by: Chosen<C, W> | undefined) => number;
/** Makes a step, and those that its call stands in for as well, ready to be timed by themselves. */
export type Measuring<C, W> = (step: number) => { readonly by: Measure<C, W>; close(): void };

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

/** The choices of one loaded program. */
export class Choices<C, W> {
  readonly #program: Program;
  readonly #library: Library<C, W>;
  readonly #made = new Map<number, Choice<W>>();
  readonly #texts = new Map<number, string>();
  readonly #found: Map<string, Choice<W>>;
  /** Steps of fixed sizes that nothing is known of. */
  readonly #open: readonly number[];

  /** `found` has what other programs of this device found out. */
  constructor(program: Program, library: Library<C, W>, found: Map<string, Choice<W>>) {
    this.#found = found;
    this.#program = program;
    this.#library = library;
    const open: number[] = [];
    for (const [i, s] of program.steps.entries()) {
      if (!this.#isCall(s) || !library.kind.isFixed(program, s)) continue;
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

  /** Kernels of nothing but calls that a library may make, and whether any of them is needed all the same. */
  get spare(): { readonly kernels: ReadonlySet<number>; readonly needed: boolean } {
    const known = new Set([...this.#made.keys(), ...this.#open].flatMap((i) => this.steps(i)));
    const { steps } = this.#program;
    const kernels = new Set([...known].map((i) => this.#step(i).kernel));
    steps.forEach((s, i) => {
      if (s.kind === "launch" && !known.has(i)) kernels.delete(s.kernel);
    });
    return { kernels, needed: this.unknown || [...this.#made.values()].includes("kernel") };
  }

  /** Measures what is not known yet. */
  measure(measure: Measuring<C, W>): void {
    for (const i of this.#open) {
      // An equal step may have been measured just now.
      const choice = this.#read(i) ?? this.#measured(i, measure);
      if (choice) this.#made.set(i, choice);
    }
  }
  /** Undefined where memory has no room for the step by itself. */
  #measured(i: number, measure: Measuring<C, W>): Choice<W> | undefined {
    const call = this.#sized(i, {});
    const ways = this.#library.ways(call, tried);
    if (!ways.length) return this.#write(i, "kernel");
    try {
      const { by, close } = measure(i);
      try {
        const { margin, rounds } = this.#library;
        const sides = [undefined, ...ways.map((way) => ({ way, call }))];
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
  choose(step: number, sizes: Sizes): Chosen<C, W> | undefined {
    if (!this.#isCall(this.#program.steps[step]!)) return undefined;
    const fixed = this.#made.get(step);
    if (fixed === "kernel" || (!fixed && !this.#library.guesses)) return undefined;
    const call = this.#sized(step, sizes);
    const way = fixed ? fixed.way : this.#library.ways(call, 1)[0];
    return way === undefined ? undefined : { way, call };
  }
  /** A step that holds a call, and those that it stands in for as well. */
  steps(i: number): readonly number[] {
    return [i, ...this.#library.kind.also(this.#step(i)).map((n) => i + n)];
  }

  /** A step that this library may compute. */
  #isCall(s: Step): s is LaunchStep {
    return s.kind === "launch" && this.#library.kind.libraryOf(s) === this.#library.library;
  }
  #step(i: number): LaunchStep {
    return this.#program.steps[i] as LaunchStep;
  }
  #sized(i: number, sizes: Sizes): C {
    return this.#library.kind.sized(this.#program, i, sizes);
  }

  /** Everything that a measured choice depends on. */
  #key(i: number): string {
    const kernels = this.steps(i).map((j) => {
      const { kernel, grid } = this.#step(j);
      const { source, threads } = this.#program.kernels[kernel]!;
      let text = this.#texts.get(kernel);
      if (!text) this.#texts.set(kernel, (text = sha256(source)));
      return [grid, threads, text];
    });
    const { kind, library, identity, margin } = this.#library;
    return sha256(JSON.stringify([kind.name, 3, library, identity, margin, this.#sized(i, {}), kernels]));
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
      return found.way === undefined ? "kernel" : { way: this.#library.read(asObject(found.way, "a way")) };
    } catch {
      return undefined;
    }
  }
  #write(i: number, choice: Choice<W>, took?: { readonly kernel: Seconds; readonly library: Seconds }): Choice<W> {
    const way = choice === "kernel" ? undefined : this.#library.write(choice.way);
    const text = { way, seconds: took, call: this.#sized(i, {}) };
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
