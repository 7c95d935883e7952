/** Memory that runs out, calls that are aborted, NaN: typed errors where the values are read, and nothing else is disturbed. */
import { beforeAll, beforeEach, expect, test, vi } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { OutOfMemoryError, ShapeError } from "../core/errors.js";
import * as nn from "../nn/index.js";
import { AdamW } from "../optim/index.js";
import { engineOf } from "./device.js";
import { compile, currentDevice, memory, ones, ready, type Tensor, tensor } from "./index.js";

beforeAll(async () => {
  useDevice();
  await ready();
});
beforeEach(() => void vi.restoreAllMocks());
const device = () => engineOf(currentDevice()).device!;

/** Makes the device refuse blocks of at least `bytes`, `times` times. */
function refuse(bytes: number, times: number): () => number {
  const alloc = device().alloc.bind(device());
  let refused = 0;
  vi.spyOn(device(), "alloc").mockImplementation((n) => {
    if (n < bytes || refused >= times) return alloc(n);
    refused++;
    throw new OutOfMemoryError(`${n} bytes were asked for`);
  });
  return () => refused;
}

test("where memory runs short, garbage is collected and the job is tried again", async () => {
  const x = await keep(ones([3000]).mul(1.5));
  for (const times of [1, 2]) {
    const refused = refuse(12_000, times);
    const y = x.add(times);
    expect(((await y.data()) as Float32Array)[7]).toBe(1.5 + times);
    expect(refused()).toBe(times);
    vi.restoreAllMocks();
  }
  const refused = refuse(12_000, 1);
  expect(x.add(0.25).dataSync()[0]).toBe(1.75);
  expect(refused()).toBe(1);
});
test("where there is none, whoever reads gets the error with the report; the next job runs", async () => {
  const x = await keep(ones([3000]).mul(1.5));
  refuse(12_000, 1e9);
  const y = x.mul(3);
  await expect(y.data()).rejects.toThrow(OutOfMemoryError);
  await expect(y.data()).rejects.toThrow(/values of/);
  expect(() => x.mul(5).dataSync()).toThrow(OutOfMemoryError);
  await expect(y.sum().item()).rejects.toThrow(OutOfMemoryError);
  vi.restoreAllMocks();
  expect(await x.mul(7).sum().item()).toBe(3000 * 10.5);
  expect(String(memory.report())).toContain("f32[3000]");
});
test("state that a step could not start for has one value: before the retry nothing was lost", async () => {
  const w = tensor(new Float32Array(3000).fill(1));
  const step = compile((x: Tensor) => {
    w.add_(x);
    return w.mul(2);
  });
  await step(ones([3000])).data();
  const reader = w.add(0.5); // the next step writes to a copy
  const refused = refuse(12_000, 2);
  expect(((await step(ones([3000])).data()) as Float32Array)[0]).toBe(6);
  expect(refused()).toBe(2);
  expect(((await reader.data()) as Float32Array)[0]).toBe(2.5);
  expect(((await w.data()) as Float32Array)[0]).toBe(3);
});
/** Makes the device refuse programs when they are submitted, as where their temporaries do not fit. */
function refusePrograms(): void {
  vi.spyOn(device(), "submit").mockImplementation(() => Promise.reject(new OutOfMemoryError("no memory for temporaries")));
}
test("a step that could not run has changed nothing, and smaller ones go on", async () => {
  for (const refusal of [() => void refuse(12_000, 1e9), refusePrograms]) {
    const [w, steps] = [tensor(new Float32Array(3000).fill(1)), tensor(0)];
    const step = compile((x: Tensor) => {
      w.add_(x.sum());
      steps.add_(1);
      return x.mul(w.at(0));
    });
    expect(((await step(ones([5])).data()) as Float32Array)[0]).toBe(6);
    refusal();
    await expect(step(ones([3000])).data()).rejects.toThrow(OutOfMemoryError);
    vi.restoreAllMocks();
    expect(await steps.item()).toBe(1);
    expect(((await w.data()) as Float32Array)[7]).toBe(6);
    expect(((await step(ones([4])).data()) as Float32Array)[0]).toBe(10);
    expect(await steps.item()).toBe(2);
  }
});
test("what is made of values that never were is an error, and a step that nobody asked about is not passed over", async () => {
  const [twice, less] = [compile((x: Tensor) => x.mul(2)), compile((x: Tensor) => x.sub(1))];
  const x = ones([3000]);
  await less(await keep(twice(x))).data();
  refusePrograms();
  const y = twice(x);
  vi.restoreAllMocks();
  await expect(less(y).data()).rejects.toThrow(OutOfMemoryError);
  const w = tensor(new Float32Array(3000).fill(1));
  const step = compile((by: Tensor) => {
    w.add_(by);
    return w.sum();
  });
  await step(tensor(1)).item();
  refusePrograms();
  const unheard = step(tensor(2));
  vi.restoreAllMocks();
  await expect(step(tensor(3)).item()).rejects.toThrow(OutOfMemoryError);
  await expect(unheard.item()).rejects.toThrow(OutOfMemoryError);
  expect([2, 5]).toContain(((await w.data()) as Float32Array)[0]);
  expect([6, 9]).toContain(Number(await step(tensor(4)).item()) / 3000);
});
test("an abort while a program runs stops it between its kernels", async () => {
  const stop = new AbortController();
  const x = await keep(ones([400, 400]).mul(1e-3));
  const long = compile(
    (a: Tensor): Tensor => {
      let y = a;
      for (let i = 0; i < 200; i++) y = y.matmul(a).add(1e-6);
      return y.sum();
    },
    { signal: stop.signal },
  );
  const running = long(x);
  let aborted = false;
  setTimeout(() => {
    aborted = true;
    stop.abort(new Error("enough"));
  }, 5);
  await expect(running.item()).rejects.toThrow("enough");
  expect(aborted).toBe(true); // the event loop lived while the program ran
  expect(await x.sum().item()).toBeCloseTo(160, 2);
});
test("an aborted call: nothing runs after the signal, and the reason reaches the caller", async () => {
  const stop = new AbortController();
  const step = compile((x: Tensor) => x.mul(2).sum(), { signal: stop.signal });
  expect(await step(ones([3])).item()).toBe(6);
  stop.abort();
  expect(() => step(ones([3]))).toThrow(/abort/i);
  expect(await ones([3]).sum().item()).toBe(3);
});
test("NaN goes through training as it does in PyTorch, lazily and compiled", async () => {
  const model = new nn.Linear(2, 1);
  const optimizer = new AdamW(model.parameters());
  const turn = (x: Tensor): Tensor => {
    optimizer.zeroGrad();
    const loss = model.forward(x).sum();
    loss.backward();
    optimizer.step();
    return loss.detach();
  };
  expect(await turn(tensor([[Number.NaN, 1]])).item()).toBeNaN();
  const compiled = compile(turn);
  expect(await compiled(ones([1, 2])).item()).toBeNaN();
  const [a, b] = Array.from((await model.weight.data()) as Float32Array);
  expect(a).toBeNaN();
  expect(b).not.toBeNaN();
});
test("shapes that do not fit are told at the line of the call", () => {
  const call = (): Tensor => ones([2, 3]).matmul(ones([4, 5]));
  expect(call).toThrow(ShapeError);
  try {
    call();
  } catch (e) {
    expect((e as Error).message).toMatch(/matmul.*\[2, 3\].*\[4, 5\]/s);
    expect((e as Error).stack).toContain("failures.test");
  }
  expect(() => compile(call)()).toThrow(ShapeError);
});

async function keep(t: Tensor): Promise<Tensor> {
  await t.data();
  return t;
}
