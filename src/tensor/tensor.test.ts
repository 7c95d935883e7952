import { beforeAll, describe, expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { ArgumentError, DTypeError, ShapeError, TreepieError } from "../core/errors.js";
import {
  arange,
  bernoulli,
  cat,
  emptyLike,
  engineCounters,
  eye,
  F,
  full,
  fullLike,
  linspace,
  manualSeed,
  noGrad,
  ones,
  onesLike,
  rand,
  randint,
  randLike,
  randn,
  randnLike,
  randperm,
  ready,
  type Tensor,
  tensor,
  zeros,
  zerosLike,
} from "./index.js";

beforeAll(() => useDevice());
const values = async (t: Tensor): Promise<number[]> => Array.from((await t.data()) as Float32Array, Number);

describe("creation", () => {
  test("what is made like a tensor has its shape, dtype and device", async () => {
    const x = tensor([1.5, 2], { device: "null" });
    await ready("null");
    for (const y of [zerosLike(x), onesLike(x), fullLike(x, 3), emptyLike(x), randLike(x), randnLike(x), bernoulli(x)])
      expect([y.shape, y.dtype, y.device]).toEqual([[2], "f32", "null"]);
    for (const y of [rand([2], { device: "null" }), randint(0, 3, [2], { device: "null" }), randperm(2, { device: "null" })])
      expect(y.device).toBe("null");
    for (const y of [zeros([2]), rand([2]), randLike(x, { device: zeros([2]).device })]) expect(y.device).not.toBe("null");
  });
  test("a seed gives the same numbers on every device", async () => {
    await ready("interp");
    manualSeed(7);
    const here = await values(rand([33]));
    manualSeed(7);
    expect(await values(rand([33], { device: "interp" }))).toEqual(here);
  });
  test("dtypes follow the values", () => {
    expect(tensor([1, 2]).dtype).toBe("i64");
    expect(tensor([1, 2.5]).dtype).toBe("f32");
    expect(tensor([true, false]).dtype).toBe("bool");
    expect(tensor(new Float64Array(2)).dtype).toBe("f64");
    expect(tensor([[1], [2]], { dtype: "bf16" }).shape).toEqual([2, 1]);
    expect(tensor([1, 2, 3, 4], [2, 2]).shape).toEqual([2, 2]);
    expect(zeros([2]).dtype).toBe("f32");
    expect(full([2], 3).dtype).toBe("i64");
    expect(full([2], 3.5).dtype).toBe("f32");
    expect(arange(3).dtype).toBe("i64");
    expect(arange(0, 1, 0.5).dtype).toBe("f32");
  });
  test("values", async () => {
    expect(await values(arange(2, 11, 3))).toEqual([2, 5, 8]);
    expect(await values(arange(5, 0, -2))).toEqual([5, 3, 1]);
    expect(await values(arange(0))).toEqual([]);
    expect(await values(linspace(0, 1, 5))).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(await eye(2, 3).toArray()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(await values(full([3], 7, { dtype: "u8" }))).toEqual([7, 7, 7]);
    expect((await values(randperm(20))).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
  test("equal seeds give equal numbers, equal calls different ones", async () => {
    manualSeed(5);
    const [a, b] = [rand([4]), rand([4])];
    manualSeed(5);
    expect(await values(rand([4]))).toEqual(await values(a));
    expect(await values(a)).not.toEqual(await values(b));
  });
  test("ragged lists and wrong sizes are refused", () => {
    expect(() => tensor([[1, 2], [3]])).toThrow(ShapeError);
    expect(() => tensor([1, [2]])).toThrow(ShapeError);
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow(ShapeError);
    expect(() => tensor(["a" as never])).toThrow(ArgumentError);
    expect(() => zeros([2, -1])).toThrow("expand: [2, -1] is no shape");
    expect(() => zeros([1.5])).toThrow(ShapeError);
    for (const make of [() => tensor([1], { dtype: "float32" as never }), () => zeros([1], { dtype: "float32" as never })])
      expect(make).toThrow("float32 is no dtype");
  });
});

describe("values", () => {
  test("natural arrays, bytes, items", async () => {
    expect(await tensor([1, 2]).data()).toBeInstanceOf(BigInt64Array);
    expect(await tensor([1, 2], { dtype: "bf16" }).data()).toBeInstanceOf(Float32Array);
    expect(await tensor([true]).data()).toBeInstanceOf(Uint8Array);
    expect((await tensor([1.5], { dtype: "f32" }).bytes()).length).toBe(4);
    expect(await tensor(3).item()).toBe(3);
    expect(await tensor(2n ** 60n).item()).toBe(2n ** 60n);
    await expect(tensor([1, 2]).item()).rejects.toThrow(ShapeError);
    const t = ones([2, 2]).add(1.25);
    expect(String(t)).toBe("Tensor(f32[2, 2])");
    await t.data();
    expect(String(t)).toContain("2.2500");
  });
  test("promotion with literals and rank-0 tensors", async () => {
    expect(tensor([1, 2]).add(1).dtype).toBe("i64");
    expect(tensor([1, 2]).add(1.5).dtype).toBe("f32");
    expect(tensor([1, 2], { dtype: "bf16" }).mul(1.5).dtype).toBe("bf16");
    expect(tensor([1, 2], { dtype: "f32" }).add(tensor(1, { dtype: "f64" })).dtype).toBe("f32");
    expect(await values(tensor([7, -7]).div(2))).toEqual([3.5, -3.5]);
  });
  test("a disposed tensor is refused", () => {
    const t = tensor([1]);
    t.dispose();
    expect(() => t.add(1)).toThrow(ArgumentError);
  });
});

describe("views and writes", () => {
  test("writes through views reach every alias", async () => {
    const x = zeros([3, 4]);
    const flat = x.reshape([12]);
    const row = x.at(1);
    const column = x.transpose(0, 1).at(2);
    row.add_(1);
    column.mul_(10).add_(3);
    flat.narrow(0, 0, 2).fill_(7);
    expect(await x.toArray()).toEqual([
      [7, 7, 3, 0],
      [1, 1, 13, 1],
      [0, 0, 3, 0],
    ]);
    expect(await values(row)).toEqual([1, 1, 13, 1]);
    expect(await values(column)).toEqual([3, 13, 3]);
    expect(row.sharesStorage(x)).toBe(true);
    expect(x.clone().sharesStorage(x)).toBe(false);
  });
  test("a reshape that cannot be a view copies, as PyTorch's does", async () => {
    const x = zeros([2, 3]);
    const copy = x.transpose(0, 1).reshape([6]);
    copy.fill_(1);
    expect(await values(x)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(x.transpose(0, 1).isContiguous()).toBe(false);
    expect(x.transpose(0, 1).stride()).toEqual([1, 3]);
    expect(x.at([0, 2], [0, 3, 2]).stride()).toEqual([3, 2]);
  });
  test("indexing", async () => {
    const x = arange(24).reshape([2, 3, 4]);
    expect(await values(x.at(1, -1))).toEqual([20, 21, 22, 23]);
    expect(await values(x.at("...", 0))).toEqual([0, 4, 8, 12, 16, 20]);
    expect(x.at(":", null, "1:").shape).toEqual([2, 1, 2, 4]);
    expect(await values(x.at(0, [null, null, -1], 0))).toEqual([8, 4, 0]);
    expect(await values(x.at(0, [-2, null], [null, 2]))).toEqual([4, 5, 8, 9]);
    expect(await values(x.at(tensor([1, 0]), ":", 2))).toEqual([14, 18, 22, 2, 6, 10]);
    expect(await values(x.at(tensor([1, 0]), tensor([0, 2]), 1))).toEqual([13, 9]);
    expect(() => x.at(2)).toThrow(ShapeError);
    expect(() => x.at(0, 0, 0, 0)).toThrow(ShapeError);
    expect(() => x.at("a:b")).toThrow(ArgumentError);
  });
  test("setAt", async () => {
    const x = zeros([3, 3]);
    x.setAt([0], 1);
    x.setAt([":", 2], tensor([4, 5, 6]));
    x.setAt([tensor([1, 2]), tensor([0, 1])], 9);
    expect(await x.toArray()).toEqual([
      [1, 1, 4],
      [9, 0, 5],
      [0, 9, 6],
    ]);
    x.setAt([x.gt(4)], -1);
    expect(await values(x)).toEqual([1, 1, 4, -1, 0, -1, 0, -1, -1]);
  });
  test("in-place results must fit", () => {
    expect(() => tensor([1, 2]).add_(0.5)).toThrow(DTypeError);
    expect(() => zeros([2]).add_(zeros([3, 2]))).toThrow(ShapeError);
    expect(() => zeros([1]).expand([3]).add_(1)).toThrow(ArgumentError);
    expect(zeros([2], { dtype: "f64" }).add_(tensor([1, 2])).dtype).toBe("f64");
  });
  test("leaves that require gradients are not changed in place outside of noGrad", () => {
    const w = ones([2], { requiresGrad: true });
    expect(() => w.add_(1)).toThrow(ArgumentError);
    expect(() => w.at(0).add_(1)).toThrow(ArgumentError);
    noGrad(() => w.add_(1));
    w.detach().add_(1);
    expect(w.isLeaf && w.requiresGrad).toBe(true);
  });
  test("copies between overlapping parts read the old values", async () => {
    const x = arange(6);
    x.at([1, 6]).copy_(x.at([0, 5]));
    expect(await values(x)).toEqual([0, 0, 1, 2, 3, 4]);
  });
});

describe("recording", () => {
  test("nothing runs before a value is asked for; several values are one program", async () => {
    const before = engineCounters.submissions;
    const a = ones([3]).mul(3);
    const b = a.add(1);
    expect(engineCounters.submissions).toBe(before);
    const { evaluate } = await import("./index.js");
    await evaluate(a, b);
    expect(engineCounters.submissions).toBe(before + 1);
    expect(await values(b)).toEqual([4, 4, 4]);
    expect(engineCounters.submissions).toBe(before + 1);
  });
  test("functions", async () => {
    expect(await values(cat([tensor([1]), tensor([2, 3])]))).toEqual([1, 2, 3]);
    expect(await values(F.where(tensor([true, false]), 1, tensor([5, 6])))).toEqual([1, 6]);
    expect((await F.sort(tensor([3, 1, 2])).indices.data())[0]).toBe(1n);
  });
  test("async callbacks are refused", () => {
    expect(() => noGrad(async () => randn([1]))).toThrow(ArgumentError);
  });
  test("blocking reads", async () => {
    const t = ones([2]).mul(4);
    await t.data();
    expect(ones([2]).mul(5).dataSync()).toEqual(new Float32Array([5, 5]));
    expect(ones([]).mul(5).itemSync()).toBe(5);
  });
});

describe("arguments that a declaration forbids are told in the user's words", () => {
  const untyped = (x: unknown): never => x as never;
  test.each<[string, () => unknown, RegExp]>([
    ["a shape as numbers", () => zeros(untyped(3)), /^full: 3 is no shape; a shape is an array/],
    ["a drawn shape as numbers", () => rand(untyped(3)), /^rand: 3 is no shape/],
    ["a method's shape as numbers", () => arange(6).reshape(untyped(2)), /^reshape\(i64\[6\], 2\): these are not the arguments/],
    ["an array for a tensor", () => ones([2]).add(untyped([1, 2])), /^add\(f32\[2\], \[1,2\]\): these are not the arguments/],
    ["a bare true for keepdim", () => ones([2]).sum(0, untyped(true)), /^sum: true is no object of options; write { keepdim: true }/],
    ["a dtype by another name", () => rand([2], { dtype: untyped("float32") }), /^float32 is no dtype; these are: bool,/],
    ["a device that there is not", () => zeros([2], { device: "gpu" }), /^there is no device gpu; known are /],
    ["a device to draw on that there is not", () => rand([2], { device: "gpu" }), /^there is no device gpu/],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(TreepieError);
  });
});
