/** A token through small models, as on a GPU: what `node check.mjs decode` runs there, here on a GPU made of the CPU. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { judge } from "../../../test/conformance/judge.js";
import { runAll } from "../../../test/conformance/run.js";
import { decodeCases, sideBySide } from "../../../test/gpu/decode.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { compile } from "../../compile/index.js";
import { templates } from "../../kernel/templates/index.js";
import { cudaCodegen } from "./codegen.js";
import { cuda } from "./index.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
const folder = process.env["TREEPIE_CUDA_PATH"];
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});

test.skipIf(!fake)("tokens are right, and their keys and values are in the caches", { timeout: 300_000 }, async () => {
  const cases = decodeCases().filter((c) => !c.name.endsWith(" 20") && !c.name.startsWith("products"));
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
  const device = await cuda.open();
  const { results, broken } = await runAll(cases, cuda.codegen(), device, 100);
  // It has no tiles that move in the background.
  const products = await runAll([sideBySide()], cudaCodegen({ sm: 80 }, templates), device, 100);
  await device.close();
  if (folder === undefined) delete process.env["TREEPIE_CUDA_PATH"];
  expect([...broken, ...products.broken]).toEqual([]);
  expect([...results, ...products.results].flatMap(([c, got]) => judge(c, got, true).wrong)).toEqual([]);
});

test("products side by side: what sums up their parts is one kernel, and so are those whose tiles move in the background", () => {
  const c = sideBySide();
  const labels = (sm: number): string[] =>
    compile({ inputs: [...c.feeds.keys()], state: [], outputs: c.roots, updates: [] }, cudaCodegen({ sm }, templates), {
      verify: true,
    }).steps.map((s) => s.note!.label);
  expect(labels(80)).toEqual(["dot", "dot", "dot", "dot (part 2) | dot (part 2) | dot (part 2)"]);
  expect(labels(90)).toEqual(["wideDot | wideDot | wideDot", "cast | cast | cast"]);
});
