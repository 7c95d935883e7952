/** The webgpu device in Deno: a second, independent front end of WGSL, here over Mesa's software driver. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { bundled } from "../browser/bundle.js";
import type { Conformance } from "../browser/page/main.js";

const full = Boolean(process.env["TREEPIE_FULL"]);
const deno = process.env["TREEPIE_DENO"] ?? "deno";
const software = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
const env = {
  ...process.env,
  ...(!process.env["VK_DRIVER_FILES"] && existsSync(software) && { VK_DRIVER_FILES: software, VK_ICD_FILENAMES: software }),
  NO_COLOR: "1",
};
const folder = mkdtempSync(join(tmpdir(), "treepie-deno-"));
afterAll(() => rmSync(folder, { recursive: true }));

const adapter = "console.log([...((await navigator.gpu?.requestAdapter())?.features ?? [])].join()); Deno.exit(0);";
writeFileSync(join(folder, "adapter.mjs"), adapter);
const run = ["run", "-A", "--unstable-webgpu"];
const hasDeno = spawnSync(deno, ["--version"]).status === 0;
const offered = hasDeno ? spawnSync(deno, [...run, join(folder, "adapter.mjs")], { env, encoding: "utf8" }).stdout.trim() : "";
const missing = !hasDeno
  ? `there is no ${deno} (npm install deno brings it; TREEPIE_DENO names one)`
  : offered
    ? undefined
    : "Deno finds no adapter (Debian's mesa-vulkan-drivers has a software driver)";
if (missing) console.error(`webgpu in Deno skipped: ${missing}`);

// The module answers messages, as in a Web Worker.
const script = `const answer = new Promise((done) => { globalThis.postMessage = done; });
await import("./main.js");
globalThis.onmessage({ data: { name: "conformance", argument: JSON.parse(Deno.args[0]) } });
console.log(JSON.stringify(await answer));
Deno.exit(0);`;

test.skipIf(missing)("conformance in Deno", { timeout: 1_800_000 }, async () => {
  writeFileSync(join(folder, "main.js"), await bundled("main.ts"));
  writeFileSync(join(folder, "run.mjs"), script);
  const sample = {
    ops: "add exp where cast sum cumsum sort matmul gather indexAdd conv2d softmax scaledDotProductAttention uniform pad".split(" "),
  };
  const choice = { device: "webgpu", derivatives: full, ...(!full && { ...sample, samples: 1, dtypes: ["f32", "f16", "i32", "bool"] }) };
  const { stdout } = await promisify(execFile)(deno, [...run, join(folder, "run.mjs"), JSON.stringify(choice)], {
    env,
    maxBuffer: 1 << 26,
  });
  const { value, error } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { value?: Conformance; error?: string };
  expect(error).toBeUndefined();
  const { cases, compared, notCompared, problems, features } = value!;
  expect(problems).toEqual([]);
  expect(features.includes("f16")).toBe(offered.includes("shader-f16"));
  expect(cases).toBeGreaterThan(full ? 2000 : 15);
  expect(notCompared).toBeLessThanOrEqual(0.05 * compared);
});
