import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Case } from "../../../test/conformance/cases.js";
import { draw, stream } from "../../../test/conformance/inputs.js";
import { runCases } from "../../../test/conformance/run.js";
import { batched, type Leaves, libraryCase, libraryUses } from "../../../test/gpu/library.js";
import { judgeProduct } from "../../../test/gpu/products.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { loadedAgain } from "../../../test/support/loaded-again.js";
import { movingCalls } from "../../../test/support/moving.js";
import { explain } from "../../compile/explain.js";
import { compile } from "../../compile/index.js";
import { fromBytes, toBytes } from "../../core/convert.js";
import type { DType } from "../../core/dtype.js";
import { variable } from "../../core/expr.js";
import { NdArray } from "../../core/ndarray.js";
import type { Node } from "../../ir/node.js";
import { templates } from "../../kernel/templates/index.js";
import * as o from "../../ops/index.js";
import { setFloat32MatmulPrecision } from "../../ops/precision.js";
import type { Device } from "../../runtime/device.js";
import type { Product, Program } from "../../runtime/program.js";
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

// Matrix units that the fake GPU has.
const codegen = cudaCodegen({ sm: 80, multiprocessors: 4, products: true }, [libraryProducts, ...templates]);
const sizes = [72, 96, 80] as const;
const [m, k, n] = sizes;
const caseOf = (name: string, dtype: DType, f: (x: Leaves) => Node): Case => libraryCase(name, dtype, f, sizes);
const programOf = (c: Case): Program =>
  compile({ inputs: [...c.feeds.keys()], state: [], outputs: [...c.roots], updates: [] }, codegen, { name: "p", verify: true });
const productOf = (p: Program): Product | undefined => p.steps.flatMap((s) => (s.kind === "launch" && s.product ? [s.product] : []))[0];

describe("a product as a call of cuBLASLt", () => {
  test.each(Object.entries(libraryUses))("%s", (name, [f, says]) => {
    const p = programOf(caseOf(name, "bf16", f));
    verifyProgram(p);
    expect(p.steps).toHaveLength(1);
    const product = productOf(p);
    expect(product).toMatchObject({ library: "cublaslt", batch: 1, m, n, k, ...says });
    expect([product!.bias !== undefined, product!.c !== undefined]).toEqual([
      /bias|gelu|residual|rows/.test(name),
      /residual|wide/.test(name),
    ]);
    expect(explain(p)).toMatch(/kernel k\w+ or cuBLASLt/);
  });
  test("a batch of products", () => {
    const p = programOf(caseOf("batched", "f16", batched));
    expect(productOf(p)).toMatchObject({ batch: 2, m, n, k, d: { row: n, each: m * n } });
  });
  test("f32 is rounded to tf32 only where that is allowed", () => {
    const f = (x: Leaves): Node => o.matmul(x.a, x.b);
    expect(productOf(programOf(caseOf("exact", "f32", f)))).toBeUndefined();
    setFloat32MatmulPrecision("high");
    try {
      expect(productOf(programOf(caseOf("rounded", "f32", f)))).toMatchObject({ tf32: true });
    } finally {
      setFloat32MatmulPrecision("highest");
    }
  });
  test("what it cannot do stays apart, and says why", () => {
    const p = programOf(caseOf("silu", "bf16", (x) => o.silu(o.linear(x.a, x.bt, x.bias))));
    expect(p.steps).toHaveLength(2);
    expect(explain(p)).toMatch(/the library has no \w+ behind a product/);
    // Whoever reads a narrow result widens it.
    const wider = programOf(caseOf("wider", "bf16", (x) => o.cast(o.matmul(x.a, x.b), "f32")));
    expect(wider.steps).toHaveLength(2);
    expect(explain(wider)).toMatch(/a wider result would be more bytes/);
  });
  test("few rows, and machines without the library, have generated kernels", () => {
    const few = programOf(caseOf("few", "bf16", (x) => o.matmul(o.sliceDim(x.a, 0, 0, 32, 1), x.b)));
    expect(productOf(few)).toBeUndefined();
    expect(explain(few)).toMatch(/library: few rows wait for memory/);
    const plain = cudaCodegen({ sm: 80 }, [libraryProducts, ...templates]);
    const c = caseOf("plain", "bf16", (x) => o.matmul(x.a, x.b));
    const p = compile({ inputs: [...c.feeds.keys()], state: [], outputs: [...c.roots], updates: [] }, plain);
    expect(productOf(p)).toBeUndefined();
    expect(explain(p)).toMatch(/library: no library multiplies here/);
  });
  test("a program that lies about its matrices is refused", () => {
    const p = programOf(caseOf("plain", "bf16", (x) => o.matmul(x.a, x.b)));
    const product = productOf(p)!;
    const changed = (by: Partial<Product>): Program => ({
      ...p,
      steps: p.steps.map((s) => (s.kind === "launch" ? { ...s, product: { ...product, ...by } } : s)),
    });
    expect(() => verifyProgram(changed({ m: m + 1 }))).toThrow(/a ends behind its buffer/);
    expect(() => verifyProgram(changed({ a: { ...product.a, row: k - 1 } }))).toThrow(/a has wrong strides/);
    expect(() => verifyProgram(changed({ a: { ...product.a, argument: 9 } }))).toThrow(/wrong argument/);
    expect(() => verifyProgram(changed({ d: product.a }))).toThrow(/does not write what its kernel writes/);
  });
});

