import { describe, expect, test } from "vitest";
import { compileKernels, hasCompiler } from "../../../test/support/kernels-in-c.js";
import { buffer, cases, check, functions, inputs, mapKernel, ulps, worstOf } from "../../../test/support/scalar-cases.js";
import { fromBytes, toBytes } from "../../core/convert.js";
import { bytesOf } from "../../core/dtype.js";
import { add, mul, variable } from "../../core/expr.js";
import {
  apply,
  at,
  axis,
  below,
  type Kernel,
  type Buffer as KernelBuffer,
  load,
  loops,
  ref,
  type Stmt,
  store,
} from "../../kernel/kernel.js";
import { verifyKernel } from "../../kernel/verify.js";
import { cpu } from "../../runtime/cpu.js";
import { jsCodegen } from "../js/codegen.js";
import { amx } from "./target.js";

describe.runIf(hasCompiler())("generated C", () => {
  test("every operation on every dtype", { timeout: 120_000 }, () => {
    const kernels = cases.map((c) => mapKernel(c.op, c.dtype, c.from, c.inputs.length > 1 ? 8 : 16));
    // Several hundred kernels: what they compute matters here, not how fast.
    const run = compileKernels(kernels);
    const bad = cases.flatMap((c, i) => {
      const size = c.inputs[0]!.length;
      const inputs = c.inputs.map((x, k) => toBytes(c.from[k]!, x));
      const out = new Uint8Array(size * bytesOf(c.dtype));
      run[i]!([...inputs, out], { n: size });
      return check(c, fromBytes(c.dtype, out), "C");
    });
    expect(bad).toEqual([]);
  });
});

describe.runIf(hasCompiler())("f32 functions in C", () => {
  test("within 2 ulp over the whole range, scalar and vector alike", { timeout: 120_000 }, () => {
    const run = compileKernels(
      functions.flatMap((op) => [mapKernel(op, "f32", ["f32"], 16), mapKernel(op, "f32", ["f32"], 8), mapKernel(op, "f32", ["f32"], 1)]),
    );
    functions.forEach((op, i) => {
      const x = inputs(op);
      const outs = [0, 1, 2].map((k) => {
        const out = new Float32Array(x.length);
        run[3 * i + k]!([new Uint8Array(x.buffer), new Uint8Array(out.buffer)], { n: x.length });
        return out;
      });
      const [worst, at] = worstOf(op, x, outs[0]!);
      if (process.env.TREEPIE_DEBUG) console.log(op, worst.toFixed(2), at);
      expect(worst, `${op}(${at})`).toBeLessThanOrEqual(2);
      expect(Buffer.compare(Buffer.from(outs[0]!.buffer), Buffer.from(outs[1]!.buffer)), `${op} of 16 and 8 lanes`).toBe(0);
      expect(Buffer.compare(Buffer.from(outs[0]!.buffer), Buffer.from(outs[2]!.buffer)), `${op} of 16 lanes and one`).toBe(0);
    });
  });
});

describe("generated JavaScript", () => {
  test("every operation on every dtype", { timeout: 120_000 }, () => {
    const codegen = jsCodegen();
    const codes = cases.map((c, i) => codegen.render({ ...mapKernel(c.op, c.dtype, c.from, 4), name: `k${i}z` }));
    const all = new Function(
      `${codegen.prelude(codes)}${codes.map((k) => k.source).join("\n")}return [${codes.map((k) => k.entry).join(",")}]`,
    )();
    const bad = cases.flatMap((c, i) => {
      const size = c.inputs[0]!.length;
      const inputs = c.inputs.map((x, k) => toBytes(c.from[k]!, x));
      const out = new Uint8Array(size * bytesOf(c.dtype));
      all[i]([...inputs, out], [size], 0, Math.ceil(size / 16), new ArrayBuffer(0));
      return check(c, fromBytes(c.dtype, out), "js");
    });
    expect(bad).toEqual([]);
  });
});

describe.runIf(hasCompiler())("C for other processors", () => {
  const x = buffer("double", "f32", variable("int", 0, 64));
  const y = buffer("x_3", "f32", variable("int", 0, 64), true);
  const acc: KernelBuffer = { name: "exp", dtype: "f32", space: "reg", size: 16 };
  const size = variable("int", 0, 64);
  const lanes = axis("for", 16, "vector");
  const block = axis("x", 4, "loop");
  const i = add(mul(at(block), 16), at(lanes));
  /** Names that C has taken, and names like those that the printer makes. */
  const named: Kernel = {
    name: "main",
    buffers: [x, y, acc],
    dims: [size],
    grid: 1,
    threads: 1,
    body: loops(
      [block, lanes],
      [
        {
          kind: "if",
          test: below(i, size),
          body: [
            { kind: "let", name: "exp_1", value: apply("exp", "f32", load(x, i)) },
            store(acc, at(lanes), { kind: "ref", dtype: "f32", name: "exp_1" }),
            store(y, i, apply("add", "f32", load(acc, at(lanes)), { kind: "ref", dtype: "f32", name: "exp_1" })),
          ],
        },
      ],
    ),
  };
  test("any name, narrower vectors", { timeout: 60_000 }, () => {
    const levels = [cpu().features, cpu().features.filter((f) => !f.startsWith("avx512")), []];
    for (const features of levels) {
      const [run] = compileKernels([named], features);
      const input = Float32Array.from({ length: 37 }, (_, k) => k / 8 - 2);
      const out = new Float32Array(37);
      run!([new Uint8Array(input.buffer), new Uint8Array(out.buffer)], { int: 37 });
      for (const [k, v] of out.entries()) expect(ulps(v, 2 * Math.exp(input[k]!), "f32")).toBeLessThanOrEqual(2);
    }
  });

  test.runIf(cpu().arch === "x86-64")("tiles of a matrix unit compile", { timeout: 60_000 }, () => {
    const a = buffer("a", "bf16", 16 * 32);
    const b = buffer("b", "bf16", 16 * 32);
    const out = buffer("c", "f32", 16 * 16, true);
    const tiles: KernelBuffer = { name: "tile", dtype: "f32", space: "reg", size: 3 };
    const fetch = (into: number, from: KernelBuffer): Stmt => ({
      kind: "fetch",
      unit: amx,
      into: ref(tiles, into),
      from: ref(from, 0),
      stride: 32,
      count: 1,
      transposed: false,
    });
    const body: readonly Stmt[] = [
      { kind: "fill", unit: amx, acc: ref(tiles, 0) },
      fetch(1, a),
      fetch(2, b),
      { kind: "mma", unit: amx, acc: ref(tiles, 0), a: ref(tiles, 1), b: ref(tiles, 2) },
      { kind: "spill", unit: amx, acc: ref(tiles, 0), to: ref(out, 0), stride: 16 },
    ];
    const kernel = verifyKernel({ name: "tiles", buffers: [a, b, out, tiles], dims: [], grid: 1, threads: 1, body });
    expect(compileKernels([kernel], ["avx2", "fma", "amx-tile", "amx-bf16"])).toHaveLength(1);
  });
});
