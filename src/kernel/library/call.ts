/** A product, and what is done with its result, as one call of a library; or why it is none. */
import { bytesOf, type DType, isFloat } from "../../core/dtype.js";
import { add, type Dim, divides, mul, stride, substitute } from "../../core/expr.js";
import { roundUp } from "../../core/numbers.js";
import { numel } from "../../core/type.js";
import { make, type Node } from "../../ir/node.js";
import { castOp } from "../../ops/cast.js";
import { reshapeOp, unflatten } from "../../ops/movement.js";
import type { Matrix, Product } from "../../runtime/program.js";
import type { ProductLibrary } from "../codegen.js";
import { type Group, groupBuffers } from "../group.js";
import { at, axis } from "../kernel.js";
import { dotShape, plainView } from "../templates/contract/operands.js";
import { geluOf } from "./gelu.js";

/** A matrix in a buffer of the group. */
type Place = Omit<Matrix, "argument"> & { readonly buffer: string; readonly dtype: DType };
export interface Call extends Pick<Product, "batch" | "m" | "n" | "k" | "gelu" | "tf32"> {
  readonly a: Place;
  readonly b: Place;
  readonly d: Place;
  readonly c?: Place;
  readonly bias?: Pick<Place, "buffer" | "offset">;
}

/** Where the elements of `node` lie at `index` over z, i and j: a plain matrix, or a vector along j where `i` does not matter. */
function placeOf(group: Group, node: Node, index: readonly Dim[], { alignment }: ProductLibrary): Place | undefined {
  const buffers = groupBuffers(group);
  const view = plainView(group, buffers, node, index);
  if (!view) return undefined;
  const zero = new Map(["z", "i", "j"].map((name) => [name, 0] as const));
  const offset = substitute(view.index, zero);
  const [each, i, j] = ["z", "i", "j"].map((name) => stride(view.index, name)) as [Dim?, Dim?, Dim?];
  const dtype = [...buffers.values()].find((b) => b.name === view.buffer)!.dtype;
  const aligned = Math.max(1, alignment / bytesOf(dtype));
  if (each === undefined || i === undefined || j === undefined || !divides(aligned, offset) || !divides(aligned, each)) return undefined;
  const common = { buffer: view.buffer, dtype, offset, each };
  if (j === 1) return { ...common, row: i };
  return i === 1 ? { ...common, row: j, turned: true } : undefined;
}

/** Where operand 0 or 1 of a product lies, if it is a plain matrix in memory. */
export function operandAt(group: Group, input: 0 | 1, library: ProductLibrary): Place | undefined {
  const { batch, total } = dotShape(group.root!);
  const [rows, columns] = input ? [total.k, total.n] : [total.m, total.k];
  const index = [
    ...unflatten(at(axis("z", numel(batch), "loop")), batch).slice(0, batch.length),
    at(axis("i", rows, "loop")),
    at(axis("j", columns, "loop")),
  ];
  const place = placeOf(group, group.root!.inputs[input]!, index, library);
  return place?.row === 0 || place?.dtype !== group.root!.inputs[input]!.type.dtype ? undefined : place;
}

/** The group as a call. */
export function callOf(group: Group, library: ProductLibrary): Call | string {
  const root = group.root!;
  const { batch, total } = dotShape(root);
  const [out, ...more] = group.outputs;
  if (!out || more.length) return "a library's call has one result";
  const [a, b] = [operandAt(group, 0, library), operandAt(group, 1, library)];
  if (!a || !b) return "an operand is no matrix in memory";
  const behind = epilogueOf(group, root, out, library);
  if (typeof behind === "string") return behind;
  const dtype = out.type.dtype;
  // Whoever reads the result widens it for nothing.
  if (!behind.gelu && !behind.added.length && bytesOf(dtype) > bytesOf(root.type.dtype)) return "a wider result would be more bytes";
  if (dtype !== a.dtype && dtype !== "f32") return `the library has no result of ${dtype}`;
  const size = numel(batch);
  const flat = add(
    mul(at(axis("z", size, "loop")), mul(total.m, total.n)),
    mul(at(axis("i", total.m, "loop")), total.n),
    at(axis("j", total.n, "loop")),
  );
  const row = group.pitches?.get(out) ?? total.n;
  const d: Place = { buffer: groupBuffers(group).get(out)!.name, dtype, offset: 0, row, each: mul(total.m, row) };
  let made: Call = {
    batch: size,
    ...total,
    m: evenRows(group, a, total.m, out, library),
    a,
    b,
    d,
    ...(behind.gelu && { gelu: true as const }),
    ...(root.attrs["precision"] === "tf32" && { tf32: true as const }),
  };
  for (const added of behind.added) {
    const x = unrounded(added);
    const place = placeOf(group, x, unflatten(flat, x.type.shape), library);
    if (!place || place.dtype !== dtype || place.turned) return `${x.op.name} is added, which is no matrix in memory of the result's dtype`;
    if (place.row === 0) {
      if (made.bias || place.each !== 0) return "two vectors are added";
      made = { ...made, bias: { buffer: place.buffer, offset: place.offset } };
    } else {
      if (made.c) return "two matrices are added";
      made = { ...made, c: place };
    }
  }
  return made;
}

/** As many rows as make whole accesses where rows of the result lie side by side in an operand, and there is room for what comes of them. */
function evenRows(group: Group, a: Place, rows: Dim, out: Node, { alignment }: ProductLibrary): Dim {
  const spare = group.spare?.get(out);
  if (spare === undefined || !a.turned || typeof rows !== "number" || typeof a.row !== "number" || group.outputs[0] !== group.root)
    return rows;
  const even = roundUp(rows, alignment / bytesOf(a.dtype));
  return even <= Math.min(rows + spare, a.row) ? even : rows;
}

/** A value before it was rounded to fewer bits: sums may take it as it lies in memory. */
function unrounded(x: Node): Node {
  if (isRounding(x) && bytesOf(x.type.dtype) <= bytesOf(x.inputs[0]!.type.dtype)) return unrounded(x.inputs[0]!);
  if (x.op.kind !== "movement" || x.inputs.length !== 1) return x;
  const below = unrounded(x.inputs[0]!);
  return below === x.inputs[0] ? x : make(x.op, [below], x.attrs);
}

/** What stands between a product and the result: sums, and gelu at the end. */
function epilogueOf(
  group: Group,
  root: Node,
  out: Node,
  library: ProductLibrary,
): { readonly gelu: boolean; readonly added: readonly Node[] } | string {
  const after = new Set<Node>([root]);
  for (const n of group.nodes) if (n.inputs.some((i) => after.has(i))) after.add(n);
  const added: Node[] = [];
  let gelu = false;
  let x = out;
  while (x !== root) {
    const behind: readonly Node[] = x.inputs.filter((i) => after.has(i));
    const inner: Node | undefined = !library.gelu || gelu || added.length ? undefined : geluOf(x, after);
    if (inner) {
      gelu = true;
      x = inner;
    } else if ((x.op as unknown) === reshapeOp || (isRounding(x) && behind.length === 1)) x = behind[0]!;
    else if (x.op.scalar === "add" && behind.length === 1 && isFloat(x.type.dtype)) {
      added.push(x.inputs.find((i) => i !== behind[0]!)!);
      x = behind[0]!;
    } else return `the library has no ${x.op.name} behind a product`;
  }
  return { gelu, added };
}
const isRounding = (n: Node): boolean => (n.op as unknown) === castOp && isFloat(n.type.dtype) && isFloat(n.inputs[0]!.type.dtype);
