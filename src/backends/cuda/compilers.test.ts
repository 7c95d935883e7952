import { fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, expect, test } from "vitest";
import { findNvrtc } from "../../../test/support/cuda.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { CompileError } from "../../core/errors.js";
import type { CompileAnswer, CompileRequest } from "./compile-process.js";
import { Compilers } from "./compilers.js";
import { nvrtcFlags } from "./key.js";

const fake = buildFakeGpu();
// The process runs built code, which finds its packages where this one does.
const near = join(import.meta.dirname, "../../../node_modules/.cache");
mkdirSync(near, { recursive: true });
const folder = mkdtempSync(join(near, "treepie-test-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** NVRTC itself where it is installed: it is what spins. */
const compiler = findNvrtc() ?? (fake && join(fake, "libnvrtc.so.1"));
async function builtScript(): Promise<string> {
  const script = join(folder, "compile-process.mjs");
  const entry = join(import.meta.dirname, "compile-process.ts");
  await build({ entryPoints: [entry], outfile: script, bundle: true, platform: "node", format: "esm", external: ["koffi"] });
  return script;
}

test.skipIf(!fake)("texts are compiled by several processes; a refusal and a process that dies fail their own text only", async () => {
  const script = await builtScript();
  const library = join(fake!, "libnvrtc.so.1");
  expect(Compilers.for(library, [], 1, script)).toBeUndefined();
  expect(Compilers.for(library, [], 9, join(folder, "absent.js"))).toBeUndefined();
  const compilers = Compilers.for(library, [], 5, script);
  if (!compilers) return; // one core: one after another is as good
  const text = (i: number, body: string): string => `extern "C" __global__ void __launch_bounds__(1) f${i}(float* s) { ${body} }`;
  const all = [0, 1, 2, 3, 4].map((i) => compilers.compile(text(i, i === 2 ? "this is not C;" : `s[0] = ${i};`)));
  const settled = await Promise.allSettled(all);
  expect(settled.map((s) => s.status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
  await expect(all[2]).rejects.toThrow(CompileError);
  await expect(all[2]).rejects.toThrow(/NVRTC refused generated code/);
  expect(new TextDecoder().decode((await all[3])!.slice(0, 4))).toBe("FAKE");
  compilers.close();

  const fatal = join(folder, "fatal.mjs");
  writeFileSync(fatal, 'process.on("message", () => process.exit(3));');
  const dying = Compilers.for(library, [], 4, fatal)!;
  const failed = await Promise.allSettled([0, 1, 2, 3].map((i) => dying.compile(text(i, "s[0] = 1;"))));
  expect(failed.map((s) => (s.status === "rejected" ? String(s.reason.message).slice(0, 36) : "compiled"))).toEqual(
    new Array(4).fill("a compiling process ended with 3; it"),
  );
  dying.close();
});

test.skipIf(!compiler)("a process that has compiled ends at the signals that a terminal sends", async () => {
  const script = await builtScript();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const child = fork(script, [], { serialization: "advanced", execArgv: [] });
    const ended = new Promise<unknown>((resolve) => child.once("exit", (_, by) => resolve(by)));
    const answer = new Promise<CompileAnswer>((resolve) => child.once("message", (m) => resolve(m as CompileAnswer)));
    const source = 'extern "C" __global__ void __launch_bounds__(1) f(float* s) { s[0] = 1; }';
    child.send({ id: 1, path: compiler!, source, flags: nvrtcFlags(90) } satisfies CompileRequest);
    expect("code" in (await answer)).toBe(true);
    child.kill(signal);
    expect(await ended).toBe(signal);
  }
});
