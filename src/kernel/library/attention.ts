/** A group that computes attention or its derivatives as one call of a library; or why it is none. */
import { bytesOf, isHalf } from "../../core/dtype.js";
import { type Dim, stride, substitute } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { is, type Node } from "../../ir/node.js";
import { attentionBackwardOp } from "../../ops/attention.js";
import { unflatten } from "../../ops/movement.js";
import type { AttentionCall, Heads } from "../../runtime/program.js";
import type { AttentionLibrary } from "../codegen.js";
import { makeEvaluator } from "../evaluate.js";
import { type Group, groupBuffers } from "../group.js";
import { at, axis, type Stmt, type Value } from "../kernel.js";
import { sizesOf } from "../templates/attention/setup.js";

/** The group as a call, by the names of its buffers. */
export function attentionOf(group: Group, { library, alignment, leastOperations }: AttentionLibrary): AttentionCall<string> | string {
  const root = group.root!;
  const { attrs } = root;
  const [q, k, v] = root.inputs as readonly [Node, Node, Node];
  const { dtype } = q.type;
  if (!isHalf(dtype)) return `no library computes attention of ${dtype}`;
  if (attrs.mask || attrs.dropout || attrs.offset) return "a library's attention has no mask but the causal one";
  // It takes a row's largest score for that of the largest product.
  if (!((attrs.scale as number) > 0)) return "a library's attention has a scale above 0";
  const { batch: front, heads, keyHeads, queries, keys, depth, width } = sizesOf(root);
  const batch = numel(front.slice(0, -1));
  const sizes = { batch, heads, keyHeads, queries, keys, depth, width };
  if (!areNumbers(sizes)) return "no library is measured for sizes that only a call knows";
  const operations = (attrs.causal ? 1 : 2) * sizes.batch * sizes.heads * sizes.queries * sizes.keys * (sizes.depth + sizes.width);
  if (operations < leastOperations) return "it is too small for a library's call";
  const isAligned = (...numbers: readonly number[]): boolean => numbers.every((n) => (n * bytesOf(dtype)) % alignment === 0);

  const buffers = groupBuffers(group);
  const operand = (node: Node): Heads<string> | undefined => {
    const [outer, [rows, columns]] = [node.type.shape.slice(0, -2), node.type.shape.slice(-2) as [Dim, Dim]];
    const own = numel(outer.slice(0, -1));
    const index = [
      ...unflatten(at(axis("z", own, "loop")), outer.slice(0, -1)).slice(0, Math.max(0, outer.length - 1)),
      ...(outer.length ? [at(axis("h", outer.at(-1)!, "loop"))] : []),
      at(axis("i", rows, "loop")),
      at(axis("j", columns, "loop")),
    ];
    const view = viewOf(group, node, index);
    if (!view) return undefined;
    const offset = substitute(view.index, new Map(["z", "h", "i", "j"].map((name) => [name, 0] as const)));
    const [z, h, i, j] = ["z", "h", "i", "j"].map((name) => stride(view.index, name));
    const place = { offset, batch: z, head: h, row: i };
    return j === 1 && areNumbers(place) && isAligned(...Object.values(place)) ? { buffer: view.buffer, ...place } : undefined;
  };
  const result = (index: number): Node => group.outputs.find((o) => o.attrs.index === index)!;
  const written = (index: number, count: number, rows: number, columns: number): Heads<string> => {
    const [head, row] = attrs.rows ? [columns, count * columns] : [rows * columns, columns];
    return { buffer: buffers.get(result(index))!.name, offset: 0, batch: count * rows * columns, head, row };
  };
  const places = { q: operand(q), k: operand(k), v: operand(v) };
  const common = { library, also: [], ...sizes, ...(attrs.causal === true && { causal: true as const }), scale: attrs.scale as number };
  const scattered = "an operand's rows do not lie as a library reads them";

  if (!is(root, attentionBackwardOp)) {
    if (!areThere(places)) return scattered;
    return { ...common, ...places, out: written(0, sizes.heads, sizes.queries, sizes.width), rows: buffers.get(result(1))!.name };
  }
  if (!attrs.result) return "a library reads the result that derivatives are taken of";
  const [ct, rows, more] = root.inputs.slice(3) as [Node, Node, Node];
  const all = { ...places, out: operand(more), ct: operand(ct) };
  const logarithms = denseBuffer(group, rows);
  if (!areThere(all) || logarithms === undefined) return scattered;
  const { ct: cotangent, ...read } = all;
  const backward = {
    ct: cotangent,
    dq: written(0, sizes.heads, sizes.queries, sizes.depth),
    dk: written(1, sizes.keyHeads, sizes.keys, sizes.depth),
    dv: written(2, sizes.keyHeads, sizes.keys, sizes.width),
  };
  return { ...common, ...read, rows: logarithms, backward };
}

/** The buffer of which a value is all there is, as it lies. */
function denseBuffer(group: Group, node: Node): string | undefined {
  const { shape } = node.type;
  const view = viewOf(group, node, unflatten(at(axis("z", numel(shape), "loop")), shape).slice(0, shape.length));
  return view && stride(view.index, "z") === 1 && substitute(view.index, new Map([["z", 0]])) === 0 ? view.buffer : undefined;
}
/** Where an element lies of a value that is only a view of a buffer, whoever else reads that. */
function viewOf(group: Group, node: Node, index: readonly Dim[]): (Value & { kind: "load" }) | undefined {
  const into: Stmt[] = [];
  const value = makeEvaluator({ ...group, nodes: [] }, groupBuffers(group)).value(node, index, into);
  return into.length === 0 && value.kind === "load" ? value : undefined;
}
const areNumbers = <K extends string>(sizes: Readonly<Record<K, Dim | undefined>>): sizes is Readonly<Record<K, number>> =>
  Object.values(sizes).every((d) => typeof d === "number");
const areThere = <K extends string, T>(all: Readonly<Record<K, T | undefined>>): all is Readonly<Record<K, T>> =>
  Object.values(all).every((x) => x !== undefined);
