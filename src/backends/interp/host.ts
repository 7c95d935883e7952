import { fromBytes, toBytes } from "../../core/convert.js";
import { NdArray } from "../../core/ndarray.js";
import { parseAttrs } from "../../ir/attrs.js";
import { type Node, opByName } from "../../ir/node.js";
import { pick } from "../../ir/pick.js";
// The whole index, so that every op is known by name.
import { input } from "../../ops/index.js";
import type { HostFunction, HostFunctions } from "../../runtime/program.js";
import { concreteAttrs, interpret } from "./interpret.js";

/** Host steps as the interpreter runs them: `call` is an op's name, the payload its attributes. */
export const hostFunctions: HostFunctions = (call): HostFunction | undefined => {
  const op = opByName(call);
  if (!op) return undefined;
  return (payload, inputs, outputs, dims) => {
    const leaves = inputs.map((x) => input(x.type));
    const feeds = new Map<Node, NdArray>();
    inputs.forEach(({ type, bytes }, i) => {
      feeds.set(leaves[i]!, new NdArray(type.dtype, type.shape as readonly number[], fromBytes(type.dtype, bytes)));
    });
    const several = outputs.length > 1 ? { tuple: outputs } : {};
    // Not made by `make`: the concrete types are given, and attributes may hold symbolic dims.
    const node: Node = { op, inputs: leaves, attrs: concreteAttrs(parseAttrs(payload), dims), type: outputs[0]!, ...several };
    const roots = outputs.length > 1 ? outputs.map((_, i) => pick(node, i)) : [node];
    return interpret(roots, feeds, { dims }).map((v) => toBytes(v.dtype, v.data));
  };
};
