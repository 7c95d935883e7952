import { bytesOf } from "../core/dtype.js";
import { InternalError, UnsupportedError } from "../core/errors.js";
import { add, type Dim, hi, lo, mul, variables } from "../core/expr.js";
import { numel } from "../core/type.js";
import { writeAttrs } from "../ir/attrs.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { pickOp } from "../ir/pick.js";
import { type BesideName, besideKernels, besideName, canStandBeside } from "../kernel/beside.js";
import type { Codegen, Target } from "../kernel/codegen.js";
import type { Group } from "../kernel/group.js";
import type { Kernel } from "../kernel/kernel.js";
import { kernelText } from "../kernel/save.js";
import { moved } from "../runtime/attention.js";
import type { AttentionCall, BufferPlan, DimRange, KernelCode, Port, Product, Program, Step, StepNote } from "../runtime/program.js";
import { askAhead, type Launch, streamsOf } from "./ahead.js";
import { begunEarly } from "./early.js";
import { planMemory } from "./memory.js";
import { rowsOf } from "./pitch.js";
import { type Plan, type Slot, slotBytes, type Task } from "./plan.js";
import type { Region } from "./regions.js";
import { donate, lifetimes } from "./storage.js";

/** Names of what crosses the program's border. */
export interface LinkOptions {
  readonly name?: string;
  readonly inputNames?: readonly string[];
  readonly outputNames?: readonly string[];
  readonly stateNames?: readonly string[];
  /** Called with each distinct kernel and its text, for dumps. */
  readonly onKernel?: (kernel: Kernel, code: KernelCode, group: Group) => void;
}

