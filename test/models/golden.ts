/** Small random models as transformers saved them (tools/goldens/models.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Bert, bertConfig, GPT2, gpt2Config, Llama, llamaConfig, type PretrainedModel } from "../../src/models/index.js";
import { openSafetensors } from "../../src/runtime/index.js";
import { fromBytes, type Tensor } from "../../src/tensor/index.js";

/** A checkpoint with inputs, results and gradients. */
export interface Golden {
  readonly model: PretrainedModel;
  get(name: string): Tensor;
  readonly gradients: ReadonlyMap<string, Tensor>;
}
const makers: Readonly<Record<string, (json: Record<string, unknown>) => PretrainedModel>> = {
  gpt2: (j) => new GPT2(gpt2Config(j)),
  bert: (j) => new Bert(bertConfig(j)),
  llama2: (j) => new Llama(llamaConfig(j)),
  llama3: (j) => new Llama(llamaConfig(j)),
};
/** The models that there are goldens of. */
export const models: readonly string[] = Object.keys(makers);
/** Reads one of them. */
export function loadGolden(name: string): Golden {
  const file = openSafetensors(new Uint8Array(readFileSync(join(import.meta.dirname, `../golden/models/${name}.safetensors`))));
  const get = (key: string): Tensor => {
    const t = file.read(key);
    return fromBytes(t.bytes, t.shape, { dtype: t.dtype });
  };
  const under = (prefix: string): [string, Tensor][] =>
    [...file.tensors.keys()].filter((k) => k.startsWith(prefix)).map((k) => [k.slice(prefix.length), get(k)]);
  const model = makers[name]!(JSON.parse(file.metadata["config"]!) as Record<string, unknown>);
  model.loadStateDict(Object.fromEntries(under("weights.")));
  return { model, get, gradients: new Map(under("grads.")) };
}
