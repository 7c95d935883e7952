import { toBytes } from "../core/convert.js";
import { bytesOf } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { type Dim, mul } from "../core/expr.js";
import { numel } from "../core/type.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import type { Group } from "../kernel/group.js";
import type { BufferPlan } from "../runtime/program.js";
import { isSupplied } from "./atoms.js";
import type { Fusion } from "./fuse.js";
import { rowsFor } from "./pitch.js";
import { storageOf } from "./views.js";

/** One buffer of the program to be. */
export interface Slot {
  readonly role: BufferPlan["role"];
  readonly node: Node;
  readonly dtype: BufferPlan["dtype"];
  readonly size: Dim;
  /** Elements from one row (along the last dim) to the next, where that is more than a row. */
  readonly pitch?: number;
  /** Rows for which there is room behind the last one. */
  readonly spare?: number;
  readonly data?: Uint8Array;
}

/** One step of the program to be. It reads and writes values; a state buffer holds one value before and another after its writer. */
export interface Task {
  readonly kind: "group" | "copy";
  readonly group?: Group;
  /** copy. */
  readonly from?: Slot;
  readonly to?: Slot;
  readonly why: readonly string[];
  readonly before: Set<Task>;
  readonly after: Set<Task>;
}

/** Where every value lives, and the steps with the order that they must keep. */
export interface Plan {
  readonly inputs: readonly Slot[];
  readonly state: readonly Slot[];
  readonly outputs: readonly Slot[];
  readonly constants: readonly Slot[];
  readonly tasks: readonly Task[];
  readonly slotOf: ReadonlyMap<Node, Slot>;
  readonly fusion: Fusion;
}

/**
 * Gives every value a buffer, turns updates into writes in place where readers of the old value allow it, and plans the copies.
 * `rowBytes`: what the rows of products' temporaries begin at multiples of (`Target.rowBytes`).
 */
export function plan(g: Graph, fusion: Fusion, rowBytes?: number): Plan {
  const p = new Planner(fusion);
  const inputs = g.inputs.map((n) => p.leaf(n, "input"));
  const state = g.state.map((n) => p.leaf(n, "state"));
  const outputs = g.outputs.map((n) => newSlot("output", n));
  for (const group of fusion.groups) p.addGroup(group);
  const updates = updatesOf(g, p);
  const rest = updates.filter(([s, value]) => !p.updateInPlace(s, value));
  for (const [i, to] of outputs.entries()) p.output(to, i);
  for (const [s, value] of rest)
    p.updateByCopy(
      s,
      value,
      updates.some(([other]) => other === value),
    );
  p.fillTemps(rowBytes);
  return { inputs, state, outputs, constants: p.constants, tasks: p.tasks, slotOf: p.slotOf, fusion };
}

/** Each state with the storage of its new value; what does not change is left out. */
function updatesOf(g: Graph, p: Planner): (readonly [Node, Node])[] {
  const seen = new Set<Node>();
  for (const { state } of g.updates) {
    if (p.slotOf.get(state)?.role !== "state") throw new InternalError("compile: an update's target is not state of the graph");
    if (seen.has(state)) throw new InternalError(`compile: state "${nameOf(state)}" is updated twice`);
    seen.add(state);
  }
  const all = g.updates.map((u) => [u.state, storageOf(u.value)] as const);
  return all.filter(([s, value]) => s !== value && p.slotOf.get(s)!.size !== 0);
}

const nameOf = (n: Node): string => String(n.attrs.name || n.op.name);
const newSlot = (role: Slot["role"], node: Node, data?: Uint8Array): Slot => ({
  role,
  node,
  dtype: node.type.dtype,
  size: numel(node.type.shape),
  ...(data && { data }),
});

/** The plan while it grows. */
class Planner {
  readonly slotOf = new Map<Node, Slot>();
  readonly constants: Slot[] = [];
  readonly tasks: Task[] = [];
  readonly fusion: Fusion;
  /** The task that computes a value; those that read it; the one that overwrites a state's old value. */
  private readonly makers = new Map<Node, Task>();
  private readonly readers = new Map<Node, Task[]>();
  private readonly overwriters = new Map<Node, Task>();
  /** Why a value that updates state is computed elsewhere first. */
  private readonly problems = new Map<Node, string>();
  constructor(fusion: Fusion) {
    this.fusion = fusion;
  }

  leaf(node: Node, role: "input" | "state"): Slot {
    if (this.slotOf.has(node)) throw new InternalError(`compile: the leaf "${nameOf(node)}" is given twice among inputs and state`);
    const s = newSlot(role, node);
    this.slotOf.set(node, s);
    return s;
  }

  addGroup(group: Group): void {
    const [first] = group.outputs;
    if (first?.op.name === "constant" && group.outputs.length === 1) {
      const s = newSlot("constant", first, toBytes(first.type.dtype, [first.attrs.value as number | bigint]));
      this.constants.push(s);
      this.slotOf.set(first, s);
      return;
    }
    for (const x of group.inputs)
      if (isSupplied(x) && !this.slotOf.has(x))
        throw new InternalError(`compile: the leaf "${nameOf(x)}" is neither an input nor state of the graph`);
    if (group.outputs.some((o) => numel(o.type.shape) !== 0)) {
      const task = this.addTask({ kind: "group", group, why: group.why });
      for (const x of group.inputs) this.reads(task, x);
      for (const o of group.outputs) this.makers.set(o, task);
    }
  }

