/** A checkpoint that is read on its way to a GPU (one made of the CPU). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeDevices, ready } from "../../src/index.js";
import { loadPretrained } from "../../src/llm/load.js";
import { makeFolder } from "../models/folder.js";
import { buildFakeGpu } from "../support/fake-gpu/build.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
beforeAll(async () => {
  if (!fake) return;
  Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
  await ready("cuda");
});
afterAll(async () => {
  await closeDevices();
  rmSync(cache, { recursive: true, force: true });
});

test.skipIf(!fake)("its weights are those that another device has, as they are stored and converted", async () => {
  const folder = makeFolder("llama2");
  for (const dtype of [undefined, "f16"] as const) {
    const [ours, other] = await Promise.all(["cuda", "js"].map((device) => loadPretrained(folder, { device, ...(dtype && { dtype }) })));
    const names = [...ours!.model.namedParameters()];
    expect(names.length).toBeGreaterThan(10);
    const theirs = new Map(other!.model.namedParameters());
    for (const [name, p] of names) {
      expect(p.device).toBe("cuda");
      expect(Buffer.compare(await p.bytes(), await theirs.get(name)!.bytes())).toBe(0);
    }
    expect(ours!.weights.mapped).toBe(0);
  }
});
