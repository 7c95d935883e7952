import { beforeAll, describe, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { ArgumentError, ShapeError } from "../core/errors.js";
import { manualSeed, ones, randn, type Tensor, tensor, zeros } from "../tensor/index.js";
import * as nn from "./index.js";

beforeAll(() => useDevice());
const values = async (t: Tensor): Promise<number[]> => Array.from((await t.data()) as Float32Array, Number);

class Block extends nn.Module {
  attn = new nn.MultiheadAttention(8, 2);
  ln1 = new nn.LayerNorm(8);
  feedForward = new nn.Sequential(new nn.Linear(8, 16), new nn.GELU(), new nn.Linear(16, 8));
  scale = nn.parameter(ones([1]));
  norms = new nn.ModuleDict({ a: new nn.BatchNorm1d(8) });
  experts = new nn.ModuleList([new nn.Linear(8, 8, { bias: false })]);
  mask = nn.buffer(ones([2, 2]), { persistent: false });
  cache = nn.buffer(zeros([2]));
  forward(x: Tensor): Tensor {
    return this.feedForward.forward(this.ln1.forward(x)).mul(this.scale);
  }
}

describe("state", () => {
  test("keys are PyTorch's", () => {
    const m = new Block();
    expect(Object.keys(m.stateDict())).toEqual([
      "scale",
      "cache",
      "attn.in_proj_weight",
      "attn.in_proj_bias",
      "attn.out_proj.weight",
      "attn.out_proj.bias",
      "ln1.weight",
      "ln1.bias",
      "feed_forward.0.weight",
      "feed_forward.0.bias",
      "feed_forward.2.weight",
      "feed_forward.2.bias",
      "norms.a.weight",
      "norms.a.bias",
      "norms.a.running_mean",
      "norms.a.running_var",
      "norms.a.num_batches_tracked",
      "experts.0.weight",
    ]);
    expect(m.parameters().length).toBe(14);
    expect(m.namedBuffers().map(([k]) => k)).toEqual([
      "mask",
      "cache",
      "norms.a.running_mean",
      "norms.a.running_var",
      "norms.a.num_batches_tracked",
    ]);
    expect(String(m)).toContain("(feed_forward): Sequential(");
  });
  test("loading", async () => {
    manualSeed(1);
    const [a, b] = [new Block(), new Block()];
    const x = randn([2, 8]);
    expect(b.loadStateDict(a.stateDict())).toEqual({ missing: [], unexpected: [] });
    const want = await values(a.forward(x));
    (await values(b.forward(x))).forEach((v, i) => void expect(v).toBeCloseTo(want[i]!, 5));
    const { scale, ...rest } = a.stateDict();
    expect(() => b.loadStateDict(rest)).toThrow(/missing: scale/);
    expect(() => b.loadStateDict({ ...a.stateDict(), more: scale! })).toThrow(/unexpected: more/);
    expect(() => b.loadStateDict({ ...a.stateDict(), scale: ones([3]) })).toThrow(ShapeError);
    expect(b.loadStateDict({ ...rest, more: scale! }, { strict: false })).toEqual({ missing: ["scale"], unexpected: ["more"] });
    // Loading copies: what is changed later in one is not changed in the other.
    a.scale.detach().fill_(5);
    expect(await values(b.scale)).toEqual([1]);
  });
  test("a state dict shows the module's own values, also after they changed", async () => {
    const m = new nn.Linear(1, 1, { bias: false });
    const dict = m.stateDict();
    nn.init.constant_(m.weight, 7);
    expect(await values(dict["weight"]!)).toEqual([7]);
    expect(dict["weight"]!.requiresGrad).toBe(false);
  });
  test("shared parameters count once, and have both names", () => {
    const m = new nn.Sequential(new nn.Linear(2, 2, { bias: false }), new nn.Linear(2, 2, { bias: false }));
    (m.at(1) as nn.Linear).weight = (m.at(0) as nn.Linear).weight;
    expect(m.parameters().length).toBe(1);
    expect(Object.keys(m.stateDict())).toEqual(["0.weight", "1.weight"]);
  });
  test("to, train, requiresGrad_, apply", async () => {
    const m = new Block();
    const before = m.scale;
    m.to("f64").eval();
    expect(m.scale).toBe(before);
    expect(m.scale.dtype).toBe("f64");
    expect(m.scale.requiresGrad).toBe(true);
    expect(m.stateDict()["norms.a.num_batches_tracked"]!.dtype).toBe("i64");
    expect(m.modules().every((x) => !x.training)).toBe(true);
    expect(
      m
        .requiresGrad_(false)
        .parameters()
        .some((p) => p.requiresGrad),
    ).toBe(false);
    let n = 0;
    m.apply(() => n++);
    expect(n).toBe(m.modules().length);
    expect((await m.forward(randn([1, 8], { dtype: "f64" })).data()) instanceof Float64Array).toBe(true);
  });
});

describe("layers", () => {
  test("dropout: off in evaluation, scaled in training, new at each call", async () => {
    const d = new nn.Dropout(0.25);
    const x = ones([4000]);
    expect(d.eval().forward(x)).toBe(x);
    const y = await values(d.train().forward(x));
    expect(new Set(y.map((v) => v.toFixed(4)))).toEqual(new Set(["0.0000", "1.3333"]));
    expect(y.filter((v) => v === 0).length / y.length).toBeCloseTo(0.25, 1);
    expect(await values(d.forward(x))).not.toEqual(y);
    const z = await new nn.Dropout2d(0.5)
      .forward(ones([8, 8, 3, 3]))
      .reshape([64, 9])
      .amax(1)
      .sub(1)
      .abs()
      .data();
    expect(new Set(Array.from(z, Number))).toEqual(new Set([1]));
    expect(() => new nn.Dropout(1.5)).toThrow(ArgumentError);
  });
  test("batch norm follows PyTorch's running statistics", async () => {
    const m = new nn.BatchNorm1d(2);
    const x = tensor(
      [
        [1, 2],
        [3, 6],
        [5, 10],
      ],
      { dtype: "f32" },
    );
    await m.forward(x).data();
    expect(await values(m.runningMean!)).toEqual([expect.closeTo(0.3, 5), expect.closeTo(0.6, 5)]);
    expect(await values(m.runningVar!)).toEqual([expect.closeTo(0.9 + 0.4, 5), expect.closeTo(0.9 + 1.6, 5)]);
    expect(await m.numBatchesTracked!.item()).toBe(1);
    m.eval();
    await m.forward(x).data();
    expect(await m.numBatchesTracked!.item()).toBe(1);
    const plain = new nn.BatchNorm1d(1, { momentum: null });
    for (const v of [1, 3]) await plain.forward(tensor([[v - 1], [v + 1]], { dtype: "f32" })).data();
    expect(await values(plain.runningMean!)).toEqual([2]);
  });
  test("embedding with a padding row, convolution, pools, normalisations", async () => {
    const e = new nn.Embedding(5, 3, { paddingIdx: -1 });
    expect(await values(e.forward(tensor([4])))).toEqual([0, 0, 0]);
    e.forward(tensor([4, 1]))
      .sum()
      .backward();
    expect(await values(e.weight.grad!.sum(1))).toEqual([0, 3, 0, 0, 0]);
    const net = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: "same" }),
      new nn.GroupNorm(2, 4),
      new nn.LeakyReLU(0.1),
      new nn.AvgPool2d(2),
      new nn.AdaptiveAvgPool2d(1),
      new nn.Flatten(),
    );
    expect(net.forward(randn([2, 1, 6, 6])).shape).toEqual([2, 4]);
    expect(new nn.Conv1d(2, 4, 3, { stride: 2, groups: 2 }).forward(randn([1, 2, 9])).shape).toEqual([1, 4, 4]);
    const rms = await values(new nn.RMSNorm(2).forward(tensor([[3, 4]], { dtype: "f32" })));
    expect(rms[0]).toBeCloseTo(3 / Math.sqrt(12.5), 5);
  });
  test("rotary embedding keeps lengths, and turns products by distance only", async () => {
    const rope = new nn.RotaryEmbedding(8);
    const [q, k] = [randn([1, 1, 1, 8]).expand([1, 1, 6, 8]), randn([1, 1, 1, 8]).expand([1, 1, 6, 8])];
    const [a, b] = [rope.forward(q), rope.forward(k)];
    const s = (await a.matmul(b.transpose(-1, -2)).at(0, 0).toArray()) as number[][];
    for (let i = 0; i < 5; i++) for (let j = 0; j < 5; j++) expect(s[i + 1]![j + 1]).toBeCloseTo(s[i]![j]!, 4);
    expect((await values(a.square().sum(-1)))[3]).toBeCloseTo((await values(q.square().sum(-1)))[3]!, 4);
  });
  test("multi-head attention: causal rows see the past only; other sizes of keys", async () => {
    const m = new nn.MultiheadAttention(8, 2);
    const x = randn([1, 4, 8]);
    const first = await values(m.forward(x, x, x, { isCausal: true }).at(0, 0));
    const y = x.clone();
    y.at(0, [1, null]).fill_(3);
    (await values(m.forward(y, y, y, { isCausal: true }).at(0, 0))).forEach((v, i) => void expect(v).toBeCloseTo(first[i]!, 5));
    const other = new nn.MultiheadAttention(8, 2, { kdim: 5, vdim: 3 });
    expect(other.forward(x, randn([1, 7, 5]), randn([1, 7, 3])).shape).toEqual([1, 4, 8]);
    expect(() => new nn.MultiheadAttention(7, 2)).toThrow(ArgumentError);
  });
});

