/** Programs on disk: found again by what they were compiled from, and by nothing else. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cCodegen } from "../../src/backends/c/codegen.js";
import { compileWith } from "../../src/compile/cached.js";
import { variable } from "../../src/core/expr.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { templates } from "../../src/kernel/templates/index.js";
import * as ops from "../../src/ops/index.js";
import { openCache } from "../../src/runtime/cache.js";

const root = mkdtempSync(join(tmpdir(), "treepie-programs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A product with a symbolic size, a norm behind it, a constant beside it, and an update. */
function graphOf(scale: number): Graph {
  const n = variable("n", 1, 64);
  const x = ops.input({ shape: [n, 32], dtype: "f32" }, "x");
  const w = ops.input({ shape: [32, 16], dtype: "f32" }, "w");
  const s = ops.input({ shape: [16], dtype: "f32" }, "s");
  const y = ops.softmax(ops.mul(ops.matmul(x, w), ops.full([], scale, "f32")), 1);
  return { inputs: [x, w], state: [s], outputs: [y], updates: [{ state: s, value: ops.add(s, s) }] };
}
/** The c backend's codegen for a fixed processor, with a count of what it printed. */
function counting(parallel = 2): { codegen: Codegen; printed(): number } {
  const made = cCodegen({ arch: "x86-64", features: ["avx2", "fma"], parallel }, templates);
  let count = 0;
  return {
    codegen: {
      ...made,
      render(kernel) {
        count++;
        return made.render(kernel);
      },
    },
    printed: () => count,
  };
}

test("a program is found by its graph, its target and its compiler, and is the one that was stored", () => {
  const cache = openCache(join(root, "a"), "program");
  const first = counting();
  const program = compileWith(graphOf(3), first.codegen, "1", cache, 0);
  expect(first.printed()).toBeGreaterThan(1);
  const again = counting();
  expect(compileWith(graphOf(3), again.codegen, "1", cache, 0)).toEqual(program);
  expect(again.printed()).toBe(0);
  for (const [graph, parallel, version] of [
    [graphOf(5), 2, "1"],
    [graphOf(3), 4, "1"],
    [graphOf(3), 2, "2"],
  ] as const) {
    const other = counting(parallel);
    compileWith(graph, other.codegen, version, cache, 0);
    expect(other.printed()).toBeGreaterThan(1);
  }
});
test("what compiles fast is not stored", () => {
  const cache = openCache(join(root, "b"), "program");
  for (let i = 0; i < 2; i++) {
    const { codegen, printed } = counting();
    compileWith(graphOf(3), codegen, "1", cache, Number.POSITIVE_INFINITY);
    expect(printed()).toBeGreaterThan(1);
  }
});
test("a damaged program is compiled anew, and so is one that is not sound", () => {
  const folder = join(root, "c");
  const cache = openCache(folder, "program");
  const program = compileWith(graphOf(3), counting().codegen, "1", cache, 0);
  const key = readdirSync(folder)
    .find((n) => n.endsWith(".json"))!
    .slice(0, -5);
  const text = Buffer.from(cache.read(key)!).toString("utf8");
  // The cache's own check finds what was changed behind its back.
  const file = join(folder, readdirSync(folder).find((n) => n.endsWith(".program"))!);
  writeFileSync(file, readFileSync(file, "utf8").replace('"version":1', '"version":2'), { mode: 0o600 });
  const changed = counting();
  expect(compileWith(graphOf(3), changed.codegen, "1", cache, 0)).toEqual(program);
  expect(changed.printed()).toBeGreaterThan(1);
  // What was stored as a whole but makes no sense is refused by the verifier.
  for (const wrong of [text.replace(/"grid":\d+/, '"grid":-1'), text.replace('"kernel":0', '"kernel":99'), "{}\n", "no line"]) {
    expect(wrong).not.toBe(text);
    cache.write(key, Buffer.from(wrong));
    const { codegen, printed } = counting();
    expect(compileWith(graphOf(3), codegen, "1", cache, 0)).toEqual(program);
    expect(printed()).toBeGreaterThan(1);
  }
});
