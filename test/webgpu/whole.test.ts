/** Whole programs on WebGPU: submissions, memory, training beside c, and one file on every backend. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hostFunctions } from "../../src/backends/interp/host.js";
import { backends } from "../../src/devices.js";
import { exportPie } from "../../src/export.js";
import { loadModel, modelMethods } from "../../src/llm/index.js";
import { GPT } from "../../src/models/gpt/index.js";
import * as nn from "../../src/nn/index.js";
import { AdamW, clipGradNorm_ } from "../../src/optim/index.js";
import { HostTensor, Session } from "../../src/runtime/index.js";
import { engineOf } from "../../src/tensor/device.js";
import { closeDevices, compile, manualSeed, type Tensor, tensor, withDevice } from "../../src/tensor/index.js";
import { makeFolder } from "../models/folder.js";
import { useDevice } from "../support/devices.js";
import { withoutWebGpu } from "../support/webgpu.js";

const missing = await withoutWebGpu();
if (missing) console.error(`whole programs on webgpu skipped: ${missing}`);
const full = process.env["TREEPIE_FULL"] !== undefined;

beforeAll(() => useDevice());
afterAll(() => closeDevices());

/** A step of training, ready for any number of calls. */
type Step = (i: number) => Tensor;

const [vocabulary, batch, time] = [64, 4, 16];
/** Token ids that repeat with small changes, so that there is something to learn. */
const tokensAt = (step: number, shift: number): Tensor =>
  tensor(
    Array.from({ length: batch }, (_, b) => Array.from({ length: time }, (_, i) => (((i + shift) * 5 + (step % 3) + b) * 7) % vocabulary)),
    { dtype: "i64" },
  );
/** The small GPT of the demo: a software driver takes minutes to compile it. */
function gpt(): Step {
  manualSeed(5);
  const model = new GPT({ vocabulary, width: 32, heads: 2, layers: 2, context: time });
  return trainer(
    model,
    (x, y) => model.loss(x!, y!),
    (i) => [tokensAt(i, 0), tokensAt(i, 1)],
  );
}
/** A perceptron. */
function perceptron(): Step {
  manualSeed(5);
  const model = new nn.Sequential(new nn.Linear(8, 16), new nn.Tanh(), new nn.Linear(16, 1));
  const x = Array.from({ length: 12 }, (_, r) => Array.from({ length: 8 }, (_, c) => Math.sin(r * 8 + c)));
  const y = x.map((row) => [row.reduce((s, v) => s + v, 0) / 4]);
  return trainer(
    model,
    (a, b) => model.forward(a!).sub(b!).square().mean(),
    () => [tensor(x), tensor(y)],
  );
}
/** One program: forward, backward, clipping and AdamW. */
function trainer(model: nn.Module, lossOf: (...x: Tensor[]) => Tensor, batchAt: (i: number) => Tensor[]): Step {
  const params = model.parameters();
  const optimizer = new AdamW(params, { lr: 1e-2 });
  const step = compile((...x: Tensor[]): Tensor => {
    const loss = lossOf(...x);
    optimizer.zeroGrad();
    loss.backward();
    clipGradNorm_(params, 1);
    optimizer.step();
    return loss.detach();
  });
  return (i) => step(...batchAt(i));
}
/** Losses of some steps on a device. */
async function losses(device: string, steps: number, after?: (step: number) => void): Promise<number[]> {
  const step = withDevice(device, full ? gpt : perceptron);
  const out: number[] = [];
  for (let i = 0; i < steps; i++) {
    const loss = withDevice(device, () => step(i));
    out.push(Number(await loss.item()));
    after?.(i);
  }
  return out;
}

describe.skipIf(missing)("training on webgpu", () => {
  test("is one submission a step, and gives the losses of c", { timeout: 300_000 }, async () => {
    const steps = full ? 100 : 20;
    const wanted = await losses("c", steps);
    const counts: number[][] = [];
    const got = await losses("webgpu", steps, () => {
      const { submissions, hostSteps } = engineOf("webgpu").opened().counters;
      counts.push([submissions, hostSteps]);
    });
    for (const [i, loss] of got.entries()) expect(Math.abs(loss / wanted[i]! - 1), `step ${i}`).toBeLessThan(0.005);
    expect(wanted.at(-1)!).toBeLessThan(0.8 * wanted[0]!);
    const each = counts.slice(2).map(([s, h], i) => [s! - counts[i + 1]![0]!, h! - counts[i + 1]![1]!]);
    expect(each).toEqual(each.map(() => [1, 0]));
  });
});