describe("initialisers", () => {
  const spread = async (t: Tensor): Promise<{ mean: number; std: number; most: number }> => {
    const v = await values(t);
    const mean = v.reduce((a, b) => a + b, 0) / v.length;
    return { mean, std: Math.sqrt(v.reduce((a, b) => a + (b - mean) ** 2, 0) / v.length), most: Math.max(...v.map(Math.abs)) };
  };
  test("defaults and the named ones have PyTorch's deviations", async () => {
    manualSeed(2);
    const t = (): Tensor => zeros([100, 300]);
    const near = (x: { mean: number; std: number }, std: number): void => {
      expect(Math.abs(x.mean)).toBeLessThan(std / 20);
      expect(Math.abs(x.std / std - 1)).toBeLessThan(0.05);
    };
    const linear = await spread(new nn.Linear(300, 100).weight);
    near(linear, 1 / Math.sqrt(300 * 3));
    expect(linear.most).toBeLessThanOrEqual(1 / Math.sqrt(300));
    near(await spread(new nn.Embedding(100, 300).weight), 1);
    near(await spread(nn.init.xavierUniform_(t())), Math.sqrt(2 / 400));
    near(await spread(nn.init.xavierNormal_(t())), Math.sqrt(2 / 400));
    near(await spread(nn.init.kaimingNormal_(t(), { mode: "fanOut", nonlinearity: "relu" })), Math.sqrt(2 / 100));
    near(await spread(nn.init.normal_(t(), 0, 0.02)), 0.02);
    const cut = await spread(nn.init.truncNormal_(t(), 0, 1, -1, 1));
    expect(cut.most).toBeLessThanOrEqual(1);
    near(cut, 0.5396);
    expect(await values(nn.init.eye_(zeros([2, 2])))).toEqual([1, 0, 0, 1]);
    expect(() => nn.init.xavierNormal_(zeros([3]))).toThrow(ShapeError);
  });
});