  /** Lets the group that computes the new value write it into the state; false where a copy is needed. */
  updateInPlace(s: Node, value: Node): boolean {
    const writer = this.makers.get(value);
    if (!writer || this.slotOf.has(value)) return false;
    const problem = this.whyNotInPlace(s, value, writer);
    if (problem) this.problems.set(s, problem);
    else {
      this.slotOf.set(value, this.slotOf.get(s)!);
      this.overwrites(writer, s);
    }
    return !problem;
  }
  private whyNotInPlace(s: Node, value: Node, writer: Task): string | undefined {
    const readers = this.readers.get(s) ?? [];
    if (readers.includes(writer) && !readsInStep(this.fusion, writer.group!, s, value))
      return `${writer.group!.name} reads the old value at other positions`;
    const late = readers.find((r) => r !== writer && reaches(writer, r));
    return late && `${late.group?.name ?? "a copy"} reads the old value and needs the new one`;
  }

  updateByCopy(s: Node, value: Node, changes: boolean): void {
    const target = this.slotOf.get(s)!;
    if (!this.slotOf.has(value)) this.slotOf.set(value, newSlot("temp", value));
    const problem = this.problems.get(s);
    const why = problem ? `${nameOf(s)} is not written in place: ${problem}` : `${nameOf(s)} takes a value that lies in another buffer`;
    if (changes) {
      // The other state changes too: its old value is kept aside, so that states may swap.
      const aside = newSlot("temp", value);
      const save = this.copy(this.slotOf.get(value)!, aside, `keeps the old value of ${nameOf(value)} for ${nameOf(s)}`);
      this.reads(save, value);
      const write = this.copy(aside, target, why);
      link(save, write);
      this.overwrites(write, s);
    } else {
      const write = this.copy(this.slotOf.get(value)!, target, why);
      this.reads(write, value);
      this.overwrites(write, s);
    }
  }

  output(to: Slot, i: number): void {
    const value = storageOf(to.node);
    const held = this.slotOf.get(value);
    if (!held) this.slotOf.set(value, to);
    else if (to.size !== 0) {
      const reasons = {
        input: "it is an input",
        state: "it is state",
        constant: "it is a constant",
        output: "it is another output too",
        temp: "",
      };
      this.reads(this.copy(held, to, `output ${i} is a copy: ${reasons[held.role]}`), value);
    }
  }

  fillTemps(rowBytes: number | undefined): void {
    for (const g of this.fusion.groups)
      for (const o of g.outputs)
        if (!this.slotOf.has(o)) {
          const users: readonly [Group, ...Group[]] = [g, ...(this.readers.get(o) ?? []).flatMap((t) => t.group ?? [])];
          const placed = rowBytes === undefined ? undefined : rowsFor(o, users, rowBytes);
          this.slotOf.set(o, { ...newSlot("temp", o), ...placed });
        }
  }

  private addTask(t: Pick<Task, "kind" | "group" | "from" | "to" | "why">): Task {
    const task: Task = { ...t, before: new Set(), after: new Set() };
    this.tasks.push(task);
    return task;
  }
  private copy(from: Slot, to: Slot, why: string): Task {
    return this.addTask({ kind: "copy", from, to, why: [why] });
  }
  /** The task needs the value, and comes before what overwrites it. */
  private reads(task: Task, value: Node): void {
    const list = this.readers.get(value);
    if (list) list.push(task);
    else this.readers.set(value, [task]);
    const maker = this.makers.get(value);
    if (maker) link(maker, task);
    const overwriter = this.overwriters.get(value);
    if (overwriter && overwriter !== task) link(task, overwriter);
  }
  private overwrites(writer: Task, s: Node): void {
    this.overwriters.set(s, writer);
    for (const r of this.readers.get(s) ?? []) if (r !== writer) link(r, writer);
  }
}

function link(first: Task, second: Task): void {
  first.after.add(second);
  second.before.add(first);
}

/** Is there a path of required orders from one task to another? */
function reaches(from: Task, to: Task): boolean {
  const seen = new Set<Task>();
  const stack = [from];
  while (stack.length) {
    const t = stack.pop()!;
    if (t === to) return true;
    if (seen.has(t)) continue;
    seen.add(t);
    stack.push(...t.after);
  }
  return false;
}

/** Does a group read `input` only where it writes `output`, or earlier in that row? Then both may be one buffer. */
export function readsInStep(fusion: Fusion, group: Group, input: Node, output: Node): boolean {
  if (group.kind === "host") return true;
  // Every grid point reads all of what its rows are made of.
  if (group.rows?.some((r) => r.inputs.includes(input))) return false;
  // A kernel names memory once, with one dtype.
  if (input.type.dtype !== output.type.dtype) return false;
  const elements = numel(output.type.shape);
  if (numel(input.type.shape) !== elements) return false;
  const maker = fusion.atoms.of.get(output);
  if (!maker || (maker.kind === "template" && !maker.template!.overwrites)) return false;
  for (const a of fusion.atomsOf.get(group)!) {
    const relations = a.reads.get(input);
    if (!relations) continue;
    // What follows a template's result at once reads memory that the template has already written.
    if (maker.kind === "template" && a !== maker) return false;
    if (a.size !== elements && !(a.kind !== "reduce" && numel(a.node.type.shape) === elements)) return false;
    for (const r of relations) if (r !== "full") return false;
    // A reduction's own result leaves when the row is done, its operand is read before.
    if (a.kind === "reduce" && maker.kind === "reduce" && numel(maker.node.type.shape) !== maker.size) return false;
  }
  return true;
}

/** Bytes of a slot. */
export const slotBytes = (s: Slot): Dim => mul(s.size, bytesOf(s.dtype));
