import { describe, expect, test } from "vitest";
import { errorOf, fill, tolerance } from "../../../test/support/groups.js";
import { cTarget } from "../../backends/c/target.js";
import { cudaCodegen } from "../../backends/cuda/codegen.js";
import { interpret } from "../../backends/interp/interpret.js";
import type { DType } from "../../core/dtype.js";
import { roots, topo } from "../../ir/graph.js";
import type { Node } from "../../ir/node.js";
import { dot, input, permute } from "../../ops/index.js";
import { evenProducts } from "./even.js";

const codegen = cudaCodegen({ sm: 90 });
const leaf = (shape: readonly number[], dtype: DType): Node => input({ shape, dtype });
const products = (n: Node): readonly (readonly number[])[] =>
  topo([n])
    .filter((x) => x.op.name === "dot" || x.op.name === "wideDot")
    .map((x) => x.inputs[0]!.type.shape as number[]);
const evened = (inputs: readonly Node[], output: Node, least?: number, on = codegen): Node =>
  roots(evenProducts(on, least).run({ inputs, state: [], outputs: [output], updates: [] }))[0]!;

describe("products whose inner dim ends inside of a wide access", () => {
  test.each([
    ["f32", 5, 23, 20],
    ["bf16", 5, 23, 16],
    ["bf16", 5, 30, 24],
  ] as const)("%s: %i rows of %i, of which %i are multiplied by a matrix unit", (dtype, m, k, whole) => {
    const [a, b] = [leaf([m, k], dtype), leaf([k, 7], dtype)];
    const was = dot(a, b);
    const now = evened([a, b], was, 0);
    expect(products(now)).toEqual([[m, whole]]);
    expect(now.type).toEqual(was.type);
    const feeds = new Map([a, b].map((x) => [x, fill(x, x.type.shape as number[])] as const));
    const [[got], [want]] = [now, was].map((x) => interpret([x], feeds, { exact: true })) as [[never], [never]];
    expect(errorOf(got, want)).toBeLessThanOrEqual(tolerance(dtype));
  });
  test("stay whole where they are small, where rows run across the inner dim, and on targets whose rows may begin anywhere", () => {
    const [a, b] = [leaf([5, 23], "bf16"), leaf([23, 7], "bf16")];
    const small = dot(a, b);
    expect(evened([a, b], small)).toBe(small);
    const turned = leaf([23, 5], "bf16");
    const across = dot(permute(turned, [1, 0]), b);
    expect(evened([turned, b], across, 0)).toBe(across);
    const c = { ...codegen, target: cTarget({ arch: "x86-64", features: ["avx2"], parallel: 2 }) };
    expect(evened([a, b], small, 0, c)).toBe(small);
  });
});
