import { describe, expect, test } from "vitest";
import { compileOnCpu } from "../../test/support/cuda.js";
import { compileKernels, hasCompiler } from "../../test/support/kernels-in-c.js";
import { kernelsInWasm } from "../../test/support/kernels-in-wasm.js";
import { randomContents, randomKernel } from "../../test/support/random-kernel.js";
import { cudaCodegen } from "../backends/cuda/codegen.js";
import { jsCodegen } from "../backends/js/codegen.js";
import { fromBytes, toBytes } from "../core/convert.js";
import { type HostData, hostData } from "../core/ndarray.js";
import { interpretKernel } from "./interpret/index.js";
import type { Kernel } from "./kernel.js";
import { showKernel } from "./show.js";
import { verifyKernel } from "./verify.js";

const count = Number(process.env.TREEPIE_FUZZ_KERNELS ?? 40);
const first = Number(process.env.TREEPIE_FUZZ_SEED ?? 1);
const sizes = [0, 1, 7, 40];

interface Case {
  readonly seed: number;
  readonly kernel: Kernel;
  /** For each size the contents before and after. */
  readonly runs: readonly { readonly n: number; readonly before: number[][]; readonly after: HostData[] }[];
}
const cases: Case[] = Array.from({ length: count }, (_, i) => {
  const seed = first + i;
  const kernel = randomKernel(seed);
  verifyKernel(kernel);
  const global = kernel.buffers.filter((b) => b.space === "global");
  const runs = sizes.map((n) => {
    const before = randomContents(kernel, seed + n);
    const after = before.map((x, k) => {
      const d = hostData(global[k]!.dtype, x.length);
      for (const [j, v] of x.entries()) d[j] = d instanceof BigInt64Array || d instanceof BigUint64Array ? BigInt(v) : v;
      return d;
    });
    interpretKernel(kernel, after, { n });
    return { n, before, after };
  });
  return { seed, kernel, runs };
});

function check(run: (c: Case, i: number, buffers: Uint8Array[], n: number) => void, most = cases.length): void {
  for (const [i, c] of cases.slice(0, most).entries())
    for (const { n, before, after } of c.runs) {
      const global = c.kernel.buffers.filter((b) => b.space === "global");
      const buffers = before.map((x, k) => toBytes(global[k]!.dtype, x));
      run(c, i, buffers, n);
      for (const [k, b] of global.entries()) {
        const got = fromBytes(b.dtype, buffers[k]!);
        const wrong = [...got].findIndex((x, j) => x !== after[k]![j] && !(Number.isNaN(x) && Number.isNaN(after[k]![j])));
        if (wrong >= 0)
          expect.fail(`seed ${c.seed}, n = ${n}: ${b.name}[${wrong}] is ${got[wrong]}, not ${after[k]![wrong]}\n${showKernel(c.kernel)}`);
      }
    }
}

describe(`${count} random kernels give what the kernel interpreter gives`, () => {
  test.runIf(hasCompiler())("in C", { timeout: 120_000 }, () => {
    const run = compileKernels(cases.map((c) => c.kernel));
    check((_c, i, buffers, n) => run[i]!(buffers, { n }));
  });
  test("in CUDA C++ (a third of them, by the C++ compiler)", { timeout: 120_000 }, (context) => {
    const run = compileOnCpu(
      cases.slice(0, Math.ceil(count / 3)).map((c) => c.kernel),
      cudaCodegen({ sm: 90 }),
    );
    if (!run) return context.skip("no g++");
    check((_c, i, buffers, n) => run[i]!(buffers, { n }), Math.ceil(count / 3));
  });
  test("in WebAssembly", { timeout: 120_000 }, () => {
    const run = kernelsInWasm(cases.map((c) => c.kernel));
    check((_c, i, buffers, n) => run[i]!(buffers, { n }));
  });
  test("in JavaScript", () => {
    const codegen = jsCodegen();
    const codes = cases.map((c, i) => codegen.render({ ...c.kernel, name: `k${i}z` }));
    const all = new Function(
      `${codegen.prelude(codes)}${codes.map((k) => k.source).join("\n")}return [${codes.map((k) => k.entry).join(",")}]`,
    )();
    check((_c, i, buffers, n) => all[i](buffers, [n], 0, 2, new ArrayBuffer(Number(codes[i]!.sharedBytes))));
  });
});