test("losses", async () => {
  const x = tensor(
    [
      [1, 2, 3],
      [1, 5, 1],
    ],
    { dtype: "f64" },
  );
  const ce = new nn.CrossEntropyLoss({ ignoreIndex: 9 });
  const log = (r: number[], i: number): number => -Math.log(Math.exp(r[i]!) / r.reduce((a, v) => a + Math.exp(v), 0));
  expect(await ce.forward(x, tensor([2, 1])).item()).toBeCloseTo((log([1, 2, 3], 2) + log([1, 5, 1], 1)) / 2, 10);
  expect(await ce.forward(x, tensor([2, 9])).item()).toBeCloseTo(log([1, 2, 3], 2), 10);
  const weighted = new nn.CrossEntropyLoss({ weight: tensor([1, 2, 4], { dtype: "f64" }) });
  expect(await weighted.forward(x, tensor([2, 1])).item()).toBeCloseTo((4 * log([1, 2, 3], 2) + 2 * log([1, 5, 1], 1)) / 6, 10);
  expect(await new nn.MSELoss().forward(x, x.add(3)).item()).toBe(9);
  expect(await new nn.L1Loss({ reduction: "sum" }).forward(x, x.add(3)).item()).toBe(18);
  expect(await new nn.BCEWithLogitsLoss().forward(zeros([2]), ones([2])).item()).toBeCloseTo(Math.LN2, 5);
});
