/** Temporaries of products whose rows would begin anywhere: they lie further apart than they are long. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Case } from "../../../test/conformance/cases.js";
import { draw, stream } from "../../../test/conformance/inputs.js";
import { judge } from "../../../test/conformance/judge.js";
import { runCases } from "../../../test/conformance/run.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { grad } from "../../autodiff/grad.js";
import { compile } from "../../compile/index.js";
import type { DType } from "../../core/dtype.js";
import { NdArray } from "../../core/ndarray.js";
import type { Node } from "../../ir/node.js";
import { templates } from "../../kernel/templates/index.js";
import * as o from "../../ops/index.js";
import type { Program } from "../../runtime/program.js";
import { verifyProgram } from "../../runtime/verify.js";
import { libraryProducts } from "./claims/products.js";
import { cudaCodegen } from "./codegen.js";
import { openCuda } from "./device.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache, FAKE_GPU_MEMORY_MIB: "256" });
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});

const rows = 72;
const [width, classes] = [80, 1034];
/** The gradients of a head of many classes. */
function head(dtype: DType): Case {
  const next = stream(`head ${dtype}`);
  const x = o.input({ shape: [rows, width], dtype }, "x");
  const w = o.input({ shape: [classes, width], dtype }, "w");
  const t = o.input({ shape: [rows], dtype: "i64" }, "t");
  const feeds = new Map([x, w].map((n) => [n, draw(next, dtype, n.type.shape as number[], [-1, 1])]));
  feeds.set(
    t,
    NdArray.of("i64", [rows], ([i]) => BigInt((i! * 91) % classes)),
  );
  return { name: `head ${dtype}`, op: "dot", roots: grad(o.crossEntropy(o.linear(x, w), t), [x, w]), feeds };
}
const programOf = (c: Case, codegen: ReturnType<typeof cudaCodegen>): Program =>
  compile({ inputs: [...c.feeds.keys()], state: [], outputs: [...c.roots], updates: [] }, codegen, { verify: true });
const temps = (p: Program): readonly unknown[] => p.buffers.filter((b) => b.role === "temp").map((b) => b.size);

describe.each(["bf16", "f32"] as const)("a head of 1034 classes in %s", (dtype) => {
  const pitch = dtype === "bf16" ? 1040 : 1036;
  const targets = {
    generated: cudaCodegen({ sm: 80, multiprocessors: 4 }, templates),
    library: cudaCodegen({ sm: 80, multiprocessors: 4, products: true }, [libraryProducts, ...templates]),
  };
  test.each(Object.entries(targets))("%s: logits and their derivative have rows of whole accesses, in one place", (_, codegen) => {
    const p = programOf(head(dtype), codegen);
    verifyProgram(p);
    expect(temps(p).filter((size) => size === rows * pitch)).toHaveLength(2);
    const at = p.buffers.filter((b) => b.size === rows * pitch).map((b) => "offset" in b && b.offset);
    expect(new Set(at).size).toBe(1);
  });
  test.skipIf(!fake)("computes what the interpreter computes", { timeout: 120_000 }, async () => {
    const device = await openCuda();
    const one = head(dtype);
    for (const codegen of Object.values(targets)) {
      const [result] = await runCases([one], codegen, device);
      expect(judge(one, result!, true).wrong).toEqual([]);
    }
    await device.close();
  });
});

test("a library computes a weight's gradient in whole accesses: there is room behind its last row", () => {
  const { roots, feeds } = head("bf16");
  const [x, w, t] = [...feeds.keys()] as [Node, Node, Node];
  const codegen = cudaCodegen({ sm: 80, multiprocessors: 4, products: true }, [libraryProducts, ...templates]);
  const p = compile({ inputs: [x, t], state: [w], outputs: [], updates: [{ state: w, value: o.sub(w, o.tanh(roots[1]!)) }] }, codegen);
  verifyProgram(p);
  const made = p.steps.flatMap((s) =>
    s.kind === "launch" && s.product?.a.turned ? [[s.product.m, p.buffers[s.buffers[s.product.d.argument]!]!.size]] : [],
  );
  expect(made).toEqual([[1040, 1040 * width]]);
});

test("rows that are whole accesses, short ones, and what leaves the program stay dense", () => {
  const codegen = cudaCodegen({ sm: 80, multiprocessors: 4 }, templates);
  const dense = (n: number, leaves: boolean): boolean => {
    const [x, w] = [o.input({ shape: [rows, width], dtype: "f32" }), o.input({ shape: [width, n], dtype: "f32" })];
    const y = o.matmul(x, w);
    const p = compile({ inputs: [x, w], state: [], outputs: [leaves ? y : o.softmax(y, 1)], updates: [] }, codegen);
    return p.buffers.every((b) => b.size === rows * n || b.size === rows * width || b.size === width * n);
  };
  expect([dense(1034, false), dense(1036, false), dense(34, false), dense(1034, true)]).toEqual([false, true, true, true]);
});
