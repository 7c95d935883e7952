import type { Dim } from "../core/expr.js";
import { numel } from "../core/type.js";
import type { Node } from "../ir/node.js";
import type { Template } from "./codegen.js";
import type { Buffer } from "./kernel.js";

/** What one step of a program computes: a connected set of nodes with the values that leave it. */
export interface Group {
  readonly name: string;
  readonly kind: "kernel" | "claimed" | "copy" | "host";
  /** Inputs before users. Leaves and other groups' outputs are not among them. */
  readonly nodes: readonly Node[];
  /** Values that come from buffers: leaves, and outputs of earlier groups. */
  readonly inputs: readonly Node[];
  /** Values that later groups or the caller read, each with its own buffer. */
  readonly outputs: readonly Node[];
  /** claimed: the node that the template computes, and the template. */
  readonly root?: Node;
  readonly template?: Template;
  /** Why it was made so: tier, what was fused, and what refused. */
  readonly why: readonly string[];
}

/** Groups in execution order. */
export interface Schedule {
  readonly groups: readonly Group[];
}

/** A buffer that lives only between the kernels of one group. */
export interface Scratch {
  readonly name: string;
  readonly bytes: Dim;
}

/**
 * The global buffers of a group, by convention of name: `in0`, `in1`, ... for its inputs and `out0`, ... for its outputs, in order;
 * a group with several kernels passes values between them in `tmp0`, ... A kernel lists the ones it uses; link binds them by name.
 * `out0` may be the same memory as an input that is only read at the index where the output is written (donation).
 */
export function groupBuffers(group: Group): ReadonlyMap<Node, Buffer> {
  const buffers = new Map<Node, Buffer>();
  group.inputs.forEach((n, i) => buffers.set(n, { name: `in${i}`, dtype: n.type.dtype, space: "global", size: numel(n.type.shape) }));
  group.outputs.forEach((n, i) => buffers.set(n, { name: `out${i}`, dtype: n.type.dtype, space: "global", size: numel(n.type.shape), writes: true }));
  return buffers;
}
