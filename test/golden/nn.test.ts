/** Products, norms, attention, convolutions, losses, sorting: values and gradients against PyTorch's (tools/goldens/make.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { c } from "../../src/backends/c/index.js";
import { js } from "../../src/backends/js/index.js";
import { type DType, isFloat } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";
import type { Device } from "../../src/runtime/device.js";
import type { Case } from "../conformance/cases.js";
import { runAll } from "../conformance/run.js";
import { type Call, type Operator, readTensors } from "../opinfo/corpus.js";
import { build, check } from "../opinfo/run.js";

const here = import.meta.dirname;
const calls = JSON.parse(readFileSync(join(here, "nn.json"), "utf8")) as Record<string, Call[]>;
const stored = readTensors(readFileSync(join(here, "nn.safetensors")));

/** The tensors of one precision: its results by their plain keys, inputs as they are stored. */
function tensorsIn(dtype: DType): Map<string, NdArray> {
  const out = new Map<string, NdArray>();
  for (const [key, v] of stored) {
    if (key.startsWith(`${dtype}/`)) out.set(key.slice(dtype.length + 1), v);
    else if (!key.includes("/")) out.set(key, isFloat(v.dtype) ? new NdArray(dtype, v.shape, v.data) : v);
  }
  return out;
}
/** PyTorch multiplies by a single-precision 1/6 there, in f64 too. */
const coarse: readonly string[] = ["nn.functional.hardsigmoid"];
const tolerances = { f64: { own: 1e-12, largest: 1e-12, floor: 1e-14 }, f32: { own: 1e-5, largest: 2e-6, floor: 2e-7 } } as const;

describe.each(["f64", "f32"] as const)("in %s, the interpreter gives PyTorch's values and gradients", (dtype) => {
  const tensors = tensorsIn(dtype);
  it.each(Object.keys(calls))("%s", (name) => {
    const outcomes = calls[name]!.map(
      (call, i) => [i, check({ name, samples: calls[name]!, tensors }, call, tolerances[coarse.includes(name) ? "f32" : dtype])] as const,
    );
    expect(outcomes.filter(([, o]) => o.kind !== "same")).toEqual([]);
  });
});

const backend = [c, js].find((b) => !b.unavailable())!;
describe(`in bf16, ${backend.name} is no further from f64 than 1.25 times PyTorch`, () => {
  const [mine, exact] = [tensorsIn("bf16"), tensorsIn("f64")];
  const cases = new Map<string, Case[]>();
  for (const [name, list] of Object.entries(calls))
    cases.set(
      name,
      list.map((call, i) => {
        const { feeds, outs, grads } = build({ name, samples: list, tensors: mine } satisfies Operator, call);
        return { name: `${name} ${i}`, op: name, roots: [...outs, ...grads.filter((g) => g !== null)], feeds };
      }),
    );
  let device: Device;
  let results: ReadonlyMap<Case, readonly NdArray[]>;
  beforeAll(async () => {
    device = await backend.open();
    const run = await runAll([...cases.values()].flat(), backend.codegen(), device, 100);
    expect(run.broken).toEqual([]);
    results = run.results;
  }, 300_000);
  afterAll(() => device?.close());

  it.each([...cases.keys()])("%s", (name) => {
    for (const [i, one] of cases.get(name)!.entries()) {
      const call = calls[name]![i]!;
      const keys = [...call.out, ...(call.grads ?? []).filter((g) => g !== null)] as { tensor: string }[];
      results.get(one)!.forEach((got, k) => {
        if (!isFloat(got.dtype)) {
          expect([...got.data]).toEqual([...mine.get(keys[k]!.tensor)!.data]);
          return;
        }
        const [theirs, truth] = [mine.get(keys[k]!.tensor)!.data, exact.get(keys[k]!.tensor)!.data];
        const error = (v: ArrayLike<number | bigint>): number =>
          Math.sqrt(Array.from(truth as Float64Array).reduce((s, t, e) => s + (Number(v[e]) - t) ** 2, 0));
        // Rounding the exact value to bf16 is the best that anyone can do.
        expect(error(got.data), `${name} ${i}, result ${k}`).toBeLessThanOrEqual(1.25 * error(theirs) + 1e-6);
      });
    }
  });
});
