/** A kernel that the compiler refuses: its line, its name, and the op that it came from. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findNvrtc } from "../../../test/support/cuda.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { compile } from "../../compile/index.js";
import { CompileError } from "../../core/errors.js";
import type { Kernel } from "../../kernel/kernel.js";
import { templates } from "../../kernel/templates/index.js";
import * as o from "../../ops/index.js";
import type { Program } from "../../runtime/program.js";
import { build, buildSync } from "./build.js";
import { cudaCodegen } from "./codegen.js";
import { nvrtcFlags } from "./key.js";
import { nvrtc } from "./nvrtc.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
process.env["TREEPIE_CACHE_DIR"] = cache;
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});

/** Two kernels, of which the one of the softmax has a statement that no compiler takes. */
function broken(): { readonly program: Program; readonly entry: string; readonly line: string } {
  const [x, y] = [o.input({ shape: [40, 300], dtype: "f32" }, "x"), o.input({ shape: [70, 30], dtype: "f32" }, "y")];
  const graph = { inputs: [x, y], state: [], outputs: [o.softmax(x, 1), o.tanh(y)], updates: [] };
  const whole = compile(graph, cudaCodegen({ sm: 90 }, templates), { name: "two results" });
  const step = whole.steps.find((s) => s.kind === "launch" && s.note?.ops.some((op) => op.startsWith("exp")));
  if (step?.kind !== "launch") throw new Error("no kernel takes exponentials");
  const line = "float wrong = not_there + 1;";
  const kernels = whole.kernels.map((k, i) =>
    i === step.kernel ? { ...k, source: String(k.source).replace(/\{\n/, `{\n  ${line}\n`) } : k,
  );
  return { program: { ...whole, kernels }, entry: whole.kernels[step.kernel]!.entry, line };
}

test("a kernel that needs more shared memory than a block gets is refused with both numbers", () => {
  const codegen = cudaCodegen({ sm: 86, sharedBytes: 48 << 10 });
  const made = (size: number): Kernel => ({
    name: "wide",
    buffers: [{ name: "s", dtype: "f32", space: "shared", size }],
    dims: [],
    grid: 1,
    threads: 32,
    body: [],
  });
  expect(codegen.render(made(12 << 10)).sharedBytes).toBe(48 << 10);
  expect(() => codegen.render(made(13 << 10))).toThrow(/wide: 53248 bytes of shared memory, and the GPU has 49152/);
});

const compilers = { "a stand-in": fake && join(fake, "libnvrtc.so.1"), NVRTC: findNvrtc() };
describe.each(Object.entries(compilers))("%s", (_, path) => {
  test.skipIf(!path)("a refusal shows the source line, the kernel and its ops", async () => {
    process.env["TREEPIE_CUDA_PATH"] = dirname(path!);
    expect(nvrtc().path).toBe(path);
    const { program, entry, line } = broken();
    const flags = nvrtcFlags(90);
    const error = await build(program, flags).then(
      () => undefined,
      (e: unknown) => e,
    );
    let blocking: unknown;
    try {
      buildSync(program, flags);
    } catch (e) {
      blocking = e;
    }
    for (const e of [error, blocking]) {
      expect(e).toBeInstanceOf(CompileError);
      const { message, kernel } = e as CompileError;
      expect(kernel).toBe(entry);
      expect(message).toContain("not_there");
      expect(message).toMatch(new RegExp(`in kernel ${entry}, line \\d+: ${line.replace("+", "\\+")}`));
      expect(message).toMatch(/The kernel is step \d of two results, .*\(generated\) of the ops .*exp.*; it writes 12000 x f32/);
    }
  });
});
