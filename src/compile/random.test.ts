import { expect, test } from "vitest";
import { randomGraph } from "../../test/compile/random-graph.js";
import { schedule, simulate } from "../../test/compile/simulate.js";
import { interp } from "../backends/interp/index.js";
import { interpret } from "../backends/interp/interpret.js";
import { nullBackend } from "../backends/null/index.js";
import { roots } from "../ir/graph.js";
import type { Codegen } from "../kernel/codegen.js";
import { contractTemplate } from "../kernel/templates/contract/index.js";
import { checkArena, sampleDims } from "../runtime/arena.js";
import { compile } from "./index.js";

const runs = Number(process.env.TREEPIE_FUZZ ?? 300);
const plain = nullBackend.codegen();
const targets: readonly Codegen[] = [
  { ...plain, claims: [contractTemplate] },
  { ...plain, target: { ...plain.target, maxBuffers: 4 } },
  { ...plain, target: { ...plain.target, parallel: 1000 }, claims: [contractTemplate] },
];

test(`${runs} random graphs: scheduled groups give what the interpreter gives, and no temporaries overlap`, () => {
  for (let seed = 1; seed <= runs; seed++) {
    const { graph, feeds } = randomGraph(seed, 5 + (seed % 30));
    for (const target of seed % 3 ? targets.slice(0, 1) : [...targets, interp.codegen()]) {
      const s = schedule(graph, target);
      for (const { group } of s.order) {
        const bound = group?.kind === "kernel" ? group.inputs.length + group.outputs.length : 0;
        expect(bound, `seed ${seed}, ${group?.name}`).toBeLessThanOrEqual(target.target.maxBuffers);
      }
      // The graph after the passes: fusion changes no number.
      const expected = interpret(roots(s.graph), feeds);
      const got = simulate(s, feeds);
      for (const i of graph.outputs.keys()) expect([...got.outputs[i]!.data], `seed ${seed}, output ${i}`).toEqual([...expected[i]!.data]);
      graph.state.forEach((n, i) => {
        const u = graph.updates.findIndex((x) => x.state === n);
        const want = u < 0 ? feeds.get(n)! : expected[graph.outputs.length + u]!;
        expect([...got.state[i]!.data], `seed ${seed}, state ${i}`).toEqual([...want.data]);
      });
      if (seed % 10) continue;
      const p = compile(graph, target);
      for (const dims of sampleDims(p)) checkArena(p, dims);
    }
  }
});
