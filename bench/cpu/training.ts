/** Rows of training steps: forward, backward and AdamW of GPT-2 and BERT on 4 sequences of 128 tokens. */
import { autocast, compile, float32MatmulPrecision, llm, models, optim, setFloat32MatmulPrecision, type Tensor } from "#treepie";
import type { Case } from "../row.js";
import { bert, type Checkpoint, checkpointFolder, countWeights, gpt2 } from "./checkpoint.js";
import { contest, type Runner, type Site, type Variant } from "./contest.js";
import { integers, tensorOf } from "./inputs.js";
import { stepper } from "./runner.js";

const [batch, time] = [4, 128];
const lr = 1e-4;
type DType = "f32" | "bf16";

/** A compiled step on the weights of a folder; `tf32`: f32 products may round their operands. */
export async function trainer(folder: string, dtype: DType, tf32 = false): Promise<(tokens: Tensor, labels: Tensor) => Tensor> {
  const { model } = await llm.loadPretrained(folder, { dtype: "f32" });
  if (!(model instanceof models.GPT2 || model instanceof models.Bert)) throw new Error(`${folder} is neither a GPT-2 nor a BERT`);
  model.train();
  const params = [...model.parameters()];
  for (const p of params) p.requiresGrad_();
  const optimizer = new optim.AdamW(params, { lr, weightDecay: 0.01 });
  const loss = (tokens: Tensor, labels: Tensor): Tensor => model.loss(tokens, labels);
  return compile((tokens: Tensor, labels: Tensor): Tensor => {
    const before = float32MatmulPrecision();
    setFloat32MatmulPrecision(tf32 ? "high" : "highest");
    const l = dtype === "bf16" ? autocast("bf16", () => loss(tokens, labels)) : loss(tokens, labels);
    l.backward();
    optimizer.step();
    optimizer.zeroGrad();
    setFloat32MatmulPrecision(before);
    return l.detach();
  });
}

/** A training step of a model; on another site than the processor, in milliseconds. */
export function trainCase(
  c: Checkpoint,
  kind: string,
  dtype: DType,
  causal: boolean,
  vocabulary: number,
  layers: number,
  site?: Site,
  variants: readonly Variant[] = ["eager", "compile"],
): Case {
  const inner = countWeights(c, (k) => !k.includes("embeddings") && !k.includes(".wte.") && !k.includes(".wpe."));
  const tokens = batch * time;
  // Forward, and twice that for the two gradients.
  const operations = 3 * (2 * tokens * (inner + vocabulary * 768) + 4 * tokens * time * 768 * layers * (causal ? 0.5 : 1));
  return contest({
    name: `${c.name}-train-${dtype}`,
    ...(site && { site, milliseconds: true }),
    metric: `batch ${batch} x ${time}, AdamW, ${dtype === "f32" ? "f32" : "autocast to bf16, f32 master weights"}`,
    unit: site ? "ms" : "tokens/s",
    work: tokens,
    limit: (m) => (site ? (1000 * operations) / m[dtype] : tokens / (operations / m[dtype])),
    limitNote: "products at the peak rate",
    tolerance: dtype === "f32" ? 1e-4 : 5e-3,
    job: {
      kind,
      get spec() {
        return { folder: checkpointFolder(c), dtype, lr };
      },
      // A causal model predicts its own tokens; a masked one a share of them.
      inputs: () => [
        integers(40, [batch, time], vocabulary),
        causal ? integers(40, [batch, time], vocabulary) : integers(41, [batch, time], vocabulary, 0.85),
      ],
    },
    variants,
    async ours(inputs): Promise<Runner> {
      const [x, y] = inputs.map(tensorOf) as [Tensor, Tensor];
      const step = await trainer(checkpointFolder(c), dtype, site !== undefined);
      return stepper(() => step(x, y), 4);
    },
  });
}

export const training: readonly Case[] = (["f32", "bf16"] as const).flatMap((d) => [
  trainCase(gpt2, "gpt2-train", d, true, 50257, 6),
  trainCase(bert, "bert-train", d, false, 30522, 6),
]);
