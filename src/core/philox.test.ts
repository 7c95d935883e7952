import { expect, test } from "vitest";
import { advance, philox, randomWords } from "./philox.js";

const hex = (words: Uint32Array): string => [...words].map((w) => w.toString(16).padStart(8, "0")).join(" ");

test("known answers of Random123", () => {
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  const ones = 0xffffffff;
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

test("words come from blocks, whatever the length", () => {
  const state = [1, 2, 3, 4];
  const ten = randomWords(state, 7, 10);
  expect(hex(ten.slice(4, 8))).toBe(hex(philox([1, 7, 3, 4], [1, 2])));
  expect([...randomWords(state, 7, 3)]).toEqual([...ten.slice(0, 3)]);
  expect([...randomWords(state, 8, 3)]).not.toEqual([...ten.slice(0, 3)]);
  expect([...advance([1, 2, 0xffffffff, 4], 2)]).toEqual([1, 2, 1, 5]);
});
