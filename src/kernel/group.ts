import { computeDType } from "../core/dtype.js";
import { add, type Dim, hi, mul } from "../core/expr.js";
import { numel, type Shape } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { flatten } from "../ops/movement.js";
import type { Template } from "./codegen.js";
import type { Buffer, Stmt, Value } from "./kernel.js";

/** What one step of a program computes: a connected set of nodes with the values that leave it. */
export interface Group {
  readonly name: string;
  readonly kind: "kernel" | "claimed" | "copy" | "host";
  /**
   * Inputs before users. `constant` and `iota` leaves and views are among them (they are computed where they are read), other leaves
   * and other groups' outputs are not. A cheap producer may be in several groups.
   */
  readonly nodes: readonly Node[];
  /** Values that come from buffers: leaves, and outputs of earlier groups. Never a view. */
  readonly inputs: readonly Node[];
  /** Values that later groups or the caller read, each with its own buffer. Some node of the group may read an output too. */
  readonly outputs: readonly Node[];
  /** kernel: the elements that it runs over. */
  readonly space?: Space;
  /** Groups of single rows whose outputs every grid point computes for itself before it reads them; their inputs are among `inputs`. */
  readonly rows?: readonly Group[];
  /** Outputs that are written over an input: `groupBuffers` gives both the output's buffer. */
  readonly inPlace?: readonly Donation[];
  /** Inputs and outputs whose rows (along the last dim) lie so many elements apart, further than they are long: what lies between them is nobody's. */
  readonly pitches?: ReadonlyMap<Node, number>;
  /** Outputs behind whose last row there is room for so many more rows, which are nobody's. */
  readonly spare?: ReadonlyMap<Node, number>;
  /** claimed: the node that the template computes, and the template. */
  readonly root?: Node;
  readonly template?: Template;
  /** claimed: more nodes of the template that the same kernel computes, for values that read them all. */
  readonly beside?: readonly Node[];
  /** Why it was made so: tier, what was fused, and what refused. */
  readonly why: readonly string[];
}

/**
 * The iteration space of a kernel group: `axes` of `shape` are reduced (none: a map). Every reduction of the group reduces a value
 * that has these elements in this row-major order, over the same axes, though its own shape may split or merge neighbours (as
 * [8, 16, 64] over [2] and [128, 64] over [1] are the same rows). Every output has either all of the elements or those of the kept
 * axes, in row-major order; a reduction's result is only read at the row it belongs to. Axes of size 1 do not count.
 */
export interface Space {
  readonly shape: Shape;
  readonly axes: readonly number[];
}

/** `input` is dead or is the state that `output` replaces; it is read only at the position where `output` is written, or earlier in that row. */
export interface Donation {
  readonly output: Node;
  readonly input: Node;
}

/** False where every output is empty whatever its symbolic sizes are. */
export const hasElements = (group: Group): boolean => group.outputs.some((n) => hi(numel(n.type.shape)) > 0);

/**
 * The global buffers of a group, by convention of name: `in0`, `in1`, ... for its inputs and `out0`, ... for its outputs, in order;
 * a group with several kernels passes values between them in `tmp0`, ... A kernel lists the ones it uses; link binds them by name.
 * An output that is written in place is one buffer with its input: load all that a position needs before any store to it.
 */
export function groupBuffers(group: Group): ReadonlyMap<Node, Buffer> {
  const buffers = new Map<Node, Buffer>();
  for (const [i, n] of group.inputs.entries())
    buffers.set(n, { name: `in${i}`, dtype: n.type.dtype, space: "global", size: storedSize(n, group.pitches?.get(n)) });
  for (const [i, n] of group.outputs.entries())
    buffers.set(n, { name: `out${i}`, dtype: n.type.dtype, space: "global", size: storedSize(n, group.pitches?.get(n)), writes: true });
  for (const { output, input } of group.inPlace ?? []) buffers.set(input, buffers.get(output)!);
  return buffers;
}

/** Elements that a value's buffer has. */
export const storedSize = (n: Node, pitch: number | undefined): Dim =>
  pitch === undefined ? numel(n.type.shape) : mul(numel(n.type.shape.slice(0, -1)), pitch);

/** Where an element of an input or output lies in its buffer. */
export function placeIn(group: Pick<Group, "pitches">, n: Node, index: readonly Dim[]): Dim {
  const { shape } = n.type;
  const pitch = group.pitches?.get(n);
  return pitch === undefined ? flatten(index, shape) : add(mul(flatten(index.slice(0, -1), shape.slice(0, -1)), pitch), index.at(-1)!);
}

/** Values that are about to be stored, each computed before the first store: an output may share its memory with what another one reads. */
export function beforeStores(group: Group, values: readonly Value[], into: Stmt[]): readonly Value[] {
  if (!group.inPlace?.length || values.length < 2) return values;
  return values.map((value, i) => {
    const name = `leaving${i}`;
    into.push({ kind: "let", name, value });
    return { kind: "ref", dtype: computeDType(value.dtype), name };
  });
}
