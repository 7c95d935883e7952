/**
 * Products that may be a library's. Kernels and what is fused into them stay what they are without it: the library may stand in for one
 * behind whose product there is nothing but sums, and the device takes whichever it measures to be faster.
 */
import { numel } from "../../../core/type.js";
import type { Template } from "../../../kernel/codegen.js";
import { callOf } from "../../../kernel/library/call.js";
import { productOf } from "../../../kernel/library/product.js";
import { contractTemplate } from "../../../kernel/templates/contract/index.js";
import { dotShape } from "../../../kernel/templates/contract/operands.js";
import { templates } from "../../../kernel/templates/index.js";

/** The shortest side and the fewest operations of a product that is worth a call: below, a kernel's start and end are what counts. */
const [leastSide, leastOperations] = [64, 1 << 22];
/** Sizes that the library has words for. */
const mostSize = 2 ** 31 - 1;

const blasProducts: Template = {
  ...contractTemplate,
  product(group, kernel, target) {
    const library = target.products!;
    const { batch, total } = dotShape(group.root!);
    const { dtype } = group.root!.inputs[0]!.type;
    if (!library.dtypes.has(dtype)) return `no library multiplies ${dtype}`;
    const [count, m, n, k] = [numel(batch), total.m, total.n, total.k];
    if (typeof count !== "number" || typeof m !== "number" || typeof n !== "number" || typeof k !== "number")
      return "no library is measured for sizes that only a call knows";
    if (Math.min(m, n, k) < leastSide || 2 * count * m * n * k < leastOperations) return "it is too small for a library's call";
    if (Math.max(m, n, k) > mostSize) return "the library has no words for its sizes";
    if (group.beside?.length) return "a library's call has one product";
    const call = callOf(group, library);
    return typeof call === "string" ? call : productOf(library.library, call, kernel);
  },
};

/** The templates of a machine with a library. */
export const withBlas: readonly Template[] = templates.map((t) => (t === contractTemplate ? blasProducts : t));
