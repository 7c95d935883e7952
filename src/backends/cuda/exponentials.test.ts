import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runCases } from "../../../test/conformance/run.js";
import { buildFakeGpu } from "../../../test/support/fake-gpu/build.js";
import { compile } from "../../compile/index.js";
import { roundValue } from "../../core/convert.js";
import { NdArray } from "../../core/ndarray.js";
import * as o from "../../ops/index.js";
import { cudaCodegen } from "./codegen.js";
import { openCuda } from "./device.js";

const fake = buildFakeGpu();
const cache = mkdtempSync(join(tmpdir(), "treepie-test-"));
if (fake) Object.assign(process.env, { TREEPIE_CUDA_PATH: fake, TREEPIE_CACHE_DIR: cache });
afterAll(() => {
  rmSync(cache, { recursive: true, force: true });
});

test.skipIf(!fake)("exponentials of half floats: rounded once, down to subnormals, infinite and NaN where they are", async () => {
  const codegen = cudaCodegen({ sm: 80, multiprocessors: 4 });
  const device = await openCuda();
  for (const [dtype, least, place, smallest] of [
    ["bf16", -93, 2 ** -8, 2 ** -133],
    ["f16", -18, 2 ** -11, 2 ** -24],
  ] as const) {
    const special = [0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 100, -200];
    const values = [...special, ...Array.from({ length: 2000 }, (_, i) => roundValue(dtype, least + (i / 2000) * (11 - least)) as number)];
    const x = o.input({ shape: [values.length], dtype });
    const root = o.exp(x);
    const p = compile({ inputs: [x], state: [], outputs: [root], updates: [] }, codegen);
    expect(p.kernels.map((k) => String(k.source)).join("\n")).toContain("expnear_(");
    const feeds = new Map([[x, new NdArray(dtype, [values.length], Float64Array.from(values))]]);
    const [[got]] = (await runCases([{ name: `exp ${dtype}`, op: "exp", roots: [root], feeds }], codegen, device)) as [[NdArray]];
    const results = Array.from(got.data, Number);
    expect(results.slice(0, special.length)).toEqual([1, Number.NaN, Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 0]);
    // Half a place by rounding; 2^-17 before it.
    values.slice(special.length).forEach((v, i) => {
      const want = Math.exp(v);
      expect(Math.abs(results[special.length + i]! - want), `exp(${v})`).toBeLessThanOrEqual(
        Math.max(want * (place + 2 ** -17), smallest / 2 + want * 2 ** -17),
      );
    });
  }
  await device.close();
});
