/**
 * A program's steps as launches of the driver: parameters lie in native memory and are patched where buffers moved. The first run
 * of given sizes launches one by one; then the launches are one graph, and a run is one call. Buffers that come and go in turns
 * (a token goes in where the one before came out) have a graph for each turn: changing one that is at work would wait for it.
 */
import { bytesOf } from "../../core/dtype.js";
import { roundUp } from "../../core/numbers.js";
import { valueOf } from "../../runtime/encode.js";
import { Prepared } from "../../runtime/prepared.js";
import { profile } from "../../runtime/profile.js";
import type { Program } from "../../runtime/program.js";
import type { Driver } from "./driver.js";
import type { Chooser, Graph, HostMemory, Launch, LibraryCall, Places, Segment } from "./launch.js";
import { earlyOf, type Touch, waitsOf } from "./waits.js";

export const copyThreads = 256;
/** Bytes that a grid point of the copy kernel takes. */
export const copyBlock: number = copyThreads * 16 * 4;
/** The driver's description of an edge that ends as soon as all points of its first kernel have begun and released it. */
const programmatic = Uint8Array.of(1, 0, 1, 0, 0, 0, 0, 0);
/** Drivers from this one on know such edges; with others launches begin after what they wait for. */
const earlyVersion = 12030;
/** Calls of the driver that others make meanwhile are no part of what is captured. */
const captureRelaxed = 2;
/** Bytes of workspace that all library calls share, in turn. */
const workspaceBytes = 64 << 20;
/** Places that are no buffer of the program: the arena, and the workspace. */
const [arena, work] = [-1, -2];
/** Size of the driver's description of a launch. */
const nodeBytes = 72;
/** Size and alignment of a tile's descriptor. */
const mapBytes = 128;
const mapAlign = 64;
/** The driver's numbers for elements of 1, 2, 4 and 8 bytes. */
const elementKinds: Readonly<Record<number, number>> = { 1: 0, 2: 1, 4: 2, 8: 4 };

/** Graphs of one segment, and buffers that move before it is better to begin anew. */
const mostGraphs = 6;
const mostMoving = 64;

const profiled = profile();

export class Launches extends Prepared<Places> {
  readonly #driver: Driver;
  readonly #functions: readonly bigint[];
  readonly #choose: Chooser;
  readonly #apart: boolean;
  #workspace: { readonly address: bigint; readonly bytes: number } | undefined;
  #launches: Launch[] = [];
  /** For each launch the ones that it waits for. */
  #waits: readonly (readonly number[])[] = [];
  /** Which may begin before the one launch that it waits for has ended. */
  #early: readonly boolean[] = [];
  /** Where each buffer's address stands in the host memory, in words, and in which launch. */
  #uses: { readonly launch: number; readonly word: number }[][] = [];
  /** Address of every buffer that launches use, and those that moved since sizes were laid out. */
  #now: bigint[] = [];
  readonly #moving = new Set<number>();
  #turn = 0;
  #words = new BigInt64Array();
  host: HostMemory | undefined;
  segments: readonly Segment[] = [];

  /** `apart`: launches run one after the other, whatever they touch. */
  constructor(
    program: Program,
    driver: Driver,
    functions: readonly bigint[],
    constants: readonly (bigint | undefined)[],
    choose: Chooser = () => undefined,
    apart = false,
  ) {
    super(program, constants);
    this.#driver = driver;
    this.#functions = functions;
    this.#choose = choose;
    this.#apart = apart;
  }

  /** Enqueues a segment. Returns how many kernels that were. */
  run(s: Extract<Segment, { kind: "native" }>, stream: bigint, places: Places): number {
    return profiled ? this.#timed(s, stream) : this.replay(s, stream, places);
  }
  /** The same, as it runs where nothing is profiled. */
  replay(s: Extract<Segment, { kind: "native" }>, stream: bigint, places: Places): number {
    s.runs++;
    if (s.runs > 1) this.#driver.call("cuGraphLaunch", this.#graph(s, stream, places).exec, stream);
    else for (let i = s.from; i < s.to; i++) this.#launch(i, stream);
    return s.to - s.from;
  }