/** Lowers the groups, renders each distinct kernel once, places the temporaries, and writes the steps. */
export function link(
  g: Graph,
  p: Plan,
  regions: readonly Region[],
  codegen: Codegen,
  lower: (group: Group, target: Target) => readonly Kernel[],
  options: LinkOptions = {},
): Program {
  const sharing = donate(p, regions);
  const lives = lifetimes(p, regions, sharing.home);
  const kernels = new KernelTable(codegen, lower, options.onKernel);
  const lowered = new Map<Task, readonly Kernel[]>();
  /** By task, those that it is one kernel with, in each of its turns. */
  const joined = new Map<Task, Map<number, readonly Task[]>>();
  /** Names for the buffers of kernels that become one: what may not be bound twice has one. */
  const namesOf = (region: Region): BesideName => {
    const first = new Map<Slot, string>();
    return (i, name) => {
      const own = besideName(i, name);
      const slot = codegen.target.aliasing ? undefined : bound(name, region[i]!.group!, p);
      if (!slot) return own;
      if (!first.has(slot)) first.set(slot, own);
      return first.get(slot)!;
    };
  };
  const scratch: { slot: Slot; task: Task; at: number }[] = [];
  /** The group with what it writes in place, and how far rows lie apart. */
  const placed = (group: Group): Group => {
    const pairs = sharing.inPlace.get(group);
    const rows = rowsOf(p, group);
    return pairs || rows ? { ...group, ...(pairs && { inPlace: pairs }), ...rows } : group;
  };
  /** By task, the library's attention that may stand in for all of its kernels, or why there is none. */
  const attention = new Map<Task, AttentionCall<string> | string>();
  regions.forEach((region, at) => {
    for (const task of region) {
      if (!task.group || task.group.kind === "host") continue;
      const group = placed(task.group);
      lowered.set(task, kernels.of(group));
      const call = group.template?.attention?.(group, codegen.target);
      if (call) attention.set(task, call);
      for (const slot of scratchOf(lowered.get(task)!, group)) scratch.push({ slot, task, at });
    }
    // What a library may compute stays a step of its own.
    const own = region.filter((t) => !t.group?.template?.product && typeof (attention.get(t) ?? "") === "string");
    const most = Math.max(0, ...own.map((t) => lowered.get(t)?.length ?? 0));
    for (let part = 0; part < most; part++) {
      // A first kernel stands beside those of tasks that have no other, so that none of a task's kernels waits for another task.
      const those = own.filter((t) => lowered.get(t)?.[part]);
      const made = those.map((t) => lowered.get(t)![part]!);
      const all = part > 0 || (those.length === own.length && own.every((t) => lowered.get(t)!.length === 1));
      if (!all || !canStandBeside(made, codegen.target, namesOf(those))) continue;
      for (const t of those) joined.set(t, (joined.get(t) ?? new Map()).set(part, those));
    }
  });

  const homes = [...lives.keys()];
  const held = [...lives.values(), ...scratch.map(({ slot, at }) => ({ bytes: slotBytes(slot), first: at, last: at }))];
  const memory = planMemory(held, codegen.target.alignment, codegen.target.pieceBytes);
  const offsets = new Map<Slot, Dim>();
  for (const [i, h] of homes.entries()) offsets.set(h, memory.offsets[i]!);
  for (const [i, { slot }] of scratch.entries()) offsets.set(slot, memory.offsets[homes.length + i]!);

  const table = new BufferTable((s) => offsets.get(sharing.home(s)) ?? 0);
  for (const s of [...p.inputs, ...p.state, ...p.outputs, ...p.constants]) table.add(s);
  const slot = (n: Node): Slot => p.slotOf.get(n)!;
  const scratchAt = new Map<Task, Map<string, Slot>>();
  for (const { slot, task } of scratch) {
    const names = scratchAt.get(task) ?? new Map<string, Slot>();
    names.set(String(slot.node.attrs.name), slot);
    scratchAt.set(task, names);
  }
  /** What a task does in its turn `part`: most tasks have one. */
  const stepOf = (t: Task, part: number): Step | Launch | undefined => {
    if (!t.group) return part === 0 ? copyStep(t, table) : undefined;
    if (t.group.kind === "host") return part === 0 ? hostStep(t.group, p, table) : undefined;
    const group = t.group;
    const slotIn = (task: Task, name: string): Slot => bound(name, task.group!, p) ?? scratchAt.get(task)!.get(name)!;
    const others = joined.get(t)?.get(part);
    if (others) {
      if (others[0] !== t) return undefined;
      const kernels_ = others.map((o) => lowered.get(o)![part]!);
      const nameOf = namesOf(others);
      const names = new Map(
        others.flatMap((o, i) => kernels_[i]!.buffers.map((b) => [nameOf(i, b.name), slotIn.bind(null, o, b.name)] as const)),
      );
      const kernel = besideKernels(group.name, kernels_, nameOf);
      const streams = part ? [] : others.flatMap((o, i) => streamsOf(o.group!, kernels_[i]!, slot));
      const note = together(others.map((o) => noteOf(o.group!, part)));
      return { kind: "kernel", group, kernel, grid: kernel.grid, streams, slotOf: (name) => names.get(name)!(), note };
    }
    const made = lowered.get(t)![part];
    if (!made) return undefined;
    const { runs, ...kernel } = made;
    // A kernel that does the work for some sizes does all of it.
    const [grid, note] = runs === undefined ? [kernel.grid, noteOf(group, part)] : [mul(kernel.grid, runs), noteOf(group, 0)];
    // A library computes a step as a whole.
    const product = lowered.get(t)!.length === 1 ? group.template?.product?.(placed(group), kernel, codegen.target) : undefined;
    const streams = part || runs !== undefined ? [] : streamsOf(group, kernel, slot);
    return {
      kind: "kernel",
      group,
      kernel,
      grid,
      streams,
      slotOf: (name) => slotIn(t, name),
      ...asCall(product, attention.get(t), part, note),
    };
  };
  const turns = regions.flatMap((region) => {
    const count = Math.max(1, ...region.map((t) => lowered.get(t)?.length ?? 1));
    return Array.from({ length: count }, (_, part) => region.flatMap((t) => stepOf(t, part) ?? []));
  });
  const asking = askAhead(turns.flat(), codegen.target);
  /** What steps so far have written. */
  const written = new Set<number>();
  const finished = (s: Step | Launch): Step => {
    if (s.kind !== "kernel") {
      for (const b of s.kind === "copy" ? [s.to] : s.kind === "host" ? s.outputs : []) written.add(b);
      return s;
    }
    const { kernel: asked, slotOf } = asking.get(s) ?? s;
    const isFixed = (name: string): boolean => {
      const of = slotOf(name);
      return (of.role === "input" || of.role === "state" || of.role === "constant") && !written.has(table.add(of));
    };
    const made = s.product ? asked : begunEarly(asked, { fixed: isFixed, streams: s.streams.length > 0 }, codegen.target);
    const { index, kernel } = kernels.rendered(made, s.group);
    const global = kernel.buffers.filter((b) => b.space === "global");
    const buffers = global.map((b) => table.add(slotOf(b.name)));
    for (const [i, b] of global.entries()) if (b.writes) written.add(buffers[i]!);
    const { grid, product, note } = s;
    const call = s.attention && { ...moved(s.attention, (name) => table.add(slotOf(name))), also: alsoOf.get(s)! };
    return {
      kind: "launch",
      kernel: index,
      buffers,
      dims: kernel.dims,
      grid,
      ...(product && { product }),
      ...(call && { attention: call }),
      note,
    };
  };
  const alsoOf = otherSteps(turns.flat());
  const steps = turns.flatMap((turn) => turn.map(finished).map((s, i): Step => (i > 0 && s.kind !== "host" ? { ...s, beside: true } : s)));
  return {
    version: 1,
    name: options.name ?? "main",
    key: codegen.key,
    dims: dimsOf(g),
    inputs: ports(p.inputs, "in", table, options.inputNames),
    outputs: ports(p.outputs, "out", table, options.outputNames),
    state: ports(p.state, "state", table, options.stateNames),
    buffers: table.plans,
    arena: memory.arena,
    prelude: codegen.target.kernels ? codegen.prelude(kernels.code) : "",
    kernels: kernels.code,
    steps,
  };
}

