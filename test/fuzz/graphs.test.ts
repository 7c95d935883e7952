/**
 * Random graphs: c, js, wasm, webgpu and the interpreter agree. `TREEPIE_GRAPHS` sets how many, `TREEPIE_GRAPH_SEED` where they start. A C
 * compiler and a software driver of WebGPU take long: they get a sample, or with TREEPIE_FULL=1 as many as the others.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { c } from "../../src/backends/c/index.js";
import { js } from "../../src/backends/js/index.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { webgpu } from "../../src/backends/webgpu/index.js";
import { printGraph } from "../../src/ir/print.js";
import type { Backend, Codegen } from "../../src/kernel/codegen.js";
import type { Device } from "../../src/runtime/device.js";
import type { Case } from "../conformance/cases.js";
import { judge } from "../conformance/judge.js";
import { graphOf, runAll, runCases } from "../conformance/run.js";
import { withoutWebGpu } from "../support/webgpu.js";
import { buildCase, type Recipe, randomRecipe, shrink } from "./graphs.js";

const full = Boolean(process.env["TREEPIE_FULL"]);
const total = Number(process.env.TREEPIE_GRAPHS ?? (full ? 1000 : 500));
const first = Number(process.env.TREEPIE_GRAPH_SEED ?? 0);
const batch = 100;

interface Made {
  readonly recipes: readonly Recipe[];
  readonly cases: readonly Case[];
}
const madeFrom = new Map<number, Made>();
/** A batch of graphs: the same objects for every backend, so that the interpreter computes each once. */
function graphs(from: number): Made {
  let made = madeFrom.get(from);
  if (!made) {
    const recipes = Array.from({ length: Math.min(batch, first + total - from) }, (_, i) => randomRecipe(from + i));
    made = { recipes, cases: recipes.map(buildCase) };
    madeFrom.set(from, made);
  }
  return made;
}

function fuzz(backend: Backend, total: number, missing: string | undefined = backend.unavailable()): void {
  describe.skipIf(missing !== undefined)(`random graphs on ${backend.name}${missing ? ` (${missing})` : ""}`, () => {
    let device: Device;
    let codegen: Codegen | undefined;
    beforeAll(async () => {
      device = await backend.open();
      codegen = backend.codegen();
    });
    afterAll(async () => {
      await device?.close();
    });
    /** What is wrong with a recipe's graph, run alone. */
    const trouble = async (r: Recipe): Promise<string | undefined> => {
      const one = buildCase(r);
      if (!one.roots.length && !one.updates?.length) return undefined;
      try {
        const [got] = await runCases([one], codegen!, device);
        return judge(one, got!, codegen!.target.ieee).wrong[0];
      } catch (error) {
        return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      }
    };
    for (let from = first; from < first + total; from += batch) {
      test(`graphs ${from} to ${from + batch - 1}`, async () => {
        const { recipes, cases: all } = graphs(from);
        const cases = all.slice(0, first + total - from);
        const { results, broken } = await runAll(cases, codegen!, device, batch);
        const bad = cases.findIndex(
          (one) => broken.some((b) => b.case === one) || judge(one, results.get(one) ?? [], codegen!.target.ieee).wrong.length > 0,
        );
        if (bad < 0) return;
        const small = await shrink(recipes[bad]!, async (r) => (await trouble(r)) !== undefined);
        const why = (await trouble(small)) ?? "only wrong beside other graphs";
        expect.fail(`graph ${recipes[bad]!.seed} shrinks to\n${printGraph(graphOf([buildCase(small)]))}\n${why}\n${JSON.stringify(small)}`);
      }, 300_000);
    }
  });
}
fuzz(js, total);
fuzz(wasm, total);
const sample = (most: number): number => (full ? total : Math.min(total, most));
fuzz(c, sample(200));
fuzz(webgpu, sample(30), await withoutWebGpu());
