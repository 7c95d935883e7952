import { describe, expect, test } from "vitest";
import { randomKernel } from "../../../test/support/random-kernel.js";
import { add, indexOn, mul, sub, variable } from "../../core/expr.js";
import { apply, axis, type Buffer, below, constant, indexValue, type Kernel, load, loops, ref, store } from "../kernel.js";
import { kernelText, readKernel, writeKernel } from "../save.js";
import { serial } from "../serial.js";
import { showKernel } from "../show.js";
import { verifyKernel } from "../verify.js";
import { interpretKernel } from "./index.js";

const threads = 8;
const x: Buffer = { name: "x", dtype: "f32", space: "global", size: 16 };
const y: Buffer = { name: "y", dtype: "f32", space: "global", size: 16, writes: true };
const shared: Buffer = { name: "s", dtype: "f32", space: "shared", size: threads };
const sum: Buffer = { name: "sum", dtype: "f32", space: "reg", size: 1 };
const tid = variable("tid", 0, threads - 1);
const here = add(mul(variable("pid", 0, 1), threads), tid);
/** Each block turns its values round and adds the sum of each half. */
const turned: Kernel = {
  name: "turned",
  buffers: [x, y, shared, sum],
  dims: [],
  grid: 2,
  threads,
  body: [
    { kind: "let", name: "v", value: load(x, here) },
    store(shared, tid, { kind: "ref", dtype: "f32", name: "v" }),
    { kind: "barrier" },
    ...loops(
      [axis("again", 2, "loop")],
      [
        { kind: "combine", op: "add", axes: [], threads: 4, value: { kind: "ref", dtype: "f32", name: "v" }, into: ref(sum, 0) },
        { kind: "barrier" },
      ],
    ),
    { kind: "letIndex", name: "other", value: indexValue(sub(threads - 1, tid), "i32"), min: 0, max: threads - 1 },
    { kind: "barrier" },
    store(y, here, apply("add", "f32", load(shared, indexOn("other", threads)), load(sum, 0))),
  ],
};
const input = (): Float64Array => Float64Array.from({ length: 16 }, (_, i) => i);
const want = Array.from({ length: 16 }, (_, i) => {
  const [block, t] = [Math.floor(i / 8), i % 8];
  const half = Math.floor(t / 4) * 4;
  return block * 8 + 7 - t + [0, 1, 2, 3].reduce((s, k) => s + block * 8 + half + k, 0);
});

describe("kernels of several threads", () => {
  test("run in step", () => {
    const out = new Float64Array(16);
    interpretKernel(verifyKernel(turned), [input(), out]);
    expect([...out]).toEqual(want);
  });
  test("run one after another between barriers", () => {
    const out = new Float64Array(16);
    interpretKernel(verifyKernel(serial(turned)), [input(), out]);
    expect([...out]).toEqual(want);
  });
  test("that wait at different barriers are an error", () => {
    const k: Kernel = { ...turned, body: [{ kind: "if", test: below(tid, 4), body: [{ kind: "barrier" }] }] };
    expect(() => interpretKernel(k, [input(), new Float64Array(16)])).toThrow(/wait for each other/);
    expect(() => serial(k)).toThrow(/differs from thread to thread/);
  });
});

test("an index outside its buffer is an error", () => {
  const k: Kernel = { ...turned, threads: 1, grid: 1, body: [store(y, 16, constant(1, "f32"))] };
  expect(() => interpretKernel(k, [input(), new Float64Array(16)])).toThrow(/y\[16\] is outside its 16 elements/);
});

test("a kernel is plain data: text, with canonical text", () => {
  expect(showKernel(turned)).toContain("s[tid] = v");
  const copy: Kernel = { ...turned, name: "another", body: structuredCloneOf(turned.body) };
  expect(kernelText(copy)).toBe(kernelText(turned));
  const zero = (value: number): Kernel => ({ ...turned, body: [store(y, 0, constant(value, "f32"))] });
  const all = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((v) => kernelText(zero(v)));
  expect(new Set(all).size).toBe(5);
  expect(kernelText({ ...turned, body: [store(y, 0, constant(1n, "i64"))] })).not.toBe(
    kernelText({ ...turned, body: [store(y, 0, constant(1, "i64"))] }),
  );
});
test("kernels are read back as they were written", () => {
  for (const k of [turned, serial(turned), ...Array.from({ length: 20 }, (_, i) => randomKernel(i + 1))]) {
    const again = readKernel(writeKernel(k));
    expect(again).toEqual(k);
    expect(writeKernel(again)).toBe(writeKernel(k));
  }
});
test("what is not a kernel is not read", () => {
  const text = writeKernel(turned);
  const broken: readonly (readonly [string, RegExp])[] = [
    ["{", /not JSON/],
    ["[]", /not a record/],
    [text.replace('"barrier"', '"barrel"'), /no stmt called barrel/],
    [text.replace('"threads":8', '"threads":8.5'), /not a whole number/],
    [text.replace('"f32"', '"f31"'), /no dtype f31/],
    [text.replace('"size":8', '"size":7'), /may be beyond 7/],
    [text.replace('"grid":2', '"grid":3'), /takes pid to be in 0 to 1/],
    [text.replace('"kind":"let"', '"kind":"let","more":1'), /a let has no more/],
    [text.replace('"kind":"let"', '"kind":"__proto__"'), /no stmt called/],
    [`${"[".repeat(5000)}${"]".repeat(5000)}`, /not a record/],
  ];
  for (const [t, message] of broken) expect(() => readKernel(t)).toThrow(message);
});
/** New objects around the same expressions. */
function structuredCloneOf<T>(v: T): T {
  if (Array.isArray(v)) return v.map(structuredCloneOf) as T;
  if (typeof v !== "object" || v === null || "terms" in v) return v;
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, structuredCloneOf(x)])) as T;
}
