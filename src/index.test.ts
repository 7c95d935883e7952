import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import * as tp from "./index.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
tp.setDefaultBackend("js");

test("the package has what its documentation speaks of", () => {
  const expected =
    "Tensor tensor zeros ones full arange linspace eye zerosLike rand randn randint randperm bernoulli manualSeed F cat stack where einsum matmul grad valueAndGrad noGrad " +
    "enableGrad compile explain evaluate withDevice setDefaultBackend ready memory nn optim data models Session exportPie saveSafetensors loadSafetensors saveCheckpoint " +
    "openCheckpoint TreepieError ShapeError NoProgramError";
  expect(expected.split(" ").filter((name) => !(name in tp))).toEqual([]);
  expect(Object.keys(tp.nn.init)).toEqual(expect.arrayContaining(["kaimingUniform_", "normal_", "zeros_"]));
  expect(tp.data).toHaveProperty("DataLoader");
});

test("a state dict goes to a safetensors file and back", async () => {
  const path = join(folder, "model.safetensors");
  const [one, other] = [new tp.nn.Linear(3, 2), new tp.nn.Linear(3, 2)];
  await tp.saveSafetensors(path, one.stateDict(), { metadata: { made: "here" } });
  other.loadStateDict(tp.loadSafetensors(path));
  const x = tp.rand([4, 3]);
  expect(await other.forward(x).data()).toEqual(await one.forward(x).data());
  expect(Object.keys(tp.loadSafetensors(path, { only: (name) => name === "bias" }))).toEqual(["bias"]);
  expect(() => tp.loadSafetensors(join(folder, "nowhere.safetensors"))).toThrow(tp.FileError);
});

test("a checkpoint brings a model and its optimizer back", async () => {
  const path = join(folder, "checkpoint.safetensors");
  const make = () => {
    tp.manualSeed(3);
    const model = new tp.nn.Linear(3, 2);
    return { model, optimizer: new tp.optim.AdamW(model.parameters(), { lr: 0.1 }) };
  };
  const step = ({ model, optimizer }: ReturnType<typeof make>, x: tp.Tensor): void => {
    optimizer.zeroGrad();
    model.forward(x).square().sum().backward();
    optimizer.step();
  };
  const one = make();
  const x = tp.rand([4, 3]);
  step(one, x);
  await tp.saveCheckpoint(path, { ...one, progress: { done: 1 } });
  const saved = tp.openCheckpoint(path);
  const two = make();
  saved.restore(two.model, two.optimizer);
  saved.close();
  expect(saved.progress).toEqual({ done: 1 });
  step(one, x);
  step(two, x);
  expect(await two.model.weight.data()).toEqual(await one.model.weight.data());
  expect(() => tp.openCheckpoint(join(folder, "model.safetensors"))).toThrow(/not a checkpoint/);
});

test("a compiled function explains its programs", async () => {
  const f = tp.compile((a: tp.Tensor) => a.exp().mul(2).add(1));
  expect(f.explain()).toMatch(/no program yet/);
  await f(tp.rand([8])).data();
  expect(f.explain()).toMatch(/program .* for js any\n {2}1 kernels \(1 distinct\)[\s\S]*\[generated\] kernel/);
});
