/** Methods of Tensor that are ops: a mapped type over src/ops, so an op added to one file is a typed method. */
import type { Node } from "../ir/node.js";
import type * as ops from "../ops/index.js";
import type { Tensor } from "./tensor.js";

/** A type of the ops' world in the users' world: tensors for nodes. */
export type Lift<T> = T extends Node
  ? Tensor
  : T extends readonly Node[]
    ? readonly Tensor[]
    : T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { readonly [K in keyof T]: Lift<T[K]> }
        : T;
/** What a call gives back. */
export type Lower<T> = T extends Node
  ? Tensor
  : T extends readonly Node[]
    ? { -readonly [I in keyof T]: Tensor }
    : T extends object
      ? { readonly [K in keyof T]: Lower<T[K]> }
      : T;
type LiftAll<A extends readonly unknown[]> = { [I in keyof A]: Lift<A[I]> };

/** Whether a result is a node, or a list or an object of nodes. */
export type IsRecorded<R> = [R] extends [never]
  ? false
  : R extends Node | readonly Node[]
    ? true
    : R extends object
      ? R[keyof R] extends Node
        ? true
        : false
      : false;
type Takes<F> = F extends (x: infer X, ...rest: never[]) => infer R ? (Node extends X ? IsRecorded<R> : false) : false;
type Method<F> = F extends (x: never, ...rest: infer A) => infer R ? (...args: LiftAll<A>) => Lower<R> : never;

/** Every op whose first argument is a tensor. */
export type OpName = { [K in keyof typeof ops]: Takes<(typeof ops)[K]> extends true ? K : never }[keyof typeof ops];
/** All ops as methods. */
export type OpMethods = { readonly [K in OpName]: Method<(typeof ops)[K]> };
/** An op as a function of tensors. */
export type OpFunction<F> = F extends (...args: infer A) => infer R ? (...args: LiftAll<A>) => Lower<R> : never;

/** Ops that have a form that changes its tensor in place, with a trailing underscore. */
export const inPlaceNames = [
  "abs",
  "acos",
  "acosh",
  "add",
  "addcdiv",
  "addcmul",
  "asin",
  "asinh",
  "atan",
  "atan2",
  "atanh",
  "bitwiseAnd",
  "bitwiseLeftShift",
  "bitwiseNot",
  "bitwiseOr",
  "bitwiseRightShift",
  "bitwiseXor",
  "ceil",
  "clamp",
  "copysign",
  "cos",
  "cosh",
  "digamma",
  "div",
  "elu",
  "erf",
  "erfc",
  "erfinv",
  "exp",
  "exp2",
  "expm1",
  "floor",
  "floorDivide",
  "fmod",
  "frac",
  "hardsigmoid",
  "hardswish",
  "hardtanh",
  "heaviside",
  "hypot",
  "indexAdd",
  "indexCopy",
  "indexFill",
  "indexPut",
  "leakyRelu",
  "lerp",
  "lgamma",
  "log",
  "log10",
  "log1p",
  "log2",
  "logicalAnd",
  "logicalNot",
  "logicalOr",
  "logicalXor",
  "logit",
  "maskedFill",
  "maskedScatter",
  "mul",
  "nanToNum",
  "neg",
  "pow",
  "reciprocal",
  "relu",
  "remainder",
  "round",
  "rsqrt",
  "scatter",
  "scatterAdd",
  "scatterReduce",
  "sigmoid",
  "sign",
  "silu",
  "sin",
  "sinc",
  "sinh",
  "sqrt",
  "square",
  "sub",
  "tan",
  "tanh",
  "threshold",
  "tril",
  "triu",
  "trunc",
  "xlogy",
] as const;
/** In-place forms of those ops that exist. */
export type InPlaceMethods = {
  readonly [K in (typeof inPlaceNames)[number] & OpName as `${K}_`]: (...args: Parameters<OpMethods[K]>) => Tensor;
};

/** Ops whose result shares memory with their input, where PyTorch's does. */
export const viewNames: ReadonlySet<string> = new Set([
  "reshape",
  "permute",
  "transpose",
  "swapaxes",
  "swapdims",
  "movedim",
  "moveaxis",
  "squeeze",
  "unsqueeze",
  "flatten",
  "unflatten",
  "ravel",
  "expand",
  "expandAs",
  "broadcastTo",
  "narrow",
  "slice",
  "select",
  "unbind",
  "split",
  "chunk",
  "tensorSplit",
  "t",
  "viewAs",
  "diagonal",
]);