  #launch(i: number, stream: bigint): void {
    const { function: f, grid, threads, shared, parameters, call } = this.#launches[i]!;
    if (call) this.#call(i, call, stream);
    else this.#driver.call("cuLaunchKernel", f, grid, 1, 1, threads, 1, 1, shared, stream, this.host!.address + BigInt(parameters), 0);
  }
  #call(i: number, call: LibraryCall, stream: bigint): void {
    const { buffers, parameters, workspace } = this.#launches[i]!;
    const first = parameters / 8 - buffers.length;
    const addresses = buffers.map((_, b) => this.#words[first + b]!);
    call.enqueue(addresses, this.#workspace ? this.#workspace.address + BigInt(workspace) : 0n, stream);
  }
  /** What the library enqueues for a call, as a graph. */
  #captured(i: number, call: LibraryCall, stream: bigint): bigint {
    this.#driver.call("cuStreamBeginCapture_v2", stream, captureRelaxed);
    try {
      this.#call(i, call, stream);
    } catch (error) {
      this.#driver.code("cuStreamEndCapture", stream, new BigInt64Array(1));
      throw error;
    }
    const out = new BigInt64Array(1);
    this.#driver.call("cuStreamEndCapture", stream, out);
    return out[0]!;
  }
  /** One by one, each between two events, and waits. */
  #timed(s: Extract<Segment, { kind: "native" }>, stream: bigint): number {
    const d = this.#driver;
    const ms = new Float32Array(1);
    // A call of the library keeps the host longer than the GPU: it is timed as a graph.
    const graphs = new Map<number, bigint>();
    for (let i = s.from; i < s.to; i++) {
      const { call } = this.#launches[i]!;
      if (!call) continue;
      const graph = this.#captured(i, call, stream);
      graphs.set(i, d.made("cuGraphInstantiateWithFlags", graph, 0));
      d.call("cuGraphDestroy", graph);
    }
    const events = Array.from({ length: s.to - s.from + 1 }, () => d.made("cuEventCreate", 0));
    d.call("cuEventRecord", events[0]!, stream);
    for (let i = s.from; i < s.to; i++) {
      const graph = graphs.get(i);
      if (graph) d.call("cuGraphLaunch", graph, stream);
      else this.#launch(i, stream);
      d.call("cuEventRecord", events[i - s.from + 1]!, stream);
    }
    d.call("cuEventSynchronize", events.at(-1)!);
    for (let i = s.from; i < s.to; i++) {
      d.call("cuEventElapsedTime", ms, events[i - s.from]!, events[i - s.from + 1]!);
      profiled!.add(this.program, this.#launches[i]!.step, ms[0]! * 1e6, this.sizes);
    }
    for (const e of events) d.call("cuEventDestroy_v2", e);
    for (const g of graphs.values()) d.call("cuGraphExecDestroy", g);
    return s.to - s.from;
  }

  /** Gives back what the graphs hold. */
  drop(places: Places): void {
    for (const s of this.segments) if (s.kind === "native") for (const g of s.graphs.splice(0)) this.#forget(g, places);
    this.#moving.clear();
  }
  /** Gives back the workspace of library calls. */
  release(places: Places): void {
    if (this.#workspace) places.give(this.#workspace.address, this.#workspace.bytes);
    this.#workspace = undefined;
  }
  #forget({ graph, exec }: Graph, places: Places): void {
    // A GPU that is lost has nothing to give back.
    places.settled(() => {
      this.#driver.code("cuGraphExecDestroy", exec);
      this.#driver.code("cuGraphDestroy", graph);
    });
  }

  /** The graph that has all buffers where they are: one from before, a new one, or the one that ran longest ago, changed. */
  #graph(s: Extract<Segment, { kind: "native" }>, stream: bigint, places: Places): Graph {
    if (this.#moving.size > mostMoving) this.drop(places);
    let oldest: Graph | undefined;
    let found: Graph | undefined;
    for (const g of s.graphs) {
      if (!oldest || g.used < oldest.used) oldest = g;
      if (this.#fits(g)) found = g;
    }
    if (!found && s.graphs.length === mostGraphs) {
      const launches = this.#outdated(s, oldest!);
      if (launches.size * 2 > s.to - s.from) {
        s.graphs.splice(s.graphs.indexOf(oldest!), 1);
        this.#forget(oldest!, places);
      } else {
        found = oldest!;
        for (const i of launches) this.#change(found.exec, found.nodes[i - s.from]!, i, stream);
        for (const b of this.#moving) found.at.set(b, this.#now[b]!);
      }
    }
    if (!found) s.graphs.push((found = this.#record(s, stream)));
    found.used = ++this.#turn;
    return found;
  }
  /** Gives a node of a graph what its launch says now. */
  #change(exec: bigint, node: bigint, i: number, stream: bigint): void {
    const { call } = this.#launches[i]!;
    if (!call) {
      this.#driver.call("cuGraphExecKernelNodeSetParams_v2", exec, node, this.#node(i));
      return;
    }
    const child = this.#captured(i, call, stream);
    this.#driver.call("cuGraphExecChildGraphNodeSetParams", exec, node, child);
    this.#driver.call("cuGraphDestroy", child);
  }
  #fits({ at }: Graph): boolean {
    for (const b of this.#moving) if (at.get(b) !== this.#now[b]) return false;
    return true;
  }
  /** Launches of a segment whose buffers are no longer where a graph has them. */
  #outdated(s: Extract<Segment, { kind: "native" }>, { at }: Graph): Set<number> {
    const out = new Set<number>();
    for (const b of this.#moving)
      if (at.get(b) !== this.#now[b]) for (const { launch } of this.#uses[b]!) if (launch >= s.from && launch < s.to) out.add(launch);
    return out;
  }
  #record(s: Extract<Segment, { kind: "native" }>, stream: bigint): Graph {
    const d = this.#driver;
    const graph = d.made("cuGraphCreate", 0);
    const nodes: bigint[] = [];
    // What was enqueued before the segment is over when it begins.
    for (let i = s.from; i < s.to; i++) {
      const before = this.#waits[i]!.filter((j) => j >= s.from).map((j) => nodes[j - s.from]!);
      nodes.push(this.#add(graph, before, i, stream, this.#begins(i, s.from)));
    }
    const at = new Map([...this.#moving].map((b) => [b, this.#now[b]!]));
    return { graph, nodes, exec: d.made("cuGraphInstantiateWithFlags", graph, 0), at, used: 0 };
  }
  /** Whether a launch of a segment begins before the kernel that it waits for has ended. */
  #begins(i: number, from: number): boolean {
    const [before = -1] = this.#waits[i]!;
    return this.#early[i]! && before >= from && !this.#launches[before]!.call;
  }
  #add(graph: bigint, before: readonly bigint[], i: number, stream: bigint, early: boolean): bigint {
    const { call } = this.#launches[i]!;
    if (early) {
      const node = this.#driver.made("cuGraphAddKernelNode_v2", graph, 0, 0, this.#node(i));
      this.#driver.call("cuGraphAddDependencies_v2", graph, BigInt64Array.from(before), BigInt64Array.of(node), programmatic, 1);
      return node;
    }
    const after = [graph, before.length ? BigInt64Array.from(before) : 0, before.length] as const;
    if (!call) return this.#driver.made("cuGraphAddKernelNode_v2", ...after, this.#node(i));
    const child = this.#captured(i, call, stream);
    const node = this.#driver.made("cuGraphAddChildGraphNode", ...after, child);
    this.#driver.call("cuGraphDestroy", child);
    return node;
  }
  /** Address of a launch's description. */
  #node = (i: number): bigint => this.host!.address + BigInt(this.#launches[i]!.node);

  protected override move(buffer: number, to: () => bigint): void {
    if (!this.#uses[buffer]!.length) return;
    const address = to();
    const before = this.#now[buffer]!;
    if (before === address) return;
    if (!this.#moving.has(buffer)) {
      this.#moving.add(buffer);
      for (const s of this.segments) if (s.kind === "native") for (const g of s.graphs) g.at.set(buffer, before);
    }
    this.#now[buffer] = address;
    for (const { launch, word } of this.#uses[buffer]!) {
      this.#words[word] = address;
      const { tiles, buffers } = this.#launches[launch]!;
      for (let i = 0; i < tiles.length; i++) if (buffers[tiles[i]!.buffer] === buffer) this.#describe(launch, i);
    }
  }
  /** Writes the descriptor of a launch's tile: rows of 128 bytes at a time, as matrix units read them. */
  #describe(launch: number, tile: number): void {
    const l = this.#launches[launch]!;
    const { buffer, columns, box } = l.tiles[tile]!;
    const number = l.buffers[buffer]!;
    const each = bytesOf(this.program.buffers[number]!.dtype);
    const rows = Math.floor(this.bytes[number]! / each / columns);
    const address = this.#words[l.parameters / 8 - l.buffers.length - l.dims.length + buffer]!;
    const sizes = BigInt64Array.of(BigInt(columns), BigInt(rows));
    const pitch = BigInt64Array.of(BigInt(columns * each));
    const [boxes, steps] = [Int32Array.of(box[1], box[0]), Int32Array.of(1, 1)];
    const at = this.host!.address + BigInt(l.maps + tile * mapBytes);
    this.#driver.call("cuTensorMapEncodeTiled", at, elementKinds[each]!, 2, address, sizes, pitch, boxes, steps, 0, 3, 3, 0);
  }

  protected override write(places: Places): void {
    const p = this.program;
    this.drop(places);
    const launches: Launch[] = [];
    const segments: Segment[] = [];
    let begin = 0;
    /** Steps that a library's call has done. */
    const done = new Set<number>();
    const add = (l: Omit<Launch, "workspace" | "maps" | "parameters" | "node">): void =>
      void launches.push({ ...l, workspace: 0, maps: 0, parameters: 0, node: 0 });
    const close = (): void => {
      if (launches.length > begin) segments.push({ kind: "native", from: begin, to: launches.length, graphs: [], runs: 0 });
      begin = launches.length;
    };
    for (const [number, step] of p.steps.entries()) {
      switch (step.kind) {
        case "launch": {
          if (done.has(number)) break;
          const k = p.kernels[step.kernel]!;
          const grid = valueOf(step.grid, this.sizes, `the grid of ${k.entry}`);
          if (grid === 0) break;
          const call = (step.product || step.attention) && this.#choose(number, this.sizes);
          if (call) {
            const none = { function: 0n, threads: 0, shared: 0, dims: [], tiles: [] } as const;
            const { buffers, writes } = call.touches ?? { buffers: step.buffers, writes: k.writes };
            for (const n of call.also) done.add(number + n);
            add({ step: number, ...none, grid, buffers, writes, call });
            break;
          }
          add({
            step: number,
            function: this.#functions[step.kernel]!,
            grid,
            threads: k.threads,
            shared: valueOf(k.sharedBytes, this.sizes, `shared memory of ${k.entry}`),
            buffers: step.buffers,
            writes: k.writes,
            early: k.early,
            dims: step.dims.map((d) => valueOf(d, this.sizes, "a dim")),
            tiles: k.tiles ?? [],
          });
          break;
        }
        case "copy": {
          const bytes = this.bytes[step.to]!;
          if (bytes === 0) break;
          const grid = Math.ceil(bytes / copyBlock);
          const buffers = [step.from, step.to];
          const copy = { function: places.copy(), threads: copyThreads, shared: 0, tiles: [] } as const;
          add({ step: number, ...copy, grid, buffers, writes: [false, true], dims: [bytes] });
          break;
        }
        case "host":
          close();
          segments.push({ kind: "host", step });
          break;
        default:
          step satisfies never;
      }
    }
    close();
    this.#launches = launches;
    this.segments = segments;
    this.#share(places);
    this.#fill(places);
  }
  /** Places the workspaces in turn, and finds what may run at once. */
  #share(places: Places): void {
    let [most, at] = [0, 0];
    for (const l of this.#launches) {
      const bytes = roundUp(l.call?.workspace ?? 0, 256);
      if (at + bytes > workspaceBytes) at = 0;
      l.workspace = at;
      at += bytes;
      most = Math.max(most, at);
    }
    const touches = this.#launches.map((l) => this.#touches(l));
    this.#waits = this.#apart ? this.#launches.map((_, i) => (i ? [i - 1] : [])) : waitsOf(touches);
    const can = !this.#apart && this.#driver.version >= earlyVersion;
    this.#early = earlyOf(
      touches,
      this.#waits,
      this.#launches.map((l) => (can ? l.early : undefined)),
    );
    if ((this.#workspace?.bytes ?? 0) >= most) return;
    this.release(places);
    this.#workspace = { address: places.take(most), bytes: most };
  }
  /** The memory that a launch touches; temporaries share the arena. */
  #touches({ buffers, writes, call, workspace }: Launch): Touch[] {
    const touches = buffers.map((b, i): Touch => {
      const [offset, bytes] = [this.offset(b), this.bytes[b]!];
      const from = offset ?? 0;
      return { where: offset === undefined ? b : arena, from, to: from + bytes, writes: writes[i]! };
    });
    if (call?.workspace) touches.push({ where: work, from: workspace, to: workspace + call.workspace, writes: true });
    return touches;
  }

  /** Writes parameters, their addresses, and descriptions of the launches into host memory. */
  #fill(places: Places): void {
    let at = 0;
    for (const l of this.#launches) {
      const count = l.buffers.length + l.tiles.length + l.dims.length;
      l.maps = roundUp(at, mapAlign);
      if (l.tiles.length) at = l.maps + l.tiles.length * mapBytes;
      l.parameters = at + (l.buffers.length + l.dims.length) * 8;
      l.node = l.parameters + count * 8;
      at = l.node + nodeBytes;
    }
    this.host = places.host(Math.max(at, 8), this.host);
    const { address, bytes } = this.host;
    const words = new BigInt64Array(bytes, 0, Math.floor(bytes.byteLength / 8));
    const halves = new Int32Array(bytes, 0, Math.floor(bytes.byteLength / 4));
    this.#words = words;
    this.#now = [];
    this.#uses = this.program.buffers.map(() => []);
    this.#launches.forEach((l, launch) => {
      const first = l.parameters / 8 - l.buffers.length - l.dims.length;
      l.buffers.forEach((b, i) => {
        this.#uses[b]!.push({ launch, word: first + i });
        this.#now[b] ??= this.address(b, places);
        words[first + i] = this.#now[b];
      });
      l.dims.forEach((d, i) => {
        words[first + l.buffers.length + i] = BigInt(d);
      });
      l.tiles.forEach((_, i) => {
        this.#describe(launch, i);
      });
      const offsets = [
        ...l.buffers.map((_, i) => (first + i) * 8),
        ...l.tiles.map((_, i) => l.maps + i * mapBytes),
        ...l.dims.map((_, i) => (first + l.buffers.length + i) * 8),
      ];
      offsets.forEach((offset, i) => {
        words[l.parameters / 8 + i] = address + BigInt(offset);
      });
      words[l.node / 8] = l.function;
      halves.set([l.grid, 1, 1, l.threads, 1, 1, l.shared, 0], l.node / 4 + 2);
      words.set([address + BigInt(l.parameters), 0n, 0n, 0n], l.node / 8 + 5);
    });
  }
}
