export { type ResNetConfig, resNet18, resNet34, resNet50 } from "./config.js";
export { ResNetInference, type ResNetInferenceOptions } from "./inference.js";
export { BasicBlock, Bottleneck, ResNet, ResNetBlock } from "./model.js";
