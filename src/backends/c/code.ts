/** The machine code of one program: what a call needs is there before it runs; what only other sizes need is built after it. */
import { InternalError } from "../../core/errors.js";
import type { Counters } from "../../runtime/device.js";
import { sizesOf, valueOf } from "../../runtime/encode.js";
import type { Program } from "../../runtime/program.js";
import type { Unit } from "../../runtime/units.js";
import { type Built, build, buildSync, type Held, unitsOf } from "./build.js";
import type { Haste } from "./cc.js";

/** Milliseconds after the first call in which a program that wanted no more has ended. */
const soon = 50;

export class Code {
  /** Addresses by kernel; 0 where a kernel is not built yet. */
  readonly functions: bigint[];
  readonly #program: Program;
  readonly #counters: Counters;
  readonly #kernels: ReadonlyMap<string, number>;
  /** Units that are not there, and builds of some of them that are under way. */
  readonly #missing: Set<Unit>;
  readonly #builds = new Map<Unit, Promise<void>>();
  readonly #held: Held[] = [];
  /** What nobody waits for was begun. */
  #begun = false;
  #released = false;

  constructor(program: Program, counters: Counters) {
    this.#program = program;
    this.#counters = counters;
    this.functions = program.kernels.map(() => 0n);
    this.#kernels = new Map(program.kernels.map((k, i) => [k.entry, i]));
    if (this.#kernels.size < program.kernels.length) throw new InternalError(`${program.name} has two kernels of one name`);
    this.#missing = new Set(unitsOf(program));
  }

  /** Units that a call of these dims needs and that are not there; without dims, all that are not there. */
  missing(dims?: readonly number[]): readonly Unit[] {
    if (!this.#missing.size || !dims) return [...this.#missing];
    const sizes = sizesOf(this.#program, dims);
    const needed = new Set<string>();
    for (const s of this.#program.steps) {
      if (s.kind !== "launch") continue;
      const { entry } = this.#program.kernels[s.kernel]!;
      // What a library may compute is measured beside the library.
      if (s.product || valueOf(s.grid, sizes, `the grid of ${entry}`) > 0) needed.add(entry);
    }
    return [...this.#missing].filter((u) => u.entries.some((e) => needed.has(e)));
  }

  /** Builds and loads units; those that are being built are waited for. */
  async add(units: readonly Unit[], haste: Haste = {}): Promise<void> {
    const rest = units.filter((u) => !this.#builds.has(u));
    const started = rest.length ? this.#start(rest, haste) : undefined;
    // What was begun for later does not keep a process alive by itself.
    const alive = haste.later ? undefined : setInterval(() => {}, 1 << 30);
    try {
      await Promise.all([started, ...units.map((u) => this.#builds.get(u))]);
    } finally {
      clearInterval(alive);
    }
  }
  async #start(units: readonly Unit[], haste: Haste): Promise<void> {
    const done = build(
      units.map((u) => u.source),
      haste,
    ).then((built) => this.#take(units, built));
    for (const u of units) this.#builds.set(u, done);
    try {
      await done;
    } finally {
      for (const u of units) this.#builds.delete(u);
    }
  }
  /** The same, blocking; what is being built is built again. */
  addSync(units: readonly Unit[]): void {
    if (units.length) this.#take(units, buildSync(units.map((u) => u.source)));
  }
  /**
   * Builds what is missing while nobody waits for it, once, unless the program ends now. What fails is tried again by the call that
   * needs it.
   */
  addLater(): void {
    if (this.#begun || !this.#missing.size) return;
    this.#begun = true;
    const begin = (): void => {
      if (!this.#released) this.add(this.missing(), { later: true }).catch(() => {});
    };
    setTimeout(begin, soon).unref();
  }
  /** Gives everything back. */
  release(): void {
    this.#released = true;
    for (const h of this.#held.splice(0)) h.release();
  }

  #take(units: readonly Unit[], { libraries, compiled }: Built): void {
    this.#counters.builds += compiled;
    this.#held.push(...libraries);
    units.forEach((u, i) => {
      for (const entry of u.entries) this.functions[this.#kernels.get(entry)!] = libraries[i]!.library.symbol(entry);
      this.#missing.delete(u);
    });
    if (this.#released) this.release();
  }
}
