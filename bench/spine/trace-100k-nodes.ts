/** `trace-100k-nodes`: recording 100,000 operations, their gradient, and the passes that every graph goes through. */
import { grad } from "#treepie/autodiff/grad.js";
import { canonicalize } from "#treepie/compile/passes/canonicalize.js";
import { type Graph, topo } from "#treepie/ir/graph.js";
import { intern } from "#treepie/ir/intern.js";
import type { Node } from "#treepie/ir/node.js";
import { add, input, mul, sin, sum } from "#treepie/ops/index.js";
import { type Case, row } from "../row.js";

const nodes = 100_000;

export const trace100k: Case = {
  name: "trace-100k-nodes",
  async run() {
    const seconds: Record<string, number> = {};
    const time = <T>(name: string, f: () => T): T => {
      const start = performance.now();
      const result = f();
      seconds[name] = (performance.now() - start) / 1000;
      return result;
    };
    const x = input({ shape: [8, 8], dtype: "f32" });
    const y = time("record", () => {
      let h: Node = x;
      for (let i = 0; i < nodes / 4; i++) h = add(mul(sin(h), x), i % 2 ? h : x);
      return sum(h, [0, 1]);
    });
    const [g] = time("grad", () => grad(y, [x]));
    const graph: Graph = { inputs: [x], state: [], outputs: [y, g!], updates: [] };
    const interned = time("intern", () => intern(graph));
    time("canonicalize", () => canonicalize.run(interned));
    const parts = Object.entries(seconds).map(([k, v]) => `${k} ${v.toFixed(2)} s`);
    const count = topo(graph.outputs).length;
    return [
      row(
        { suite: "spine", name: "trace-100k-nodes", metric: "record, grad, intern and canonicalize", unit: "s" },
        Object.values(seconds).reduce((a, b) => a + b),
        {
          lowerIsBetter: true,
          note: `${count} nodes with their gradient; ${parts.join(", ")}`,
        },
      ),
    ];
  },
};