interface Lowered {
  readonly index: number;
  readonly kernel: Kernel;
}

/** Distinct kernels. Groups of equal structure are lowered once, equal kernels rendered once. */
class KernelTable {
  readonly code: KernelCode[] = [];
  private readonly codegen: Codegen;
  private readonly lower: (group: Group, target: Target) => readonly Kernel[];
  private readonly onKernel: LinkOptions["onKernel"];
  private readonly groups = new Map<string, readonly Kernel[]>();
  private readonly kernels = new Map<string, Lowered>();
  private readonly names = new Set<string>();
  constructor(codegen: Codegen, lower: (group: Group, target: Target) => readonly Kernel[], onKernel: LinkOptions["onKernel"]) {
    this.codegen = codegen;
    this.lower = lower;
    this.onKernel = onKernel;
  }
  /** The kernels of a group. */
  of(group: Group): readonly Kernel[] {
    const key = groupKey(group);
    const known = this.groups.get(key);
    if (known) return known;
    const made = this.lower(group, this.codegen.target);
    this.groups.set(key, made);
    return made;
  }
  /** A name from the text alone, so that equal kernels of different programs have equal names. */
  private nameOf(text: string): string {
    for (let seed = 1; ; seed += 2) {
      const name = `k${hash53(text, seed)}${hash53(text, seed + 1).slice(-6)}`;
      if (!this.names.has(name)) {
        this.names.add(name);
        return name;
      }
    }
  }
  /** A kernel with its number among the program's. */
  rendered(k: Kernel, group: Group): Lowered {
    const text = kernelText(k);
    const known = this.kernels.get(text);
    if (known) return known;
    const kernel = { ...k, name: this.nameOf(text) };
    const code = named(group.name, () => this.codegen.render(kernel));
    this.onKernel?.(kernel, code, group);
    const made = { index: this.code.push(code) - 1, kernel };
    this.kernels.set(text, made);
    return made;
  }
}

