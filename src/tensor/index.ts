/** Tensors as users see them. */
import "./install.js";

export { type Float32Precision, float32MatmulPrecision, setFloat32MatmulPrecision } from "../ops/precision.js";
export { defaultDType, setDefaultDType } from "../ops/promotion.js";
export { type AutocastDType, autocast, autocastDType } from "./autocast.js";
export { type BackwardOptions, grad, gradients, valueAndGrad } from "./autograd.js";
export { type Compiled, type CompileFunctionOptions, compile, type Traced, traceFunction } from "./compile/index.js";
export type { Dynamic, Range } from "./compile/sizes.js";
export {
  arange,
  type CreateOptions,
  empty,
  emptyLike,
  eye,
  fromBytes,
  fromNode,
  full,
  fullLike,
  linspace,
  type NestedArray,
  ones,
  onesLike,
  scalarTensor,
  tensor,
  zeros,
  zerosLike,
} from "./create.js";
export {
  backendNames,
  closeDevices,
  currentDevice,
  currentDeviceName,
  keepsOrder,
  ready,
  registerBackend,
  setDefaultBackend,
  setHostFunctions,
  setPreference,
  setThreads,
  synchronize,
  withDevice,
} from "./device.js";
export { engineCounters } from "./engine.js";
export { cat, einsum, F, type Functions, matmul, maximum, minimum, stack, where } from "./functions.js";
export { type MappedFile, mapFile, readOnto } from "./mapped.js";
export { type DeviceReport, type HeldValue, type MemoryReport, memory } from "./memory.js";
export { enableGrad, isGradEnabled, noGrad } from "./mode.js";
export {
  bernoulli,
  defaultGenerator,
  dropout,
  dropoutMask,
  Generator,
  type GeneratorState,
  manualSeed,
  type RandomOptions,
  rand,
  randint,
  randLike,
  randn,
  randnLike,
  randperm,
} from "./random.js";
export { hostEffect, hostNumber } from "./record.js";
export { evaluate, type Index, Tensor } from "./tensor.js";
