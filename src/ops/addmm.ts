import { ShapeError } from "../core/errors.js";
import { showType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { add, mul } from "./arithmetic.js";
import { cast } from "./cast.js";
import { bmm, mm, mv, outer } from "./matmul.js";
import { expand } from "./movement.js";
import { computesIn } from "./precision.js";
import { broadcastShapes } from "./promotion.js";
import { sum } from "./reduce.js";

/** Factors of a sum of an input and a product. A beta of 0 ignores the input, NaN and all. */
export interface AddmmOptions {
  readonly beta?: number;
  readonly alpha?: number;
}
function combine(name: string, x: Node, product: Node, { beta = 1, alpha = 1 }: AddmmOptions): Node {
  const shape = broadcastShapes(name, x.type.shape, product.type.shape);
  if (shape.some((d, i) => d !== product.type.shape[i]))
    throw new ShapeError(`${name}: ${showType(x.type)} does not broadcast to the product ${showType(product.type)}`);
  const scaled = alpha === 1 ? product : mul(product, alpha);
  if (beta === 0) return scaled;
  const base = expand(cast(x, product.type.dtype), shape);
  return add(beta === 1 ? base : mul(base, beta), scaled);
}

/** beta x + alpha a b (torch.addmm). */
export function addmm(x: Node, a: Node, b: Node, options: AddmmOptions = {}): Node {
  return combine("addmm", x, mm(a, b), options);
}
/** beta x + alpha a b, b a vector (torch.addmv). */
export function addmv(x: Node, a: Node, b: Node, options: AddmmOptions = {}): Node {
  return combine("addmv", x, mv(a, b), options);
}
/** beta x + alpha a bᵀ, both vectors (torch.addr). */
export function addr(x: Node, a: Node, b: Node, options: AddmmOptions = {}): Node {
  return combine("addr", x, outer(a, b), options);
}
/** beta x + alpha a b for batches (torch.baddbmm). */
export function baddbmm(x: Node, a: Node, b: Node, options: AddmmOptions = {}): Node {
  return combine("baddbmm", x, bmm(a, b), options);
}
/** beta x + alpha times the sum of the batch's products (torch.addbmm). */
export function addbmm(x: Node, a: Node, b: Node, options: AddmmOptions = {}): Node {
  return combine("addbmm", x, sum(bmm(a, b), 0), options);
}

computesIn("low", addmm, addmv, addr, baddbmm, addbmm);
