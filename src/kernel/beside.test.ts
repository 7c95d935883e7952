/** Kernels that become one compute what each of them computes. */
import { describe, expect, test } from "vitest";
import { type Case, interpretKernels, lowerCase, random } from "../../test/support/groups.js";
import { cudaTarget } from "../backends/cuda/target.js";
import { bytesOf } from "../core/dtype.js";
import { dot, input, permute } from "../ops/index.js";
import { besideKernels, besideName, canStandBeside } from "./beside.js";
import type { Buffer, Kernel } from "./kernel.js";
import { contractTemplate } from "./templates/contract/index.js";
import { verifyKernel } from "./verify.js";

const hopper = cudaTarget({ sm: 90, multiprocessors: 8 });
/** A product of a few rows. */
function product(m: number, n: number, k: number): Kernel {
  const [x, w] = [input({ shape: [m, k], dtype: "bf16" }), input({ shape: [n, k], dtype: "bf16" })];
  const c: Case = { name: `${m}x${n}x${k}`, inputs: [x, w], outputs: [dot(x, permute(w, [1, 0]))] };
  return lowerCase(c, [contractTemplate], hopper).groups[0]!.kernels[0]!;
}
const globals = (k: Kernel): readonly Buffer[] => k.buffers.filter((b) => b.space === "global");
/** Numbers around 1 in bf16. */
const drawn = (b: Buffer): Uint8Array =>
  new Uint8Array(Uint16Array.from({ length: b.size as number }, () => 0x3f00 + Math.floor(random() * 256)).buffer);

describe("products whose tiles move in the background", () => {
  test("are one kernel where they lay out shared memory alike: each grid point has all of it", () => {
    const kernels = [product(40, 72, 320), product(40, 136, 320), product(40, 72, 320)];
    expect(canStandBeside(kernels, hopper)).toBe(true);
    const whole = verifyKernel(besideKernels("whole", kernels), hopper);
    expect(whole.grid).toBe(kernels.reduce((sum, k) => sum + (k.grid as number), 0));
    const shared = (k: Kernel): readonly unknown[] =>
      k.buffers.filter((b) => b.space === "shared" || b.space === "signal").map((b) => [b.space, b.dtype, b.size]);
    expect(shared(whole)).toEqual(shared(kernels[0]!));
    const memory = new Map<string, Uint8Array>();
    kernels.forEach((k, i) => {
      for (const b of globals(k))
        memory.set(besideName(i, b.name), b.writes ? new Uint8Array((b.size as number) * bytesOf(b.dtype)) : drawn(b));
    });
    const want = kernels.map((k, i) => {
      const own = globals(k).map((b) => memory.get(besideName(i, b.name))!.slice());
      interpretKernels([k])[0]!(own);
      return own[globals(k).findIndex((b) => b.writes)]!;
    });
    interpretKernels([whole])[0]!(globals(whole).map((b) => memory.get(b.name)!));
    kernels.forEach((k, i) => {
      expect(memory.get(besideName(i, globals(k).find((b) => b.writes)!.name))).toEqual(want[i]);
    });
    expect(want[1]!.some((x) => x !== 0)).toBe(true);
  });
  test("stay apart where they do not", () => {
    expect(canStandBeside([product(40, 72, 320), product(128, 1024, 320)], hopper)).toBe(false);
  });
});
