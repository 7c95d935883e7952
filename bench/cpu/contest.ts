/** One row and its peers: all do the same work, their results are compared first, and then they are timed in turn. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { closeDevices, ready, setDefaultBackend } from "#treepie";
import { type PeerProcess, startPeer, startScript } from "../peer.js";
import { type Bar, type Case, failedRow, median, type Row, type RowHead, row } from "../row.js";
import { bars as cpuBars } from "./bars.js";
import { benchPath } from "./folder.js";
import type { Input } from "./inputs.js";
import { better, type Machine, measureMachine, startTraffic, type Traffic } from "./machine.js";

/** Our side, ready to run. */
export interface Runner {
  /** What is compared with the peers' values. Called once, before anything is timed. */
  values(): Promise<Float32Array>;
  /** Does the work some times, and waits for it. */
  run(calls: number): Promise<void>;
}
/** Ways to run PyTorch. */
export type Variant = "eager" | "channels-last" | "compile" | "freeze" | "reduce-overhead" | "fused";
/** Peers in JavaScript; each has a row of its own. */
export type ScriptPeer = "jax-js" | "tfjs-wasm" | "onnxruntime" | "onnxruntime-web";

/** Where a contest takes place. */
export interface Site {
  readonly suite: string;
  readonly backend: string;
  /** What PyTorch's process is told of the place; absent where it takes no part, and rows are against scripts alone. */
  readonly torch?: Readonly<Record<string, unknown>>;
  /** Rows stand alone, against a bound. */
  readonly alone?: true | undefined;
  /** What peers in JavaScript are told of the place. */
  readonly scriptArguments?: readonly string[];
  /** Seconds that each side works before it is timed: a graphics card that has nothing to do for a second lowers its clocks, and takes its time to raise them. */
  readonly warm?: number;
  /** Seconds that a side works right before each of its turns, for the same reason: a call at least. */
  readonly wake?: number;
  /** What the place can do, measured. */
  measure(): Promise<Machine>;
  readonly bars: Readonly<Record<string, Bar>>;
}
const cpu: Site = {
  suite: "cpu",
  backend: "c",
  torch: { threads: availableParallelism() },
  measure: async () => measureMachine(),
  bars: cpuBars,
};

export interface Contest {
  readonly name: string;
  /** The processor, where nothing is said. */
  readonly site?: Site;
  readonly metric: string;
  readonly unit: string;
  /** What one call does, in the unit's numerator: the row shows work per second. */
  readonly work: number;
  /** Work per second that the machine allows. */
  readonly limit?: (m: Machine) => number;
  /** What the limit is. */
  readonly limitNote?: string;
  /** On the processor: what memory moves for one call, whose plain bandwidth is measured in turn with the call and stands in `limit`. */
  readonly traffic?: Traffic;
  /** The greatest difference between two results, as a part of the largest magnitude. */
  readonly tolerance: number;
  /** What peers are told to do: see bench/peers. */
  readonly job: { readonly kind: string; readonly spec?: Readonly<Record<string, unknown>>; readonly inputs: () => readonly Input[] };
  /** Variants of PyTorch; the best of them is the peer. */
  readonly variants: readonly Variant[];
  readonly scripts?: readonly ScriptPeer[];
  ours(inputs: readonly Input[]): Promise<Runner>;
  readonly note?: string;
  /** A row of times: seconds are shown as milliseconds of a call, and `limit` is in milliseconds too. */
  readonly milliseconds?: true;
}

/** Seconds that each side is timed, and the numbers of its turns; calls that are `long` are not repeated to warm up. */
const budget = { seconds: 1.5, turn: 0.06, least: 3, most: 21, long: 0.3 };
const quick = process.env["BENCH_ROUNDS"] ? Number(process.env["BENCH_ROUNDS"]) : undefined;
/** Milliseconds after a turn, in which threads of the last one spin and then sleep. */
const settle = 30;
const pause = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));