describe.skipIf(!fake)("the library on a device", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openCuda();
  });
  afterAll(() => device.close());

  test("every use", { timeout: 120_000 }, async () => {
    const cases = [
      ...Object.entries(libraryUses).map(([name, [f]]) => caseOf(name, "bf16", f)),
      caseOf("batched", "f16", batched),
      caseOf("gelu", "f16", libraryUses["gelu"]![0]),
    ];
    const results = await runCases(cases, codegen, device);
    for (const [i, c] of cases.entries()) expect(judgeProduct(c, results[i]!).wrong).toEqual([]);
    expect(readdirSync(cache).filter((f) => f.endsWith(".choice")).length).toBeGreaterThan(0);
  });

  test("what was measured is known the next time, and nothing is compiled; graphs follow buffers that move", async () => {
    const c = caseOf("residual", "bf16", libraryUses["residual"]![0]);
    const p = programOf(c);
    const loaded = await loadedAgain(device, p, cache);
    // The first run launches one by one, the second makes a graph; then it takes turns with more places than there are graphs for.
    for await (const got of movingCalls(device, p, loaded, [...c.feeds.values()], 30)) expect(judgeProduct(c, got).wrong).toEqual([]);
    loaded.unload();
  });

  test("sizes that only a call knows take the library's own choice", async () => {
    const rows = variable("t", 1, 256);
    const leaves = [o.input({ shape: [2, rows, k], dtype: "bf16" }, "x"), o.input({ shape: [n, k], dtype: "bf16" }, "w")] as const;
    const root = o.linear(leaves[0], leaves[1], o.input({ shape: [n], dtype: "bf16" }, "bias"));
    const bias = root.inputs.flatMap((x) => [x, ...x.inputs, ...x.inputs.flatMap((y) => y.inputs)]).find((x) => x.attrs.name === "bias")!;
    const p = compile({ inputs: [...leaves, bias], state: [], outputs: [root], updates: [] }, codegen, { verify: true });
    expect(productOf(p)).toMatchObject({ k, n, bias: { offset: 0 } });
    const loaded = await device.load(p);
    const entries = readdirSync(cache).length;
    for (const t of [40, 33, 40]) {
      const feeds = new Map<Node, NdArray>();
      const next = stream(`symbolic ${t}`);
      const own = [[2, t, k], [n, k], [n]].map((shape, i): Node => {
        const node = o.input({ shape, dtype: "bf16" }, `${i}`);
        feeds.set(node, draw(next, "bf16", shape, [-1, 1]));
        return node;
      });
      const c: Case = { name: `symbolic ${t} bf16`, op: "product", roots: [o.linear(own[0]!, own[1]!, own[2]!)], feeds };
      const buffers = p.buffers.map((_, b) => {
        const port = p.inputs.findIndex((x) => x.buffer === b);
        if (port < 0) return device.alloc(2 * t * n * 2);
        const data = toBytes("bf16", feeds.get(own[port]!)!.data);
        const a = device.alloc(data.length);
        device.write(a, 0, data);
        return a;
      });
      void device.submit(loaded, { buffers, dims: [t] });
      const got = fromBytes("bf16", await device.read(buffers[p.outputs[0]!.buffer]!, 0, 2 * t * n * 2));
      expect(judgeProduct(c, [new NdArray("bf16", [2, t, n], got)]).wrong).toEqual([]);
      for (const a of buffers) device.free(a);
    }
    expect(readdirSync(cache).length).toBe(entries);
    loaded.unload();
  });
});
