/**
 * Products that may be cuBLASLt's. What stands behind a product is fused as far as the library's epilogues go; the step has a generated
 * kernel too, and the device takes whichever it measures to be faster.
 */
import { bytesOf } from "../../../core/dtype.js";
import { InternalError } from "../../../core/errors.js";
import { divides, hi } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import type { ProductLibrary, Target, Template } from "../../../kernel/codegen.js";
import type { Group } from "../../../kernel/group.js";
import type { Kernel } from "../../../kernel/kernel.js";
import { callOf, operandAt } from "../../../kernel/library/call.js";
import { productOf } from "../../../kernel/library/product.js";
import { lowerContract, tile, waitsForTiles } from "../../../kernel/templates/contract/index.js";
import { dotShape } from "../../../kernel/templates/contract/operands.js";
import { alone } from "../../../kernel/templates/contract/parts.js";
import { dotOp } from "../../../ops/matmul.js";
import { wideDotOp } from "../../../ops/wide-dot.js";
import { libraryNames } from "../../../runtime/product.js";
import type { Product } from "../../../runtime/program.js";

/** Rows up to which a product waits for its weights, and generated kernels do as well as the library; and better, where their tiles are copied. */
const [fewRows, copiedRows] = [64, 128];
/** The shortest side of a product that is worth a call. */
const leastSide = 64;
/** What bounds either way, measured on an H200: operations in a microsecond, microseconds, bytes in a microsecond. */
const generated = { tf32: 1.9e8, f32: 4e7, uneven: 1.5e8 } as const;
/** What a call saves of a small product, and operations from which on it is less than what a kernel takes along. */
const [saved, large] = [4, 4e9];
/** Microseconds that a copy of an operand takes beside its bytes, and bytes in a microsecond. */
const [launch, memory] = [2, 3e6];

/** Products by cuBLASLt. */
export const libraryProducts: Template = {
  name: "library",
  match(node, target) {
    if ((node.op as unknown) !== dotOp && (node.op as unknown) !== wideDotOp) return "not a product";
    const library = target.products;
    if (!library) return "no library multiplies here";
    const { dtype } = node.inputs[0]!.type;
    if (!library.dtypes.has(dtype)) return `${libraryNames[library.library]} does not multiply ${dtype} here`;
    return known(node, () => gain(node, library, target) ?? true);
  },
  prologue: () => "a library reads matrices",
  views: (node, input, target) => operandAt(alone(node), input as 0 | 1, target.products!) !== undefined,
  epilogue(_, target, whole) {
    const made = callOf(whole(), target.products!);
    return typeof made === "string" ? made : true;
  },
  lower: (group, target) => [lowerContract(group, tile(group, target, { whole: true }))],
  pitched: true,
  product: call,
};

const answers = new WeakMap<Node, true | string>();
function known(node: Node, ask: () => true | string): true | string {
  let answer = answers.get(node);
  if (answer === undefined) answers.set(node, (answer = ask()));
  return answer;
}

/** Why a call would not be faster than a generated kernel with everything around it. */
function gain(node: Node, library: ProductLibrary, target: Target): string | undefined {
  const { batch, total } = dotShape(node);
  const [m, n, k] = [hi(total.m), hi(total.n), hi(total.k)];
  if (m <= fewRows) return "few rows wait for memory, whoever multiplies them";
  if (n < leastSide || k < leastSide) return "it is too small for a call";
  const group = alone(node);
  if (m <= copiedRows && waitsForTiles(group, target)) return "it waits for its operands, whoever multiplies them";
  if (group.inputs.some((x) => x.op.kind === "leaf" && x.op.reference)) return "an operand is computed from positions alone";
  const { dtype } = node.inputs[0]!.type;
  const operations = 2 * hi(numel(batch)) * m * n * k;
  const places = [operandAt(group, 0, library), operandAt(group, 1, library)];
  const uneven = places.some((p) => p && !divides(16 / bytesOf(dtype), p.row));
  const copies = places.reduce(
    (sum, p, i) => sum + (p ? 0 : launch + (2 * bytesOf(dtype) * hi(numel(node.inputs[i]!.type.shape))) / memory),
    0,
  );
  const faster =
    dtype === "f32"
      ? node.attrs["precision"] === "tf32"
        ? saved / 2 + (0.45 * operations) / generated.tf32
        : (0.2 * operations) / generated.f32 - saved
      : (operations < large ? saved : 0) + (uneven ? (0.33 * operations) / generated.uneven : 0);
  if (faster <= copies)
    return `a call would save ${faster.toFixed(0)} us of a product, and copies of its operands take ${copies.toFixed(0)} us`;
  return undefined;
}

/** The call, with the buffers of the group's kernel. */
function call(group: Group, kernel: Kernel, target: Target): Product {
  const { products } = target;
  const made = callOf(group, products!);
  if (typeof made === "string") throw new InternalError(`${group.name}: ${made}`);
  return productOf(products!.library, made, kernel);
}
