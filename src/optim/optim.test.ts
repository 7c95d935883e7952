import { beforeAll, describe, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { ArgumentError } from "../core/errors.js";
import { Linear, parameter } from "../nn/index.js";
import { compile, evaluate, F, manualSeed, ones, randn, Tensor, tensor } from "../tensor/index.js";
import {
  Adam,
  AdamW,
  CosineAnnealingLR,
  clipGradNorm_,
  clipGradValue_,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  MultiStepLR,
  type Optimizer,
  type Scheduler,
  SequentialLR,
  SGD,
  StepLR,
} from "./index.js";

beforeAll(() => useDevice());

/** PyTorch 2.13: two parameters in two groups, five steps in f64. */
const parameters: Readonly<Record<string, readonly number[]>> = {
  sgd: [0.584425, -0.636865, 0.537145, 0.67486],
  momentum: [0.461277076463, 1.60291363988, -1.723381779484, -0.779932301139],
  nesterov: [0.10032252175, 0.99153436115, -0.96770474345, -0.1780240586],
  maximize: [1.043702802178, -2.006567824436, 3.124930988894, -6.214456113411],
  adam: [0.755211515306, -1.749171627413, 2.751025948056, 1.456721259068],
  amsgrad: [0.765058944138, -1.74883460325, 2.751402386084, 1.380953843216],
  adamw: [0.733050607191, -1.702221850563, 2.67939636382, 1.375786569036],
  clip: [0.751296858141, -1.744144268292, 2.742770175556, 1.460815880958],
  cosine: [0.657715313753, -1.0948925379, 1.042664030772, 0.946638687759],
};
/** PyTorch 2.13: learning rates before each of eight steps. */
const rates: Readonly<Record<string, readonly number[]>> = {
  cosine: [0.1, 0.091405764747, 0.068905764747, 0.041094235253, 0.018594235253, 0.01, 0.018594235253, 0.041094235253],
  linear: [0.05, 0.0625, 0.075, 0.0875, 0.1, 0.1, 0.1, 0.1],
  step: [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001],
  multi: [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025],
  exp: [0.1, 0.09, 0.081, 0.0729, 0.06561, 0.059049, 0.0531441, 0.04782969],
  lambda: [0.1, 0.05, 0.033333333333, 0.025, 0.02, 0.016666666667, 0.014285714286, 0.0125],
  seq: [0.01, 0.04, 0.07, 0.1, 0.090450849719, 0.065450849719, 0.034549150281, 0.009549150281],
};

type Groups = [{ params: Tensor[] }, { params: Tensor[]; lr: number }];
type Make = (p: Groups) => { optimizer: Pick<Optimizer, "step" | "zeroGrad">; schedule?: Scheduler; clip?: number };
const cases: Readonly<Record<string, Make>> = {
  sgd: (p) => ({ optimizer: new SGD(p, { lr: 0.05 }) }),
  momentum: (p) => ({ optimizer: new SGD(p, { lr: 0.05, momentum: 0.9, dampening: 0.1, weightDecay: 0.01 }) }),
  nesterov: (p) => ({ optimizer: new SGD(p, { lr: 0.05, momentum: 0.9, nesterov: true }) }),
  maximize: (p) => ({ optimizer: new SGD(p, { lr: 0.001, maximize: true }) }),
  adam: (p) => ({ optimizer: new Adam(p, { lr: 0.05, weightDecay: 0.1 }) }),
  amsgrad: (p) => ({ optimizer: new Adam(p, { lr: 0.05, amsgrad: true, betas: [0.5, 0.6] }) }),
  adamw: (p) => ({ optimizer: new AdamW(p, { lr: 0.05, weightDecay: 0.1 }) }),
  clip: (p) => ({ optimizer: new AdamW(p, { lr: 0.05 }), clip: 0.5 }),
  cosine: (p) => {
    const optimizer = new SGD(p, { lr: 0.05 });
    return { optimizer, schedule: new CosineAnnealingLR(optimizer, 4, { etaMin: 0.01 }) };
  },
};

describe.each(["lazily", "compiled"])("%s, optimizers do what PyTorch's do", (how) => {
  test.each(Object.keys(parameters))("%s", async (name) => {
    const w = parameter(tensor([1, -2, 3], { dtype: "f64" }));
    const b = parameter(tensor([0.5], { dtype: "f64" }));
    const scale = tensor([1, 2, 3], { dtype: "f64" });
    const { optimizer, schedule, clip } = cases[name]!([{ params: [w] }, { params: [b], lr: 0.2 }]);
    const once = (): void => {
      optimizer.zeroGrad();
      const gap = b.sub(w.sum());
      w.mul(w).mul(scale).sum().add(gap.mul(gap).sum()).backward();
      if (clip) clipGradNorm_([w, b], clip);
      optimizer.step();
      schedule?.step();
    };
    const step = how === "compiled" ? compile(once) : once;
    for (let i = 0; i < 5; i++) step();
    const got = [...(await w.data()), ...(await b.data())].map(Number);
    got.forEach((v, i) => void expect(v).toBeCloseTo(parameters[name]![i]!, 10));
    if (how === "compiled") expect((step as unknown as { traces: number }).traces).toBe(1);
  });
});

test("schedules give PyTorch's rates", () => {
  const makes: Readonly<Record<string, (o: SGD) => Scheduler>> = {
    cosine: (o) => new CosineAnnealingLR(o, 5, { etaMin: 0.01 }),
    linear: (o) => new LinearLR(o, { startFactor: 0.5, totalIters: 4 }),
    step: (o) => new StepLR(o, 3),
    multi: (o) => new MultiStepLR(o, [2, 5], 0.5),
    exp: (o) => new ExponentialLR(o, 0.9),
    lambda: (o) => new LambdaLR(o, (t) => 1 / (t + 1)),
    seq: (o) => new SequentialLR(o, [new LinearLR(o, { startFactor: 0.1, totalIters: 3 }), new CosineAnnealingLR(o, 5)], [3]),
  };
  for (const [name, make] of Object.entries(makes)) {
    const optimizer = new SGD([parameter(tensor([0.5]))], { lr: 0.1 });
    const schedule = make(optimizer);
    for (const want of rates[name]!) {
      expect(optimizer.paramGroups[0]!.lr, name).toBeCloseTo(want, 10);
      schedule.step();
    }
  }
});

test("training that is resumed from state dicts goes on bit for bit", async () => {
  const make = (): { model: Linear; optimizer: AdamW; schedule: CosineAnnealingLR; step: () => Promise<number> } => {
    manualSeed(1);
    const model = new Linear(3, 2);
    const optimizer = new AdamW(model.parameters(), { lr: 0.1 });
    const schedule = new CosineAnnealingLR(optimizer, 20);
    const x = tensor(
      [
        [1, 2, 3],
        [4, 5, 7],
      ],
      { dtype: "f32" },
    );
    const step = (): Promise<number> => {
      optimizer.zeroGrad();
      const loss = F.mseLoss(model.forward(x), x.at(":", [0, 2]));
      loss.backward();
      optimizer.step();
      schedule.step();
      return loss.item();
    };
    return { model, optimizer, schedule, step };
  };
  const a = make();
  for (let i = 0; i < 5; i++) await a.step();
  const saved = { model: a.model.stateDict(), optimizer: a.optimizer.stateDict(), schedule: a.schedule.stateDict() };
  const b = make();
  b.model.loadStateDict(saved.model);
  b.optimizer.loadStateDict(saved.optimizer);
  b.schedule.loadStateDict(saved.schedule);
  for (let i = 0; i < 5; i++) expect(await b.step()).toBe(await a.step());
  expect(await b.model.weight.bytes()).toEqual(await a.model.weight.bytes());
});

test("a compiled step goes on from state that was loaded, or forgotten, after it was recorded", async () => {
  const make = () => {
    manualSeed(2);
    const model = new Linear(3, 2);
    const optimizer = new AdamW(model.parameters(), { lr: 0.1 });
    const step = (): Tensor => {
      const loss = model
        .forward(ones([2, 3]))
        .square()
        .sum();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.detach();
    };
    return { model, optimizer, step };
  };
  const [plain, other] = [make(), make()];
  const compiled = compile(other.step);
  const both = async (): Promise<void> => expect(await compiled().item()).toBeCloseTo(await plain.step().item(), 5);
  await both();
  const saved = [plain, other].map(({ model, optimizer }) => ({
    model: Object.fromEntries(Object.entries(model.stateDict()).map(([k, t]) => [k, t.clone()])),
    optimizer: optimizer.stateDict(),
  }));
  for (const { model, optimizer } of saved) {
    const moments = Object.values(optimizer.state).flatMap((s) => Object.values(s));
    await evaluate(...[...Object.values(model), ...moments].filter((t): t is Tensor => t instanceof Tensor));
  }
  for (let i = 0; i < 4; i++) await both();
  for (const [i, { model, optimizer }] of [plain, other].entries()) {
    model.loadStateDict(saved[i]!.model);
    optimizer.loadStateDict(saved[i]!.optimizer);
  }
  for (let i = 0; i < 3; i++) await both();
  expect(compiled.traces).toBe(1);
  for (const x of [plain, other]) x.optimizer.state.clear();
  for (let i = 0; i < 3; i++) await both();
  expect(other.optimizer.state.get(other.model.weight)!.step).toBe(3);
  expect(compiled.traces).toBe(2);
});

test("clipping by value; no gradients; half floats", async () => {
  const w = parameter(tensor([1, -2, 0.1], { dtype: "bf16" }));
  expect(() => clipGradNorm_([w], 1)).toThrow(ArgumentError);
  w.mul(w).sum().backward();
  clipGradValue_([w], 0.5);
  expect(await w.grad!.toArray()).toEqual([0.5, -0.5, expect.closeTo(0.2, 2)]);
  const norm = clipGradNorm_([w], 0.1);
  expect(await norm.item()).toBeCloseTo(Math.hypot(0.5, 0.5, 0.2), 2);
  new AdamW([w]).step();
  expect((await w.data())[0]).toBeCloseTo(1, 2);
});

test("wrong settings and parameters are refused", () => {
  const w = parameter(tensor([1.5]));
  expect(() => new SGD([])).toThrow(ArgumentError);
  expect(() => new SGD([randn([2])])).toThrow(ArgumentError);
  expect(() => new SGD([w, w])).toThrow(ArgumentError);
  expect(() => new SGD([w], { nesterov: true })).toThrow(ArgumentError);
  expect(() => new Adam([w], { betas: [1, 0.9] })).toThrow(ArgumentError);
  const other = new Adam([parameter(tensor([1.5])), parameter(tensor([2.5]))]);
  expect(() => other.loadStateDict(new Adam([w]).stateDict())).toThrow(ArgumentError);
});
