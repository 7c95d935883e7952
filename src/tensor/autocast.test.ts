import { beforeAll, describe, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import * as ops from "../ops/index.js";
import { type Precision, precisionOf } from "../ops/precision.js";
import { autocast, autocastDType, compile, F, manualSeed, noGrad, randn, type Tensor, tensor } from "./index.js";

beforeAll(() => useDevice());

const low =
  "addbmm addmm addmv addr baddbmm bilinear bmm conv1d conv2d conv3d convTranspose1d convTranspose2d convTranspose3d einsum inner linear matmul mm mv outer scaledDotProductAttention tensordot";
const wide =
  "batchNorm batchNormTraining binaryCrossEntropy binaryCrossEntropyWithLogits cosineEmbeddingLoss cosineSimilarity crossEntropy cumprod cumsum gaussianNllLoss groupNorm hingeEmbeddingLoss huberLoss instanceNorm klDiv l1Loss layerNorm localResponseNorm logSoftmax logcumsumexp logsumexp marginRankingLoss mean mseLoss multiMarginLoss multilabelSoftMarginLoss nanmean nansum nllLoss norm normalize pairwiseDistance poissonNllLoss prod rmsNorm smoothL1Loss softMarginLoss softmax softmin std stdMean sum tripletMarginLoss varMean variance";
const withPolicy = (p: Precision): string =>
  Object.entries(ops)
    .filter(([, f]) => typeof f === "function" && precisionOf(f as () => unknown) === p)
    .map(([name]) => name)
    .sort()
    .join(" ");

describe("autocast", () => {
  test("products are short, reductions and norms are f32, everything else takes what it is given", () => {
    expect(withPolicy("low")).toBe(low);
    expect(withPolicy("wide")).toBe(wide);
  });

  test("dtypes follow torch.autocast", () => {
    const [x, w] = [randn([3, 4]), randn([5, 4])];
    autocast("bf16", () => {
      const y = F.linear(x, w);
      expect(y.dtype).toBe("bf16");
      expect(y.relu().dtype).toBe("bf16");
      expect(y.add(randn([5])).dtype).toBe("f32");
      expect(y.softmax(-1).dtype).toBe("f32");
      expect(F.layerNorm(y, [5]).dtype).toBe("f32");
      expect(y.sum().dtype).toBe("f32");
      expect(x.add(1).dtype).toBe("f32");
      expect(F.linear(x.to("f64"), w.to("f64")).dtype).toBe("f64");
      expect(F.crossEntropy(y, tensor([0, 1, 2], { dtype: "i64" })).dtype).toBe("f32");
    });
    expect(F.linear(x, w).dtype).toBe("f32");
    expect(() => autocast("f32" as "bf16", () => x)).toThrow(/are not short; use bf16 or f16/);
  });

  test("nests, is turned off by enabled: false and ends with an exception", () => {
    const seen: (string | null)[] = [];
    const note = (): void => void seen.push(autocastDType());
    autocast("bf16", () => {
      note();
      autocast("f16", note);
      autocast("bf16", note, { enabled: false });
      note();
      expect(() =>
        autocast("f16", () => {
          throw new Error("stop");
        }),
      ).toThrow("stop");
      note();
    });
    note();
    expect(seen).toEqual(["bf16", "f16", null, "bf16", "bf16", null]);
  });

  test("a product is that of its rounded operands, and gradients come back in the parameter's dtype", async () => {
    manualSeed(3);
    const [x, w] = [randn([6, 8]), randn([4, 8])].map((t) => t.detach()) as [Tensor, Tensor];
    w.requiresGrad = true;
    const y = autocast("bf16", () => F.linear(x, w));
    const c = randn([6, 4]).to("bf16");
    y.backward({ gradient: c });
    expect(w.grad!.dtype).toBe("f32");
    const [xs, ws] = noGrad(() => [x.to("bf16").to("f32"), w.to("bf16").to("f32")]) as [Tensor, Tensor];
    const exact = noGrad(() => xs.matmul(ws.mT).to("bf16"));
    expect([...(await y.data())]).toEqual([...(await exact.data())]);
    const gradient = noGrad(() => c.to("f32").mT.matmul(xs).to("bf16"));
    // Fused, the product's rounding may be left out where it is stored as f32.
    const rounded = noGrad(() => w.grad!.to("bf16"));
    expect([...(await rounded.data())]).toEqual([...(await gradient.data())]);
  });

  test("a compiled function traces again when the mode changes", async () => {
    const f = compile((x: Tensor) => x.matmul(x));
    const x = tensor([
      [1, 2],
      [3, 4.0078125],
    ]);
    const plain = await f(x).data();
    const short = await autocast("bf16", () => f(x)).data();
    expect(f.traces).toBe(2);
    expect(plain[3]).toBeCloseTo(6 + 4.0078125 ** 2, 5);
    expect(short[3]).toBe(22);
    await f(x).data();
    await autocast("bf16", () => f(x)).data();
    expect(f.traces).toBe(2);
  });
});
