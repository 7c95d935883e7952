/** Models, one folder each. */
export { Bert, type BertConfig, type BertInputs, bertConfig } from "./bert/index.js";
export { GPT, type GPTConfig, type LayerCache, sample } from "./gpt/index.js";
export { type GPTMethods, gptMethods } from "./gpt/methods.js";
export { GPT2, type GPT2Config, gpt2Config } from "./gpt2/index.js";
export { Llama, type LlamaConfig, llamaConfig, type RopeScaling, ropeFrequencies } from "./llama/index.js";
export { CausalModel, type KVCache, PretrainedModel } from "./pretrained.js";
export {
  BasicBlock,
  Bottleneck,
  ResNet,
  ResNetBlock,
  type ResNetConfig,
  ResNetInference,
  type ResNetInferenceOptions,
  resNet18,
  resNet34,
  resNet50,
} from "./resnet/index.js";
