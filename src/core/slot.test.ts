import { expect, test } from "vitest";
import { slot } from "./slot.js";

test("a slot's values belong to its objects alone", () => {
  const [a, b] = [slot<object, number>(), slot<object, string>()];
  const frozen = Object.freeze({ x: 1 });
  a.set(frozen, 1);
  b.set(frozen, "one");
  a.set(frozen, 2);
  expect([a.get(frozen), b.get(frozen), a.get({ ...frozen }), b.get({})]).toEqual([2, "one", undefined, undefined]);
  expect(Reflect.ownKeys(frozen)).toEqual(["x"]);
});
