/**
 * Integer expressions: symbolic dims, kernel indices, grid sizes and byte counts share this one type.
 *
 * A `Dim` is a number where it is constant and an interned `Expr` otherwise, so `===` is equality. An Expr is kept in a normal
 * form, offset + sum of (coefficient x atom), which makes the questions that a lowering asks cheap: is it constant, what is its
 * stride along a variable, what are its bounds. Division and remainder round towards minus infinity.
 */
export { add, ceilDiv, div, divides, max, min, mod, mul, neg, sub, xor } from "./expr/algebra.js";
export { type Fact, less, narrow, nonNegative } from "./expr/bounds.js";
export { type Atom, type Dim, type Expr, hi, indexOn, lo, type Term, variable, withNumbers } from "./expr/node.js";
export { coefficient, dependsOn, evaluate, show, stride, substitute, variables } from "./expr/walk.js";
