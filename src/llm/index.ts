/** Language models from local folders: loading, generation, chat. */

export {
  type GenerateOptions,
  type GenerationReport,
  LanguageModel,
  type LanguageModelOptions,
  loadModel,
} from "./language-model.js";
export { type LoadedWeights, type LoadOptions, loadPretrained, loadWeights, type ModelDType, type Pretrained } from "./load.js";
export { type ModelMethods, modelMethods } from "./methods.js";
export { choose, type Rules, rulesOf, type SamplingOptions } from "./sampling.js";
export { TextStream } from "./stream.js";
export { type ChatMessage, loadTokenizer, type Tokenizer } from "./tokenizer.js";
