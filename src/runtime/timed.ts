/** A device that tells where time goes: by its own clock, or else it runs each kernel on its own and takes its time, slower as a whole. */
import type { Call, Device, HearStep, Loaded, LoadOptions } from "./device.js";
import { type Sizes, sizesOf, valueOf } from "./encode.js";
import type { Program, Step } from "./program.js";
import { regionsOf, stepBuffers } from "./steps.js";

/** What one step of a program took; steps that may run at once are one. */
export interface StepTime {
  readonly program: string;
  readonly label: string;
  readonly calls: number;
  readonly milliseconds: number;
  /** Bytes read and written, in all calls. */
  readonly bytes: number;
}
/** Times of the steps of every program that ran. */
export class StepTimes {
  readonly #programs = new Map<Program, { label: string; calls: number; milliseconds: number; bytes: number }[]>();
  /** Steps, the longest first. */
  get steps(): readonly StepTime[] {
    const all = [...this.#programs].flatMap(([p, steps]) => steps.map((s) => ({ program: p.name, ...s })));
    return all.filter((s) => s.calls).sort((a, b) => b.milliseconds - a.milliseconds);
  }
  /** Forgets what was measured: first calls, in which an engine still compiles. */
  clear(): void {
    this.#programs.clear();
  }
  add(p: Program, at: number, milliseconds: number, sizes: Sizes): void {
    let list = this.#programs.get(p);
    if (!list) {
      list = regionsOf(p.steps).map(([from, to]) => {
        const names = p.steps.slice(from, to).map((s) => s.note?.label ?? s.kind);
        return { label: names.join(" + "), calls: 0, milliseconds: 0, bytes: 0 };
      });
      this.#programs.set(p, list);
    }
    const [from, to] = regionsOf(p.steps)[at]!;
    const step = list[at]!;
    step.calls++;
    step.milliseconds += milliseconds;
    for (const s of p.steps.slice(from, to)) step.bytes += valueOf(s.note?.bytes ?? 0, sizes, "a step's bytes");
  }
  /** One call of a program, from the times of its steps: hear them, and then say that it has ended. */
  call(p: Program, sizes: Sizes): { readonly hear: HearStep; end(): void } {
    const took = p.steps.map(() => 0);
    return {
      hear: (step, milliseconds) => {
        took[step]! += milliseconds;
      },
      end: () => {
        for (const [at, [from, to]] of regionsOf(p.steps).entries())
          this.add(
            p,
            at,
            took.slice(from, to).reduce((sum, ms) => sum + ms, 0),
            sizes,
          );
      },
    };
  }
}

class TimedLoaded implements Loaded {
  readonly program: Program;
  readonly parts: readonly Loaded[];
  constructor(program: Program, parts: readonly Loaded[]) {
    this.program = program;
    this.parts = parts;
  }
  unload(): void {
    for (const p of this.parts) p.unload();
  }
}

/** The device, with every program cut into its steps unless it times them itself. They run in order and share its arena, so each finds what it reads. */
export function timed(device: Device, times: StepTimes): Device {
  const whole = device.submitTimed !== undefined;
  const record = (loaded: TimedLoaded, at: number, ms: number, call: Call): void =>
    times.add(loaded.program, at, ms, sizesOf(loaded.program, call.dims));
  const own = (loaded: Loaded): TimedLoaded => loaded as TimedLoaded;
  const submitSync = (loaded: Loaded, call: Call): void =>
    own(loaded).parts.forEach((part, i) => {
      const begun = performance.now();
      device.submitSync(part, call);
      record(own(loaded), i, performance.now() - begun, call);
    });
  return {
    name: device.name,
    key: device.key,
    counters: device.counters,
    blocking: device.blocking,
    alloc: (bytes) => device.alloc(bytes),
    ...(device.map && { map: (fd: number, bytes: number) => device.map!(fd, bytes) }),
    free: (a) => device.free(a),
    write: (to, offset, data) => device.write(to, offset, data),
    copy: (from, to, bytes) => device.copy(from, to, bytes),
    read: (from, offset, bytes) => device.read(from, offset, bytes),
    readSync: (from, offset, bytes) => device.readSync(from, offset, bytes),
    async load(program, options?: LoadOptions) {
      const parts: Loaded[] = [];
      for (const p of whole ? [program] : partsOf(program)) parts.push(await device.load(p, options));
      return new TimedLoaded(program, parts);
    },
    loadSync: (program, options) =>
      new TimedLoaded(
        program,
        partsOf(program).map((p) => device.loadSync(p, options)),
      ),
    async submit(loaded, call, signal) {
      if (whole) {
        const { hear, end } = times.call(loaded.program, sizesOf(loaded.program, call.dims));
        await device.submitTimed!(own(loaded).parts[0]!, call, hear, signal);
        return end();
      }
      if (device.blocking) {
        signal?.throwIfAborted();
        return submitSync(loaded, call);
      }
      // All of them are in the queue before anything that the caller asks for next.
      let last = performance.now();
      const ends = own(loaded).parts.map((part, i) =>
        device.submit(part, call, signal).then(() => {
          const now = performance.now();
          record(own(loaded), i, now - last, call);
          last = now;
        }),
      );
      await Promise.all(ends);
    },
    submitSync,
    sync: () => device.sync(),
    close: () => device.close(),
  };
}

/** A program for each region, with the kernels and constants that it uses. */
function partsOf(p: Program): Program[] {
  return regionsOf(p.steps).map(([from, to], at): Program => {
    const steps = p.steps.slice(from, to);
    const kernels = [...new Set(steps.flatMap((s) => (s.kind === "launch" ? [s.kernel] : [])))];
    const used = new Set(steps.flatMap((s) => Object.values(stepBuffers(p, s)).flat()));
    return {
      ...p,
      name: `${p.name}.${at}`,
      kernels: kernels.map((k) => p.kernels[k]!),
      buffers: p.buffers.map((b, i) => (b.role === "constant" && !used.has(i) ? { ...b, size: 0, data: new Uint8Array() } : b)),
      steps: steps.map((s): Step => {
        if (s.kind !== "launch") return s;
        const { attention, ...own } = s;
        // A call that stands in for steps of other regions cannot be timed with one of them.
        return { ...own, kernel: kernels.indexOf(s.kernel), ...(attention && !attention.also.length && { attention }) };
      }),
    };
  });
}
