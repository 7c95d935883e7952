/** Runs a schedule group by group through the interpreter: what fusion, placement and order decide is checked without any kernel. */

import { interpret } from "../../src/backends/interp/interpret.js";
import { fuse } from "../../src/compile/fuse.js";
import { standardPasses } from "../../src/compile/index.js";
import { orderTasks } from "../../src/compile/order.js";
import { type Plan, plan, type Slot, type Task } from "../../src/compile/plan.js";
import { type Region, regionsOf } from "../../src/compile/regions.js";
import { donate, lifetimes } from "../../src/compile/storage.js";
import { NdArray } from "../../src/core/ndarray.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import { runPasses } from "../../src/ir/rewrite.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { groupBuffers } from "../../src/kernel/group.js";

export interface Scheduled {
  readonly graph: Graph;
  readonly plan: Plan;
  readonly order: readonly Task[];
  readonly regions: readonly Region[];
}

/** Everything of `compile` before lowering. */
export function schedule(g: Graph, codegen: Codegen): Scheduled {
  const graph = runPasses(g, standardPasses(codegen), { verify: true });
  const p = plan(graph, fuse(graph, codegen));
  const order = orderTasks(p);
  return { graph, plan: p, order, regions: regionsOf(p, order) };
}

/** One line for each step: its label, its inputs and its outputs. */
export const labels = (s: Scheduled): string[] => s.order.map((t) => t.group?.name ?? "copy");

/** Values of the outputs and of the state after the call. Temporaries that share memory overwrite each other, as on a device. */
export function simulate(s: Scheduled, feeds: ReadonlyMap<Node, NdArray>): { outputs: NdArray[]; state: NdArray[] } {
  const { plan: p, regions } = s;
  const { home, inPlace } = donate(p, regions);
  const memory = new Map<Slot, NdArray>();
  for (const x of [...p.inputs, ...p.state]) memory.set(x, feeds.get(x.node)!);
  for (const c of p.constants) memory.set(c, interpret([c.node], new Map())[0]!);
  const read = (n: Node): NdArray => {
    const slot = p.slotOf.get(n)!;
    const v =
      memory.get(home(slot)) ??
      (slot.size === 0
        ? new NdArray(n.type.dtype, n.type.shape as readonly number[], NdArray.of(n.type.dtype, [0], () => 0).data)
        : undefined);
    if (!v) throw new Error(`${n.op.name} is read before it is written`);
    return new NdArray(v.dtype, n.type.shape as readonly number[], v.data);
  };
  // Backwards within a region: side by side means in any order.
  for (const t of regions.flatMap((r) => r.toReversed())) {
    if (!t.group) {
      memory.set(home(t.to!), memory.get(home(t.from!))!);
      continue;
    }
    const inputs = new Map(t.group.inputs.map((n) => [n, read(n)]));
    const pairs = inPlace.get(t.group);
    groupBuffers(pairs ? { ...t.group, inPlace: pairs } : t.group);
    const values = interpret(t.group.outputs, inputs);
    for (const [i, o] of t.group.outputs.entries()) memory.set(home(p.slotOf.get(o)!), values[i]!);
  }
  const live = lifetimes(p, regions, home);
  for (const [slot, life] of live) if (home(slot) !== slot || life.last < life.first) throw new Error("a lifetime is wrong");
  const shaped = (slot: Slot): NdArray =>
    new NdArray(slot.dtype, slot.node.type.shape as readonly number[], (memory.get(slot) ?? NdArray.of(slot.dtype, [0], () => 0)).data);
  return { outputs: p.outputs.map(shaped), state: p.state.map(shaped) };
}
