import { bytesOf, computeDType, isHalf } from "../../core/dtype.js";
import { hi } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { make, type Node } from "../../ir/node.js";
import { mapGraph, type Pass } from "../../ir/rewrite.js";
import type { Codegen } from "../../kernel/codegen.js";
import { dotShape, stridesOf } from "../../kernel/templates/contract/operands.js";
import { alone } from "../../kernel/templates/contract/parts.js";
import { cast } from "../../ops/cast.js";
import { add, mul } from "../../ops/elementwise.js";
import { dotOp } from "../../ops/matmul.js";
import { slice } from "../../ops/movement.js";
import { wideDot } from "../../ops/wide-dot.js";

/** Operations from which on a product's time is its matrix unit's rather than its launch's. */
const leastOperations = 4e9;

/**
 * A large product whose inner dim runs along rows and ends inside of a wide access, as a product of whole accesses and the few outer
 * products that are left, which whoever reads the result adds. Rounded once, behind the sum. `least`: operations from which on.
 */
export function evenProducts({ target }: Codegen, least: number = leastOperations): Pass {
  const { rowBytes } = target;
  const split = (n: Node): Node => {
    if (rowBytes === undefined || (n.op as unknown) !== dotOp) return n;
    const [a, b] = n.inputs as readonly [Node, Node];
    const { batch, total } = dotShape(n);
    const piece = rowBytes / bytesOf(a.type.dtype);
    const { k } = total;
    if (typeof k !== "number" || k % piece === 0) return n;
    if (2 * hi(numel(batch)) * hi(total.m) * hi(total.n) * k < least) return n;
    const group = alone(n);
    if (!(["a", "b"] as const).some((role) => stridesOf(group, role)?.[1] === 1)) return n;
    const wide = computeDType(n.type.dtype);
    const [left, right] = [inner(a, -1), inner(b, -2)];
    const whole = k - (k % piece);
    const operands = [left(0, whole), right(0, whole)] as const;
    const product = isHalf(n.type.dtype) ? wideDot(...operands) : make(n.op, operands, n.attrs);
    const rest = Array.from({ length: k % piece }, (_, i) => mul(cast(left(whole + i, 1), wide), cast(right(whole + i, 1), wide)));
    return cast(rest.reduce(add, product), n.type.dtype);
  };
  return { name: "even-products", run: (g) => mapGraph(g, split) };
}

/** A part of an axis, counted from the last one. */
const inner =
  (x: Node, axis: number) =>
  (from: number, size: number): Node => {
    const { shape } = x.type;
    const at = shape.length + axis;
    return slice(
      x,
      shape.map((_, i) => (i === at ? from : 0)),
      shape.map((d, i) => (i === at ? size : d)),
    );
  };