describe("one exported text generator", () => {
  const devices = ["interp", "c", "wasm", "js", "cuda", ...(missing ? [] : ["webgpu"])];
  test("gives the same greedy tokens on every backend that is present", { timeout: 200_000 }, async () => {
    const folder = makeFolder("llama3");
    const m = await loadModel(folder, { dtype: "f32", device: "js", maxLength: 20 });
    const { methods, options } = modelMethods(m.model, 20);
    // A software driver has time to compile one method: then the prompt goes through it as well, token by token.
    const exported = full ? methods : { decode: methods["decode"]! };
    const present: string[] = [];
    for (const name of devices) {
      const why = (await backends[name]!()).unavailable();
      if (why) console.error(`the generator on ${name} skipped: ${why}`);
      else present.push(name);
    }
    expect(present).toEqual(expect.arrayContaining(["interp", "js", "wasm"]));
    const targets = await Promise.all(present.map(async (name) => (await backends[name]!()).codegen()));
    const file = join(folder, "generator.pie");
    await exportPie(file, exported, { ...options, targets, allowHostSteps: true });
    const texts = new Map<string, number[]>();
    for (const name of present) {
      const device = await (await backends[name]!()).open();
      const session = await Session.open(file, { device, trust: true, host: hostFunctions });
      const before = device.counters.submissions;
      const given = [5, 6, 7];
      const tell = async (token: number, position: number): Promise<number> =>
        Number((await session.run("decode", { token: [token], position })).next!.item());
      const got: number[] = [];
      if (full) {
        const tokens = new HostTensor("i64", [1, 3], new Uint8Array(BigInt64Array.from(given, BigInt).buffer));
        got.push(Number((await session.run("prefill", { tokens })).next!.item()));
      } else {
        const after: number[] = [];
        for (const [i, token] of given.entries()) after.push(await tell(token, i));
        got.push(after.at(-1)!);
      }
      while (got.length < 8) got.push(await tell(got.at(-1)!, 2 + got.length));
      texts.set(name, got);
      if (name === "webgpu") {
        expect(device.counters.submissions - before, "submissions of a call").toBe(full ? 8 : 10);
        expect(device.counters.hostSteps).toBe(0);
      }
      await session.dispose();
      await device.close();
      expect([device.counters.bytes, device.counters.cachedBytes], `${name} after it was closed`).toEqual([0, 0]);
    }
    expect(Object.fromEntries(texts)).toEqual(Object.fromEntries(present.map((name) => [name, texts.get("interp")])));
  });
});

describe.skipIf(missing)("sessions on webgpu", () => {
  test("opened, run and closed again and again leave nothing", { timeout: 200_000 }, async () => {
    const scale = tensor([1, 2, 3, 4], { dtype: "f32" });
    const methods = { f: { fn: (x: Tensor): Tensor => x.mul(scale).add(1), inputs: { x: tensor([0, 0, 0, 0], { dtype: "f32" }) } } };
    const file = join(makeFolder("llama3"), "small.pie");
    await exportPie(file, methods, { state: { scale }, targets: [(await backends["webgpu"]!()).codegen()] });
    const device = await (await backends["webgpu"]!()).open();
    const round = async (): Promise<void> => {
      const session = await Session.open(file, { device });
      const [y] = Object.values(await session.run("f", { x: [1, 1, 1, 1] }));
      expect(Array.from(y!.data as Float32Array)).toEqual([2, 3, 4, 5]);
      await session.dispose();
    };
    await round();
    await device.sync();
    const { allocations, cachedBytes } = device.counters;
    const rounds = full ? 1000 : 100;
    for (let i = 0; i < rounds; i++) await round();
    await device.sync();
    expect(device.counters).toMatchObject({ bytes: 0, allocations, cachedBytes });
    await device.close();
  });
});
