import { expect, test } from "vitest";
import { roots, topo } from "../../ir/graph.js";
import { dot, input, permute } from "../../ops/index.js";
import { setFloat32MatmulPrecision } from "../../ops/precision.js";
import { transposedProducts } from "./products.js";

test.each(["high", "highest"] as const)("a transposed product is as precise as it was recorded: %s", (precision) => {
  const [a, b] = [input({ shape: [5, 6], dtype: "f32" }), input({ shape: [6, 7], dtype: "f32" })];
  setFloat32MatmulPrecision(precision);
  const y = permute(dot(a, b), [1, 0]);
  setFloat32MatmulPrecision(precision === "high" ? "highest" : "high");
  const [now] = roots(transposedProducts.run({ inputs: [a, b], state: [], outputs: [y], updates: [] }));
  setFloat32MatmulPrecision("highest");
  expect(
    topo([now!])
      .filter((n) => n.op.name === "dot")
      .map((n) => [n.type.shape, n.attrs]),
  ).toEqual([[[7, 5], precision === "high" ? { precision: "tf32" } : {}]]);
});