const processes = new Map<string, Promise<PeerProcess | string>>();
/** PyTorch keeps large blocks and huge pages, as our own pool does: its allocator's defaults cost it a page fault per page and call. */
const torchEnv = {
  MALLOC_MMAP_THRESHOLD_: String(2 ** 32),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
  MALLOC_TOP_PAD_: String(2 ** 26),
  THP_MEM_ALLOC_ENABLE: "1",
  TOKENIZERS_PARALLELISM: "false",
};
function processOf(name: "PyTorch" | ScriptPeer, site: Site): Promise<PeerProcess | string> {
  let p = processes.get(name);
  if (!p) {
    const cache = { TORCHINDUCTOR_CACHE_DIR: benchPath("inductor", ".").replace(/\.$/, "") };
    p =
      name === "PyTorch"
        ? startPeer("cpu.py", [JSON.stringify(site.torch)], { ...torchEnv, ...cache })
        : startScript(`${name}.mjs`, site.scriptArguments);
    processes.set(name, p);
  }
  return p;
}
/** Ends a peer's process; the next contest starts another. */
async function drop(name: string): Promise<void> {
  const p = await processes.get(name);
  processes.delete(name);
  if (p && typeof p !== "string") p.close();
}
/** Ends all peers. */
export async function closePeers(): Promise<void> {
  for (const name of [...processes.keys()]) await drop(name);
}

/** Someone who takes part. */
interface Side {
  readonly name: string;
  /** The row it belongs to. */
  readonly row: string;
  /** Seconds a call. */
  time(calls: number): Promise<number>;
  readonly seconds: number[];
  calls: number;
  spent: number;
}
const rowName = (c: Contest, peer?: ScriptPeer): string => (peer ? `${c.name}@${peer}` : c.name);

/** A contest as a case of the suite. */
export const contest = (c: Contest): Case => ({
  name: c.name,
  rows: [...((c.site ?? cpu).torch || c.site?.alone ? [rowName(c)] : []), ...(c.scripts ?? []).map((p) => rowName(c, p))],
  run: (chosen) => hold(c, chosen),
});

async function hold(c: Contest, wanted: readonly string[]): Promise<readonly Row[]> {
  const site = c.site ?? cpu;
  const { bars } = site;
  const head = (name: string): RowHead => ({ suite: site.suite, name, metric: c.metric, unit: c.unit });
  const before = await site.measure();
  const inputs = c.job.inputs();
  const used: ("PyTorch" | ScriptPeer)[] = (c.scripts ?? []).filter((p) => wanted.includes(rowName(c, p)));
  if (site.torch && wanted.includes(rowName(c))) used.unshift("PyTorch");
  const rows: Row[] = [];
  setDefaultBackend(site.backend);
  await ready();
  const memory = c.traffic && site === cpu ? await startTraffic(c.traffic) : undefined;
  try {
    const runner = await c.ours(inputs);
    const values = await runner.values();
    const ours: Side = side("ours", "", async (calls) => {
      const start = performance.now();
      await runner.run(calls);
      return (performance.now() - start) / 1000 / calls;
    });
    const missing = new Map<string, string[]>(wanted.map((w) => [w, []]));
    const wrong = new Map<string, string>();
    const sides: Side[] = [];
    for (const name of used) {
      const of = name === "PyTorch" ? rowName(c) : rowName(c, name);
      for (const x of await join(c, name, inputs, values)) {
        if (x.side) sides.push({ ...x.side, row: of });
        else if (x.differs) wrong.set(of, x.differs);
        else missing.get(of)!.push(x.missing!);
      }
    }
    const plain = memory && side(c.traffic!.how, "", async (calls) => Number((await memory.process.ask({ calls }))["seconds"]));
    await race([ours, ...(plain ? [plain] : []), ...sides], site);
    const after = better(before, await site.measure());
    /** What the machine allowed in each turn of ours, and what part of it we reached: what changes in between is no part of either. */
    const turns = plain?.seconds.slice(0, ours.seconds.length).map((s, i) => {
      const limit = c.limit!({ ...after, [c.traffic!.how]: memory!.bytes / s });
      return { limit, fraction: c.work / ours.seconds[i]! / limit };
    });
    const rate = (s: Side): number => (c.milliseconds ? median(s.seconds) * 1000 : c.work / median(s.seconds));
    for (const name of wanted) {
      const differs = wrong.get(name);
      if (differs) {
        rows.push(failedRow(head(name), differs, bars[name]));
        continue;
      }
      const notes = [...(c.note ? [c.note] : []), ...(c.limitNote ? [`limit: ${c.limitNote}`] : [])];
      rows.push(
        row(head(name), rate(ours), {
          peers: sides.filter((s) => s.row === name).map((s) => ({ name: s.name, value: rate(s) })),
          missing: missing.get(name)!,
          ...(c.milliseconds && { lowerIsBetter: true }),
          ...(turns
            ? { limit: median(turns.map((t) => t.limit)), limitFraction: median(turns.map((t) => t.fraction)) }
            : c.limit && { limit: c.limit(after) }),
          ...(notes.length && { note: notes.join("; ") }),
          bar: bars[name],
        }),
      );
    }
  } catch (error) {
    for (const name of wanted) if (!rows.some((r) => r.name === name)) rows.push(failedRow(head(name), error, bars[name]));
  } finally {
    memory?.process.close();
    for (const name of used) {
      const p = await processes.get(name);
      if (p && typeof p !== "string") await p.ask({ close: 1 }).catch(() => drop(name));
    }
    await closeDevices();
  }
  return rows;
}
const side = (name: string, of: string, time: Side["time"]): Side => ({ name, row: of, time, seconds: [], calls: 1, spent: 0 });

