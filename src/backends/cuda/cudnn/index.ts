/** cuDNN: plans of attention that it makes, kept as text with the kernels that it compiled for them, and calls on a stream. */
import { bytesOf } from "../../../core/dtype.js";
import { DeviceError, FormatError } from "../../../core/errors.js";
import { roundUp } from "../../../core/numbers.js";
import { attentions, placesOf, type SizedAttention } from "../../../runtime/attention.js";
import type { Library } from "../../../runtime/choices.js";
import { ffi } from "../../../runtime/ffi.js";
import { asInteger, asString } from "../../../runtime/json.js";
import type { Driver } from "../driver.js";
import { recordAttention, scratchBytes } from "./attention.js";
import { type Functions, functionsOf, kinds, types } from "./functions.js";
import { GraphMaker } from "./graph.js";

/** Versions before this one have known faults in attention. */
const leastVersion = 91600;
/** The library's own choice among its engines. */
const heuristicsA = 3;
/** Characters of a plan that is read. */
const mostText = 1 << 24;
/** Bytes that a place in the workspace is a multiple of. */
const alignment = 256;

/** A plan as text, and the workspace that it wants, the graph's scratch among it. */
export interface Plan {
  readonly plan: string;
  readonly workspace: number;
}
/** Attention that the library knows. */
export interface DescribedAttention {
  /** The plan that the library believes to be best; none where it has none, or wants more workspace than `most`. */
  plans(most: number): readonly Plan[];
  /** Enqueues it. `addresses` are those of the call's places and of its rows' logarithms, in order. */
  enqueue(plan: Plan, addresses: readonly bigint[], workspace: bigint, stream: bigint): void;
}

