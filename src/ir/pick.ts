import type { DType } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import type { Shape } from "../core/type.js";
import { make, type Node, type Op, op } from "./node.js";

/** Result `index` of a node with several results: the only way to read one. */
export function pick(tuple: Node, index: number): Node {
  const type = tuple.tuple?.[index];
  if (!type) throw new InternalError(`pick: ${tuple.op.name} has ${tuple.tuple?.length ?? "no"} results, not a result ${index}`);
  return make(pickOp, [tuple], { index, shape: type.shape, dtype: type.dtype });
}
/** The type is an attribute because `infer` sees only the type of a tuple's first result; the verifier compares it. */
export const pickOp: Op<[Node], { index: number; shape: Shape; dtype: DType }> = op({
  name: "pick",
  kind: "opaque",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  // The interpreter hands over result `index` itself.
  reference: ([x]) => x,
});
/** Every result of a node with several. */
export const picks = (tuple: Node): Node[] => (tuple.tuple ?? []).map((_, i) => pick(tuple, i));