/** Opens the job at a peer and compares its results with ours. */
async function join(
  c: Contest,
  name: "PyTorch" | ScriptPeer,
  inputs: readonly Input[],
  ours: Float32Array,
): Promise<readonly { readonly side?: Side; readonly missing?: string; readonly differs?: string }[]> {
  const p = await processOf(name, c.site ?? cpu);
  if (typeof p === "string") return [{ missing: `${name} (${p})` }];
  const known = process.env["BENCH_VARIANTS"]?.split(",");
  const variants = name === "PyTorch" ? c.variants.filter((v) => known?.includes(v) ?? true) : ["run"];
  const label = (v: string): string => (name === "PyTorch" ? `PyTorch ${v}` : name);
  try {
    const opened = await p.ask({ open: c.job.kind, spec: c.job.spec ?? {}, inputs, variants });
    const out: { side?: Side; missing?: string; differs?: string }[] = [];
    for (const [v, why] of Object.entries((opened["failed"] ?? {}) as Record<string, string>))
      out.push({ missing: `${label(v)} (${why})` });
    for (const v of opened["variants"] as string[]) {
      const file = benchPath("values.f32");
      try {
        await p.ask({ values: v, file });
      } catch (error) {
        out.push({ missing: `${label(v)} (${(error as Error).message})` });
        continue;
      }
      const bytes = readFileSync(file);
      const d = difference(ours, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
      if (!(d <= c.tolerance)) out.push({ differs: `results differ from ${label(v)} by ${d} of the largest magnitude` });
      else out.push({ side: side(label(v), "", async (calls) => Number((await p.ask({ time: v, calls }))["seconds"])) });
    }
    return out;
  } catch (error) {
    await drop(name);
    return [{ missing: `${name} (${(error as Error).message})` }];
  }
}
/** The greatest difference as a part of the largest magnitude. */
function difference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let [most, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= most)) most = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return most / Math.max(largest, 1e-30);
}

/** Calls of a turn, where one takes so many seconds. */
const callsOf = (seconds: number): number => Math.max(1, Math.min(64, Math.round(budget.turn / seconds)));

/** Times everyone in turn, until each has had its time; each works `warm` seconds before, and `wake` seconds before each turn. */
async function race(sides: readonly Side[], { warm = 0, wake = 0 }: Site): Promise<void> {
  for (const s of sides) {
    // The first calls are slower: a turn is as many calls as fit in its time once they run warm.
    const first = await s.time(1);
    let once = first > budget.long ? first : Math.min(first, await s.time(3));
    for (let worked = 0; worked < warm; worked += once * s.calls) {
      s.calls = callsOf(once);
      once = await s.time(s.calls);
    }
    s.calls = callsOf(once);
    await pause(settle);
  }
  const rounds = (s: Side): number => s.seconds.length;
  const wants = (s: Side): boolean =>
    quick !== undefined ? rounds(s) < quick : rounds(s) < budget.least || (s.spent < budget.seconds && rounds(s) < budget.most);
  while (sides.some(wants)) {
    for (const s of sides) {
      if (!wants(s)) continue;
      // After the pause, threads have to wake and caches to fill again: that is part of no side's time.
      const usual = median(s.seconds.length ? s.seconds : [0]);
      if (usual < budget.long) await s.time(usual ? Math.min(Math.ceil(wake / usual) || 1, s.calls) : 1);
      const seconds = await s.time(s.calls);
      s.seconds.push(seconds);
      s.spent += seconds * s.calls;
      // What was disturbed while it was first looked at gets the calls that fit after all.
      s.calls = Math.max(s.calls, callsOf(seconds));
      await pause(settle);
    }
  }
}
