import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { toBytes, fromBytes as valuesOf } from "../../src/core/convert.js";
import type { DType } from "../../src/core/dtype.js";
import type { NdArray } from "../../src/core/ndarray.js";
import "../../src/index.js";
import { AdamW } from "../../src/optim/index.js";
import { evaluate, fromBytes, setDefaultBackend, type Tensor } from "../../src/tensor/index.js";
import { readTensors } from "../opinfo/corpus.js";
import { hasCompiler } from "../support/kernels-in-c.js";
import { models } from "./models.js";

const steps = 20;
const batches = 4;

/** What a run gives: a loss for each step, gradients of the first one, parameters after the last. */
interface Run {
  readonly losses: readonly number[];
  readonly grads: ReadonlyMap<string, ArrayLike<number>>;
  readonly final: ReadonlyMap<string, ArrayLike<number>>;
}
const numbers = async (t: Tensor): Promise<ArrayLike<number>> => valuesOf(t.dtype, await t.bytes()) as Float64Array;
const upload = (a: NdArray, dtype: DType = a.dtype): Tensor => fromBytes(toBytes(dtype, a.data), a.shape, { dtype });

async function train(name: string, dtype: DType, golden: ReadonlyMap<string, NdArray>): Promise<Run> {
  const model = models[name]!().to(dtype);
  const first = [...golden].filter(([k]) => k.startsWith("init.")).map(([k, v]) => [k.slice(5), upload(v, dtype)] as const);
  model.loadStateDict(Object.fromEntries(first));
  const optimizer = new AdamW(model.parameters(), { lr: 1e-2, betas: [0.9, 0.99], eps: 1e-5, weightDecay: 0.1 });
  const losses: Tensor[] = [];
  const grads = new Map<string, ArrayLike<number>>();
  for (let step = 0; step < steps; step++) {
    const [x, y] = ["x", "y"].map((k) => golden.get(`${k}.${step % batches}`)!).map((v) => upload(v, v.dtype === "i64" ? "i64" : dtype));
    optimizer.zeroGrad();
    const loss = model.loss(x!, y!);
    loss.backward();
    if (step === 0) {
      await evaluate(...model.parameters().map((p) => p.grad!));
      for (const [n, p] of model.namedParameters()) grads.set(n, await numbers(p.grad!));
    }
    optimizer.step();
    losses.push(loss.detach());
  }
  const final = new Map<string, ArrayLike<number>>();
  await evaluate(...model.parameters());
  for (const [n, p] of model.namedParameters()) final.set(n, await numbers(p));
  return { losses: await Promise.all(losses.map((l) => l.item() as Promise<number>)), grads, final };
}

const read = (golden: ReadonlyMap<string, NdArray>, key: string): ArrayLike<number> => golden.get(key)!.data as Float64Array;
const norm = (x: ArrayLike<number>): number => Math.sqrt(Array.from(x).reduce((s, v) => s + v * v, 0));
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => norm(Array.from(a, (v, i) => v - b[i]!));
const largest = (x: ArrayLike<number>): number => Array.from(x).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => largest(Array.from(a, (v, i) => v - b[i]!));

/** Runs on the device that compiles nothing: in f64 a training's derivatives and optimizer are checked, not how kernels round. */
async function onJs<T>(f: () => Promise<T>): Promise<T> {
  setDefaultBackend("js");
  try {
    return await f();
  } finally {
    setDefaultBackend(best);
  }
}
const best = hasCompiler() ? "c" : "wasm";

describe.each(Object.keys(models))("%s over 20 AdamW steps, against PyTorch", (name) => {
  const golden = readTensors(readFileSync(join(import.meta.dirname, `training-${name}.safetensors`)));

  it("in f64: gradients and parameters within 1e-9 of each tensor's norm", async () => {
    const run = await onJs(() => train(name, "f64", golden));
    expect(apart(run.losses, read(golden, "f64.losses"))).toBeLessThan(1e-9);
    for (const [n, g] of run.grads) {
      const want = read(golden, `f64.grad.${n}`);
      expect(distance(g, want), `gradient of ${n}`).toBeLessThanOrEqual(1e-9 * norm(want));
    }
    for (const [n, p] of run.final) {
      const want = read(golden, `f64.final.${n}`);
      expect(distance(p, want), `final ${n}`).toBeLessThanOrEqual(1e-9 * norm(want));
    }
  });

  it("in f32: losses within 1e-5, gradients within 1e-5 of the largest, parameters within 1e-3 of the norm", async () => {
    const run = await train(name, "f32", golden);
    expect(apart(run.losses, read(golden, "f32.losses"))).toBeLessThanOrEqual(1e-5);
    for (const [n, g] of run.grads) {
      const want = read(golden, `f32.grad.${n}`);
      expect(apart(g, want), `gradient of ${n}`).toBeLessThanOrEqual(1e-5 * largest(want));
    }
    for (const [n, p] of run.final) {
      const want = read(golden, `f32.final.${n}`);
      expect(distance(p, want), `final ${n}`).toBeLessThanOrEqual(1e-3 * norm(want));
    }
  });

  it("in bf16: no further from the f64 run than 1.25 times PyTorch's own bf16 run", async () => {
    const run = await train(name, "bf16", golden);
    /** Error of everything together against PyTorch's: one tensor alone is a matter of luck. */
    const ratio = (ours: ReadonlyMap<string, ArrayLike<number>>, kind: string): number => {
      let [mine, theirs] = [0, 0];
      for (const [n, v] of ours) {
        const exact = read(golden, `f64.${kind}.${n}`);
        mine += distance(v, exact) ** 2;
        theirs += distance(read(golden, `bf16.${kind}.${n}`), exact) ** 2;
      }
      return Math.sqrt(mine / theirs);
    };
    const exact = read(golden, "f64.losses");
    expect(distance(run.losses, exact)).toBeLessThanOrEqual(1.25 * distance(read(golden, "bf16.losses"), exact));
    expect(ratio(run.grads, "grad")).toBeLessThanOrEqual(1.25);
    expect(ratio(run.final, "final")).toBeLessThanOrEqual(1.25);
  });
});