/** What a backend refuses names the operation. */
function named<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof UnsupportedError) throw new UnsupportedError(`${what}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** 53 bits of a text, as 14 hexadecimal digits. */
function hash53(text: string, seed: number): string {
  let a = 0xdeadbeef ^ seed;
  let b = 0x41c6ce57 ^ seed;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 2654435761);
    b = Math.imul(b ^ c, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16).padStart(14, "0");
}

/** Text that groups share exactly when they lower to the same kernels. */
function groupKey(group: Group): string {
  const ids = new Map<Node, number>();
  const pitchText = (n: Node): string => (group.pitches?.has(n) ? `/${group.pitches.get(n)}` : "");
  const typeText = (n: Node): string =>
    `${n.type.dtype}[${n.type.shape.map((d) => (typeof d === "number" ? d : d.key)).join()}]${pitchText(n)}`;
  const parts: string[] = [];
  for (const n of group.inputs) {
    ids.set(n, ids.size);
    parts.push(typeText(n));
  }
  for (const n of group.nodes) {
    parts.push(`${n.op.name}(${n.inputs.map((x) => ids.get(x)).join()})${writeAttrs(n.attrs)}${typeText(n)}`);
    ids.set(n, ids.size);
  }
  const outputs = group.outputs.map((n) => ids.get(n));
  const pairs = (group.inPlace ?? []).map((d) => `${ids.get(d.output)}:${ids.get(d.input)}`);
  const roots = [...(group.root ? [group.root] : []), ...(group.beside ?? [])].map((n) => ids.get(n));
  const spare = [...(group.spare ?? [])].map(([n, rows]) => `${ids.get(n)}+${rows}`);
  parts.push(`out ${outputs}`, `spare ${spare}`, `in place ${pairs}`, `template ${group.template?.name ?? ""} ${roots}`);
  for (const row of group.rows ?? []) {
    for (const n of row.nodes) {
      parts.push(`row ${n.op.name}(${n.inputs.map((x) => ids.get(x)).join()})${writeAttrs(n.attrs)}${typeText(n)}`);
      if (!ids.has(n)) ids.set(n, ids.size);
    }
    parts.push(`row out ${row.outputs.map((n) => ids.get(n))} of ${row.inputs.map((n) => ids.get(n))}`);
  }
  const { space } = group;
  if (space) parts.push(`space ${space.shape.map((d) => (typeof d === "number" ? d : d.key))} over ${space.axes}`);
  return parts.join("\n");
}

/** The value that a kernel's buffer name stands for. */
function bound(name: string, group: Group, p: Plan): Slot | undefined {
  const [, side, digits] = /^(in|out)(\d+)$/.exec(name) ?? [];
  if (!side) return undefined;
  const node = (side === "in" ? group.inputs : group.outputs)[Number(digits)];
  if (!node) throw new InternalError(`${group.name}: a kernel uses the buffer ${name}, which the group does not have`);
  return p.slotOf.get(node)!;
}

/** Buffers that the kernels of a group pass values in. */
function scratchOf(list: readonly Kernel[], group: Group): Slot[] {
  const found = new Map<string, Slot>();
  for (const kernel of list)
    for (const b of kernel.buffers) {
      if (b.space !== "global" || /^(in|out)\d+$/.test(b.name)) continue;
      const node = { ...group.nodes[0]!, attrs: { name: b.name } };
      if (!found.has(b.name)) found.set(b.name, { role: "temp", node, dtype: b.dtype, size: b.size });
    }
  return [...found.values()];
}

/** The program's buffers, numbered as they are first used. */
class BufferTable {
  readonly plans: BufferPlan[] = [];
  private readonly numbers = new Map<Slot, number>();
  private readonly offsetOf: (s: Slot) => Dim;
  constructor(offsetOf: (s: Slot) => Dim) {
    this.offsetOf = offsetOf;
  }
  add(s: Slot): number {
    let n = this.numbers.get(s);
    if (n === undefined) {
      const { role, dtype, size, data } = s;
      n = this.plans.push({ role, dtype, size, ...(role === "temp" && { offset: this.offsetOf(s) }), ...(data && { data }) }) - 1;
      this.numbers.set(s, n);
    }
    return n;
  }
}

const ports = (slots: readonly Slot[], prefix: string, table: BufferTable, names?: readonly string[]): Port[] =>
  slots.map((s, i) => {
    const own = prefix === "out" ? "" : String(s.node.attrs.name ?? "");
    return { name: names?.[i] ?? (own || `${prefix}${i}`), type: s.node.type, buffer: table.add(s) };
  });

/** The symbolic dims that the caller's shapes bind, in order of appearance. */
function dimsOf(g: Graph): DimRange[] {
  const found = new Map<string, Dim>();
  for (const n of [...g.inputs, ...g.state]) for (const d of n.type.shape) variables(d, found);
  return [...found].map(([name, d]) => ({ name, min: lo(d), max: hi(d) }));
}

const bytesOfNode = (n: Node): Dim => mul(numel(n.type.shape), bytesOf(n.type.dtype));

function noteOf(group: Group, part: number): StepNote {
  const tier = group.kind === "host" ? "interpreted" : group.kind === "claimed" ? "claimed" : "generated";
  const bytes = add(...group.inputs.map(bytesOfNode), ...group.outputs.map(bytesOfNode));
  return {
    tier,
    label: part ? `${group.name} (part ${part + 1})` : group.name,
    ops: group.nodes.filter((n) => n.op.kind !== "leaf").map((n) => n.op.name),
    why: group.why,
    bytes: part ? 0 : bytes,
  };
}

/** A library's call, or why there is none. Attention stands on the first of its group's launches. */
function asCall(
  product: Product | string | undefined,
  attention: AttentionCall<string> | string | undefined,
  part: number,
  note: StepNote,
): Pick<Launch, "product" | "attention" | "note"> {
  const why = [product, attention].filter((x) => typeof x === "string");
  return {
    note: why.length ? { ...note, why: [...note.why, ...why] } : note,
    ...(typeof product === "object" && { product }),
    ...(typeof attention === "object" && part === 0 && { attention }),
  };
}
/** By a launch that has a library's attention, the others of its group, counted from it. */
function otherSteps(steps: readonly (Step | Launch)[]): ReadonlyMap<Step | Launch, readonly number[]> {
  const first = new Map<Group, number>();
  const found = new Map<Step | Launch, number[]>();
  steps.forEach((s, i) => {
    if (s.kind !== "kernel") return;
    const at = first.get(s.group);
    if (at !== undefined) found.get(steps[at]!)!.push(i - at);
    else if (s.attention) {
      first.set(s.group, i);
      found.set(s, []);
    }
  });
  return found;
}

/** Of steps that became one. */
const together = (notes: readonly StepNote[]): StepNote => ({
  tier: notes.every((n) => n.tier === "claimed") ? "claimed" : "generated",
  label: notes.map((n) => n.label).join(" | "),
  ops: notes.flatMap((n) => n.ops),
  why: [...new Set(notes.flatMap((n) => n.why))],
  bytes: add(...notes.map((n) => n.bytes)),
});

function copyStep(t: Task, table: BufferTable): Step {
  const note: StepNote = { tier: "copy", label: "copy", ops: [], why: t.why, bytes: mul(slotBytes(t.to!), 2) };
  return { kind: "copy", from: table.add(t.from!), to: table.add(t.to!), note };
}

function hostStep(group: Group, p: Plan, table: BufferTable): Step {
  const out = group.outputs[0]!;
  const node = (out.op as unknown) === pickOp ? out.inputs[0]! : out;
  const inputs = node.inputs.map((x) => table.add(p.slotOf.get(storageIn(group, x))!));
  return {
    kind: "host",
    call: node.op.name,
    payload: writeAttrs(node.attrs),
    inputs,
    outputs: group.outputs.map((o) => table.add(p.slotOf.get(o)!)),
    inputTypes: node.inputs.map((x) => x.type),
    outputTypes: node.tuple ?? [node.type],
    note: noteOf(group, 0),
  };
}
function storageIn(group: Group, n: Node): Node {
  let x = n;
  while (!group.inputs.includes(x)) {
    const below = x.inputs[0];
    if (!below) throw new InternalError(`${group.name}: ${n.op.name} is not among what the step reads`);
    x = below;
  }
  return x;
}