/** Why the library at a path is not used, or undefined. Loads it. */
export function whyNotCudnn(path: string): string | undefined {
  try {
    const { version } = functionsOf(path);
    return version < leastVersion ? `version ${showVersion(version)} has known faults in attention` : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
const showVersion = (v: number): string => [Math.floor(v / 10000), Math.floor(v / 100) % 100, v % 100].join(".");

/** The library on one GPU. Calls go to the context that is current. */
export class Cudnn {
  readonly version: number;
  readonly #f: Functions;
  readonly #driver: Driver;
  readonly #handle: bigint;
  readonly #known = new Map<string, DescribedAttention>();
  /** What is given back in the end. */
  readonly #held: (() => void)[] = [];

  constructor(path: string, driver: Driver) {
    this.#f = functionsOf(path);
    this.#driver = driver;
    this.version = this.#f.version;
    this.#handle = this.#f.create();
  }

  /** The call's description, made on the first time. */
  describe(x: SizedAttention): DescribedAttention {
    const key = JSON.stringify(x);
    let found = this.#known.get(key);
    if (!found) this.#known.set(key, (found = this.#describe(x)));
    return found;
  }
  close(): void {
    for (const give of this.#held) give();
    this.#f.destroy(this.#handle);
  }

  #describe(x: SizedAttention): DescribedAttention {
    const g = new GraphMaker(this.#f);
    this.#held.push(() => g.free());
    recordAttention(g, x);
    const numbers = this.#numbers(g.values.map((v) => v.value));
    const ids = BigInt64Array.from([...g.memories, ...g.values.map((v) => v.id)], BigInt);
    const values = g.values.map((_, i) => numbers + BigInt(4 * i));
    const offsets = [...placesOf(x).map((p) => BigInt(p.at.offset * bytesOf(x.dtype))), 0n];
    const scratch = scratchBytes(x);
    const loaded = new Map<string, bigint>();
    const load = ({ plan }: Plan): bigint => {
      let found = loaded.get(plan);
      if (!found) loaded.set(plan, (found = this.#load(plan)));
      return found;
    };
    return {
      plans: (most) => {
        const made = this.#plan(g);
        const plan = made && { plan: made.text, workspace: roundUp(made.workspace, alignment) + scratch };
        return plan && plan.workspace <= most ? [plan] : [];
      },
      enqueue: (plan, addresses, workspace, stream) => {
        const own = scratch ? [workspace + BigInt(plan.workspace - scratch)] : [];
        const places = BigInt64Array.from([...addresses.map((a, i) => a + offsets[i]!), ...own, ...values]);
        const pack = this.#f.make(kinds.pack);
        try {
          this.#f.set(pack, 1000, types.i64, ids);
          this.#f.set(pack, 1001, types.pointer, places);
          this.#f.set(pack, 1003, types.pointer, BigInt64Array.of(workspace));
          this.#f.setStream(this.#handle, stream);
          this.#f.execute(this.#handle, load(plan), this.#f.finish(pack));
        } finally {
          this.#f.free(pack);
        }
      },
    };
  }
  /** Numbers in memory of the host that stays where it is. */
  #numbers(values: readonly number[]): bigint {
    const address = this.#driver.made("cuMemHostAlloc", 4 * values.length, 0);
    this.#held.push(() => this.#driver.call("cuMemFreeHost", address));
    new Float32Array(ffi().view(address, 4 * values.length)).set(values);
    return address;
  }
  /** The first plan that the library makes for a graph. Throws DeviceError where it does not take the graph. */
  #plan(g: GraphMaker): { readonly text: string; readonly workspace: number } | undefined {
    const f = this.#f;
    const free: bigint[] = [];
    const make = (kind: number): bigint => {
      free.push(f.make(kind));
      return free.at(-1)!;
    };
    try {
      const heuristics = make(kinds.heuristics);
      f.set(heuristics, 201, types.descriptor, BigInt64Array.of(g.finish(this.#handle)));
      f.set(heuristics, 200, types.heuristics, Int32Array.of(heuristicsA));
      f.finish(heuristics);
      const engine = make(kinds.engine);
      if (!f.get(heuristics, 202, types.descriptor, BigInt64Array.of(engine))) return undefined;
      const plan = make(kinds.plan);
      f.set(plan, 400, types.handle, BigInt64Array.of(this.#handle));
      f.set(plan, 401, types.descriptor, BigInt64Array.of(engine));
      f.finish(plan);
      const workspace = new BigInt64Array(1);
      f.get(plan, 402, types.i64, workspace);
      const text = new Uint8Array(f.get(plan, 405, types.char, undefined));
      f.get(plan, 405, types.char, text);
      return { text: new TextDecoder().decode(text), workspace: Number(workspace[0]) };
    } finally {
      for (const descriptor of free.reverse()) f.free(descriptor);
    }
  }
  /** A plan from its text: nothing is compiled. */
  #load(text: string): bigint {
    const plan = this.#f.make(kinds.plan);
    this.#held.push(() => this.#f.free(plan));
    this.#f.set(plan, 400, types.handle, BigInt64Array.of(this.#handle));
    this.#f.set(plan, 405, types.char, new TextEncoder().encode(text));
    return this.#f.finish(plan);
  }
}

/** The library as choices see it, on a GPU and a driver; `most` is the workspace that a call may want. */
export const attentionChoices = (cudnn: Cudnn, on: readonly unknown[], most: number, margin: number): Library<SizedAttention, Plan> => ({
  kind: attentions,
  library: "cudnn",
  identity: [cudnn.version, ...on, most],
  margin,
  rounds: () => 0,
  guesses: false,
  ways(call) {
    try {
      return cudnn.describe(call).plans(most);
    } catch (error) {
      // Attention that it does not take is none that it has plans for.
      if (error instanceof DeviceError) return [];
      throw error;
    }
  },
  write: ({ plan, workspace }) => ({ plan, workspace }),
  read: (x) => {
    const plan = asString(x["plan"], "a plan", mostText);
    if (!plan) throw new FormatError("a plan is empty");
    return { plan, workspace: asInteger(x["workspace"], "a plan's workspace", 0, most) };
  },
});
