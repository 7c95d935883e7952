/** Times steps of fixed sizes by themselves, by their kernels and by a library's call. */
import { bytesOf } from "../../core/dtype.js";
import { clamp, roundUp } from "../../core/numbers.js";
import type { Allocation, Call } from "../../runtime/device.js";
import type { Program } from "../../runtime/program.js";
import type { Driver } from "./driver.js";
import type { LibraryCall, Places } from "./launch.js";
import { Launches } from "./launches.js";

/** What is at hand. */
export interface Bench {
  readonly driver: Driver;
  readonly stream: bigint;
  readonly places: Places;
  alloc(bytes: number): Allocation;
  free(a: Allocation): void;
  /** Gives back what launches took. */
  drop(launches: Launches): void;
}

/** Seconds of a first run that says enough. */
const longRun = 0.1;
/** What is measured: a graph of so many turns at least, run so often, on so many bytes that no cache holds them, in so many sets at most. */
const [leastTurns, runs, coldBytes, mostSets] = [8, 3, 128 << 20, 24];

/** The steps `numbers`, which a call may make as a whole, on memory of their own; the call's buffers are among theirs. */
export function measureSteps(
  bench: Bench,
  program: Program,
  numbers: readonly number[],
  functions: readonly bigint[],
): { by(call: LibraryCall | undefined): number; close(): void } {
  const { driver, stream, places, alloc, free } = bench;
  const steps = numbers.map((n) => {
    const { beside: _, ...alone } = program.steps[n] as Extract<Program["steps"][number], { kind: "launch" }>;
    return alone;
  });
  const used = [...new Set(steps.flatMap((s) => s.buffers))];
  // Every turn has memory of its own, as every step of a model has: weights do not wait in a cache.
  const sizes = used.map((b) => roundUp((program.buffers[b]!.size as number) * bytesOf(program.buffers[b]!.dtype), 256));
  const bytes = sizes.reduce((sum, n) => sum + n, 0);
  const sets = clamp(Math.ceil(coldBytes / bytes), 1, mostSets);
  const memory = alloc(sets * bytes);
  const base = places.of(memory);
  const at = Array.from({ length: sets * used.length }, (_, i) => {
    const [set, index] = [Math.floor(i / used.length), i % used.length];
    return {
      bytes: sizes[index]!,
      freed: false,
      place: base + BigInt(set * bytes + sizes.slice(0, index).reduce((sum, n) => sum + n, 0)),
    };
  });
  const turns = Math.max(sets, leastTurns);
  const inTurn = (turn: number, b: number): number => (turn % sets) * used.length + used.indexOf(b);
  const single: Program = {
    ...program,
    inputs: [],
    outputs: [],
    state: [],
    arena: 0,
    buffers: at.map((_, i) => {
      const { dtype, size } = program.buffers[used[i % used.length]!]!;
      return { role: "state", dtype, size };
    }),
    steps: Array.from({ length: turns }, (_, turn) => steps.map((s) => ({ ...s, buffers: s.buffers.map((b) => inTurn(turn, b)) }))).flat(),
  };
  const also = numbers.slice(1).map((_, i) => i + 1);
  const callIn = ({ touches, ...call }: LibraryCall, turn: number): LibraryCall => ({
    ...call,
    also,
    ...(touches && { touches: { ...touches, buffers: touches.buffers.map((b) => inTurn(turn, b)) } }),
  });
  const call: Call = { buffers: at, dims: program.dims.map((d) => d.min) };
  const here: Places = { ...places, of: (a) => (a as (typeof at)[number]).place };
  const by = (library: LibraryCall | undefined): number => {
    const launches = new Launches(single, driver, functions, [], (i) => library && callIn(library, i / numbers.length), true);
    const events = [driver.made("cuEventCreate", 0), driver.made("cuEventCreate", 0)] as const;
    try {
      launches.prepare(call, here);
      const [segment] = launches.segments;
      if (segment?.kind !== "native") return 0;
      const run = (times: number): void => {
        for (let i = 0; i < times; i++) launches.replay(segment, stream, here);
      };
      const begun = performance.now();
      run(1);
      driver.call("cuStreamSynchronize", stream);
      const first = (performance.now() - begun) / 1000;
      if (first > longRun) return first / turns;
      run(1);
      driver.call("cuEventRecord", events[0], stream);
      run(runs);
      driver.call("cuEventRecord", events[1], stream);
      driver.call("cuEventSynchronize", events[1]);
      const ms = new Float32Array(1);
      driver.call("cuEventElapsedTime", ms, ...events);
      return ms[0]! / 1000 / runs / turns;
    } finally {
      for (const e of events) driver.call("cuEventDestroy_v2", e);
      bench.drop(launches);
    }
  };
  return { by, close: () => free(memory) };
}
