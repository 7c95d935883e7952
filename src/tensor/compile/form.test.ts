import { expect, test } from "vitest";
import "../../index.js";
import { tensor } from "../index.js";
import type { Tensor } from "../tensor.js";
import { formOf, hasForm } from "./form.js";

test("a call has the form of another one where nothing that a recording rests on differs", () => {
  const [a, b] = [tensor([1.5, 2]), tensor([3, 4.5])];
  const call = (x: Tensor, y: Tensor, rate: unknown): unknown => [x, { inner: [y], rate }];
  const form = formOf(call(a, b, 0.5), [[2], [2]]);
  const fits = (value: unknown): boolean => hasForm(form, value, []);
  expect(fits(call(b, a, 0.5))).toBe(true);
  expect(fits(call(a, b, 0.25))).toBe(false); // another plain value
  expect(fits(call(a, b, a))).toBe(false); // a tensor in its place
  expect(fits(call(a, a, 0.5))).toBe(false); // one variable twice
  expect(fits(call(a, tensor([1.5, 2, 3]), 0.5))).toBe(false); // another size
  expect(fits(call(a, b.to("f64"), 0.5))).toBe(false); // another dtype
  expect(fits(call(a, tensor([1.5, 2]).requiresGrad_(), 0.5))).toBe(false);
  expect(fits([a, { inner: [b], rate: 0.5, more: 1 }])).toBe(false);
  expect(fits([a, { rate: 0.5, inner: [b] }])).toBe(false); // tensors would come in another order
  expect(fits([a, { inner: [b, b], rate: 0.5 }])).toBe(false);
  expect(hasForm(formOf([a], [["n"]]), [tensor([1.5, 2, 3])], [])).toBe(true); // a symbolic size takes any
  expect(hasForm(formOf([a, a], [[2], [2]]), [b, b], [])).toBe(true);
  expect(hasForm(formOf([a, a], [[2], [2]]), [b, a], [])).toBe(false);
});
