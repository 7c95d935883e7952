/** Small random ResNets against plain torch code, and their form for inference: the same logits, in few kernels. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { cCodegen } from "../../src/backends/c/codegen.js";
import { exportContents } from "../../src/export.js";
import { templates } from "../../src/kernel/templates/index.js";
import { ResNet, type ResNetConfig, resNet18, resNet34, resNet50 } from "../../src/models/index.js";
import { blank, Conv2d, PreparedConv2d } from "../../src/nn/index.js";
import { openSafetensors } from "../../src/runtime/index.js";
import type { Program } from "../../src/runtime/program.js";
import { evaluate, F, fromBytes, manualSeed, noGrad, randn, type Tensor, zeros } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { hasCompiler } from "../support/kernels-in-c.js";

const device = hasCompiler() ? "c" : "js";
beforeEach(() => useDevice(device));

async function apart(a: Tensor, b: Tensor, least = 1e-3): Promise<number> {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [(await a.data()) as Float32Array, (await b.data()) as Float32Array];
  const largest = y.reduce((m, v) => Math.max(m, Math.abs(v)), least);
  return x.reduce((m, v, i) => Math.max(m, Math.abs(v - y[i]!)), 0) / largest;
}
function load(name: string): { model: ResNet; get(key: string): Tensor; gradients: ReadonlyMap<string, Tensor> } {
  const file = openSafetensors(new Uint8Array(readFileSync(join(import.meta.dirname, `../golden/models/resnet-${name}.safetensors`))));
  const get = (key: string): Tensor => {
    const t = file.read(key);
    return fromBytes(t.bytes, t.shape, { dtype: t.dtype });
  };
  const under = (prefix: string): [string, Tensor][] =>
    [...file.tensors.keys()].filter((k) => k.startsWith(prefix)).map((k) => [k.slice(prefix.length), get(k)]);
  const model = new ResNet(JSON.parse(file.metadata["config"]!) as ResNetConfig);
  model.loadStateDict(Object.fromEntries(under("weights.")));
  return { model, get, gradients: new Map(under("grads.")) };
}

describe.each(["basic", "bottleneck"])("a ResNet of %s blocks", { timeout: 400_000 }, (name) => {
  test("gives torch's logits in evaluation, and in its form for inference", async () => {
    const { model, get } = load(name);
    model.eval();
    const x = get("x");
    const [plain, prepared] = noGrad(() => [model.forward(x), model.inference({ size: 48 }).forward(x)] as const);
    await evaluate(plain, prepared);
    expect(await apart(plain, get("logits"))).toBeLessThan(1e-5);
    expect(await apart(prepared, get("logits"))).toBeLessThan(1e-5);
  });
  test("gives torch's loss and gradients in training", async () => {
    useDevice("js"); // one program of hundreds of kernels: quick without a C compiler
    const { model, get, gradients } = load(name);
    const logits = model.forward(get("x"));
    const loss = F.crossEntropy(logits, get("labels"));
    loss.backward();
    const parameters = model.namedParameters();
    await evaluate(logits, loss, ...parameters.map(([, p]) => p.grad!));
    expect(await apart(logits, get("trained"))).toBeLessThan(1e-4);
    expect(await apart(loss.reshape([1]), get("loss"))).toBeLessThan(1e-4);
    expect(parameters.map(([key]) => key).sort()).toEqual([...gradients.keys()].sort());
    for (const [key, p] of parameters) expect(await apart(p.grad!, gradients.get(key)!), key).toBeLessThan(1e-4);
  });
});

test("state-dict keys are torchvision's", () => {
  const keys = blank(() => Object.keys(new ResNet(resNet50()).stateDict()));
  expect(keys).toHaveLength(320);
  for (const k of ["conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer4.2.bn3.num_batches_tracked", "fc.bias"])
    expect(keys).toContain(k);
  expect(blank(() => Object.keys(new ResNet(resNet34()).stateDict()))).toHaveLength(218);
});

test("every form of a prepared convolution gives the convolution's result", async () => {
  manualSeed(4);
  const x = randn([2, 17, 9, 10]);
  for (const [outputs, k, stride, padding] of [
    [64, 3, 1, 1],
    [40, 3, 1, 0],
    [32, 3, 2, 1],
    [20, 1, 1, 0],
    [64, 1, 2, 0],
  ] as const) {
    const conv = new Conv2d(17, outputs, k, { stride, padding });
    for (const form of k === 3 && stride === 1 ? (["direct", "winograd2", "winograd4"] as const) : (["direct"] as const)) {
      const got = noGrad(() => new PreparedConv2d(conv, null, form).forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]));
      expect(await apart(got, conv.forward(x)), `${outputs} ${k} ${stride} ${form}`).toBeLessThan(3e-6);
    }
  }
  expect(() => new PreparedConv2d(new Conv2d(4, 4, 3, { stride: 2 }), null, "winograd2")).toThrow(/3 x 3 weights with stride 1/);
});

const wide = ["avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"];
async function programOf(config: ResNetConfig): Promise<Program> {
  const model = new ResNet(config).eval().inference();
  const targets = [cCodegen({ arch: "x86-64", features: wide, parallel: 2 }, templates)];
  const x = zeros([1, 3, 224, 224]);
  const contents = await exportContents({ classify: { fn: (image: Tensor) => model.forward(image), inputs: { image: x } } }, { targets });
  return contents.methods[0]!.programs[0]!;
}
test.skipIf(!hasCompiler())("inference is one kernel for each convolution, the pools and the head", { timeout: 300_000 }, async () => {
  const labels = (p: Program): string[] => p.steps.map((s) => (s.kind === "launch" ? s.note!.label : s.kind));
  const eighteen = labels(await programOf(resNet18({ width: 64 })));
  expect(eighteen).toHaveLength(23);
  expect(eighteen.filter((l) => l.startsWith("convolve") || l.startsWith("winograd"))).toHaveLength(20);
  expect(eighteen.filter((l) => l === "amax")).toHaveLength(1); // the pool
  expect(eighteen.slice(-2)).toEqual(["sum", "sum_add"]); // the mean over space, the last layer
  const fifty = labels(await programOf(resNet50({ width: 32, classes: 10 })));
  expect(fifty).toHaveLength(53 + 3);
});
