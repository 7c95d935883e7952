/**
 * The generator: a key from the seed, and an offset that every random call advances. Both are given to programs as numbers with
 * each call, so a compiled step draws what the same step draws uncompiled, and drawing again replays the same numbers.
 */
import { type DType, isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError } from "../core/errors.js";
import type { Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { add, cast, mul } from "../ops/elementwise.js";
import { defaultDType } from "../ops/promotion.js";
import * as draw from "../ops/random.js";
import { argsort } from "../ops/sort.js";
import { deviceGiven } from "./device.js";
import { markFill } from "./fill.js";
import { dtypeGiven, shapeGiven } from "./given.js";
import { hostEffect, hostValues, literalNode, newTensor, record } from "./record.js";
import type { Tensor } from "./tensor.js";

/** State of a generator: plain numbers, to be saved and restored. */
export interface GeneratorState {
  readonly seed: bigint;
  readonly offset: bigint;
}

/** A source of random numbers (torch.Generator). */
export class Generator {
  private seed = 0n;
  private offset = 0n;

  constructor(seed: number | bigint = 0) {
    this.manualSeed(seed);
  }
  /** Starts again from a seed. */
  manualSeed(seed: number | bigint): this {
    if (typeof seed === "number" && !Number.isSafeInteger(seed)) throw new ArgumentError(`manualSeed: ${seed} is not a whole number`);
    const value = BigInt.asUintN(64, BigInt(seed));
    hostEffect(() => {
      this.seed = value;
      this.offset = 0n;
    });
    return this;
  }
  initialSeed(): bigint {
    return this.seed;
  }
  getState(): GeneratorState {
    return { seed: this.seed, offset: this.offset };
  }
  setState(state: GeneratorState): void {
    this.seed = BigInt(state.seed);
    this.offset = BigInt(state.offset);
  }
  /** The state for one random call, as a node; each call has its own. */
  next(): Node {
    return hostValues([4], "u32", () => {
      const at = this.offset++;
      return [this.seed & 0xffffffffn, this.seed >> 32n, at & 0xffffffffn, (at >> 32n) & 0xffffffffn];
    });
  }
}
/** The generator that everything draws from unless told otherwise. */
export const defaultGenerator: Generator = new Generator(0);
/** Seeds the default generator (torch.manual_seed). */
export const manualSeed = (seed: number | bigint): Generator => defaultGenerator.manualSeed(seed);

/** Options of functions that draw. */
export interface RandomOptions {
  readonly dtype?: DType;
  readonly requiresGrad?: boolean;
  readonly generator?: Generator;
  /** The device to draw on, the default one where none is named. Each gives the same numbers (normal ones up to rounding). */
  readonly device?: string;
}
function drawn(n: Node, options: RandomOptions): Tensor {
  const t = newTensor(n, options.device ? deviceGiven(options.device) : undefined);
  return options.requiresGrad ? t.requiresGrad_() : t;
}
const source = (o: RandomOptions): Node => (o.generator ?? defaultGenerator).next();
function floatOf(name: string, o: RandomOptions): DType {
  const dtype = dtypeGiven(o.dtype ?? defaultDType());
  if (!isFloat(dtype)) throw new DTypeError(`${name}: ${dtype} is not a float dtype`);
  return dtype;
}

/** Uniform in [0, 1) (torch.rand). */
export const rand = (shape: Shape, options: RandomOptions = {}): Tensor =>
  drawn(uniformNode(shapeGiven("rand", shape), floatOf("rand", options), 0, 1, options.generator), options);
/** Normally distributed, mean 0 and deviation 1 (torch.randn). */
export const randn = (shape: Shape, options: RandomOptions = {}): Tensor =>
  drawn(normalNode(shapeGiven("randn", shape), floatOf("randn", options), 0, 1, options.generator), options);
/** Whole numbers in [low, high) (torch.randint). */
export const randint = (low: number, high: number, shape: Shape, options: RandomOptions = {}): Tensor =>
  drawn(draw.randint(source(options), low, high, shapeGiven("randint", shape), 0, { dtype: options.dtype ?? "i64" }), options);
/** 0, ..., n - 1 in random order (torch.randperm). */
export function randperm(n: number, options: RandomOptions = {}): Tensor {
  const order = argsort(draw.uniform(source(options), [n], 0, { dtype: "f64" }), 0);
  return drawn(cast(order, options.dtype ?? "i64"), options);
}
/** 1 with the probability that each element says, else 0, on the device of `p` (torch.bernoulli). */
export const bernoulli = (p: Tensor, options: Omit<RandomOptions, "device"> = {}): Tensor =>
  drawn(draw.bernoulli(p.read(false), source(options), 0), { ...options, device: p.cell.device });
/** Uniform draws of the shape, dtype and device of x (torch.rand_like). */
export const randLike = (x: Tensor, options: RandomOptions = {}): Tensor =>
  rand(x.shape, { dtype: x.dtype, device: x.cell.device, ...options });
/** Normal draws of the shape, dtype and device of x (torch.randn_like). */
export const randnLike = (x: Tensor, options: RandomOptions = {}): Tensor =>
  randn(x.shape, { dtype: x.dtype, device: x.cell.device, ...options });

/** Uniform in [low, high), as a node. */
export function uniformNode(shape: Shape, dtype: DType, low: number, high: number, g: Generator = defaultGenerator): Node {
  const state = g.next();
  const u = draw.uniform(state, shape, 0, { dtype });
  const n = low === 0 && high === 1 ? u : add(mul(u, literalNode(high - low, dtype)), literalNode(low, dtype));
  markFill(n, "uniform", state, high - low, low);
  return n;
}
/** Normal with a mean and a deviation, as a node. */
export function normalNode(shape: Shape, dtype: DType, mean: number, std: number, g: Generator = defaultGenerator): Node {
  const state = g.next();
  const z = draw.normal(state, shape, 0, { dtype });
  const n = mean === 0 && std === 1 ? z : add(mul(z, literalNode(std, dtype)), literalNode(mean, dtype));
  markFill(n, "normal", state, std, mean);
  return n;
}
/** Zeroes elements, or whole channels, with a probability that is asked for with each call, and scales the others up. */
export function dropout(x: Tensor, p: number | (() => number), kind: "element" | "feature" = "element"): Tensor {
  const f = kind === "feature" ? draw.featureDropout : draw.dropout;
  return record("dropout", ((n: Node) => f(n, chance(p), defaultGenerator.next(), 0)) as (...args: never[]) => unknown, [x]) as Tensor;
}
/** What dropout multiplies by: 0, or 1 / (1 - p). */
export const dropoutMask = (shape: Shape, p: number | (() => number), dtype: DType = "f32"): Tensor =>
  newTensor(draw.dropoutMask(shape, chance(p), defaultGenerator.next(), 0, dtype));
const chance = (p: number | (() => number)): Node => (typeof p === "number" ? literalNode(p, "f32") : hostValues([], "f32", () => [p()]));
