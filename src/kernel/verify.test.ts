import { describe, expect, test } from "vitest";
import { webgpuTarget } from "../backends/webgpu/target.js";
import { add, indexOn, min, mod, variable } from "../core/expr.js";
import { apply, at, axis, type Buffer, below, constant, type Kernel, load, loops, ref, type Stmt, store, type Value } from "./kernel.js";
import { verifyKernel } from "./verify.js";

const n = variable("n", 0, 1000);
const x: Buffer = { name: "x", dtype: "f32", space: "global", size: n };
const y: Buffer = { name: "y", dtype: "f32", space: "global", size: n, writes: true };
const ids: Buffer = { name: "ids", dtype: "i64", space: "global", size: 8 };
const r: Buffer = { name: "r", dtype: "f32", space: "reg", size: 4 };
const half: Buffer = { name: "half", dtype: "bf16", space: "global", size: 512 };
const wide: Buffer = { name: "wide", dtype: "f32", space: "shared", size: 256 };
const i = axis("i", n, "loop");
const kernel = (body: readonly Stmt[], more: Partial<Kernel> = {}): Kernel => ({
  name: "k",
  buffers: [x, y, ids, r],
  dims: [n],
  grid: 1,
  threads: 1,
  body,
  ...more,
});
const inLoop = (body: readonly Stmt[]): Kernel => kernel(loops([i], body));
const position = indexOn("i", n);
const one = constant(1, "f32");

describe("a kernel is accepted", () => {
  const good: readonly (readonly [string, Kernel])[] = [
    ["a map", inLoop([store(y, position, load(x, position))])],
    ["bounds from the loop alone", inLoop([store(y, at(i), load(x, at(i)))])],
    ["bounds from a test", inLoop([{ kind: "if", test: below(add(position, 3), n), body: [store(y, add(position, 3), one)] }])],
    [
      "bounds from the other side of a test",
      inLoop([{ kind: "if", test: below(add(position, 3), n), body: [], else: [store(y, position, one)] }]),
    ],
    [
      "a load that its select guards",
      inLoop([
        store(y, position, { kind: "select", dtype: "f32", tests: [below(0, position)], then: load(x, add(position, -1)), else: one }),
      ]),
    ],
    [
      "an index read from memory",
      kernel([
        { kind: "letIndex", name: "at", value: load(ids, 3), min: 0, max: add(n, -1) },
        { kind: "if", test: below(0, n), body: [store(y, indexOn("at", n), one)] },
      ]),
    ],
    [
      "bounds from a test of a digit that has merged in the index",
      kernel(
        [{ kind: "if", test: below(mod(variable("tid", 0, 63), 32), 8), body: [store({ ...y, size: 40 }, variable("tid", 0, 63), one)] }],
        {
          buffers: [{ ...y, size: 40 }],
          threads: 64,
        },
      ),
    ],
    ["lanes into registers", kernel(loops([axis("l", 4, "vector")], [store(r, indexOn("l", 4), one)]))],
    [
      "a turn of words of halves",
      kernel([{ kind: "turn", to: ref({ ...wide, dtype: "u32" }, 0), toStride: 16, from: ref(half, 0), fromStride: 32, rows: 16 }], {
        buffers: [{ ...wide, dtype: "u32" }, half],
      }),
    ],
    ["code that never runs", kernel([{ kind: "if", test: below(5, 3), body: [store(y, 7000, one)] }])],
  ];
  test.each(good)("%s", (_name, k) => {
    expect(verifyKernel(k)).toBe(k);
  });
});

describe("a kernel is refused", () => {
  const cast: Value = apply("cast", "f32", load(ids, 0));
  const bad: readonly (readonly [string, Kernel, RegExp])[] = [
    ["beyond its buffer", inLoop([store(y, add(position, 1), one)]), /y\[.*may be beyond n/],
    ["below its buffer", inLoop([store(y, add(position, -1), one)]), /may be below 0/],
    ["a variable that claims less than its loop runs", inLoop([store(y, variable("i", 0, 5), one)]), /takes i to be in 0 to 5/],
    ["a variable that claims a smaller end", inLoop([store(y, indexOn("i", add(n, -2)), one)]), /takes i to be/],
    [
      "a dim that is not declared",
      kernel([store(y, 0, { kind: "index", dtype: "i32", expr: variable("m", 0, 9) })]),
      /uses m, which is not declared/,
    ],
    [
      "a name declared twice",
      kernel([
        { kind: "let", name: "v", value: one },
        { kind: "let", name: "v", value: one },
      ]),
      /v is declared twice/,
    ],
    ["a name used before its let", inLoop([store(y, position, { kind: "ref", dtype: "f32", name: "v" })]), /v is used before its let/],
    [
      "a name used after its scope",
      kernel([...loops([i], [{ kind: "let", name: "v", value: one }]), store(r, 0, { kind: "ref", dtype: "f32", name: "v" })]),
      /v is used before its let/,
    ],
    ["a store of another dtype", inLoop([store(y, position, load(ids, 0))]), /i64\) is stored in y \(f32\)/],
    ["an operation on two dtypes", kernel([store(r, 0, apply("add", "f32", one, load(ids, 0)))]), /add of f32, i64 says f32/],
    ["a comparison that is not bool", kernel([store(r, 0, apply("lt", "f32", one, cast))]), /lt of f32, f32 says f32/],
    ["a write to what is only read", inLoop([store(x, position, one)]), /x is written and not declared so/],
    ["lanes inside lanes", kernel(loops([axis("l", 4, "vector"), axis("m", 4, "vector")], [store(r, 0, one)])), /inside another/],
    ["unrolling over a symbolic size", kernel(loops([axis("u", n, "unroll")], [store(r, 0, one)])), /not constant/],
    ["a buffer that is not there", kernel([store({ ...y, name: "z" }, 0, one)]), /there is no buffer z/],
    [
      "a combine into memory",
      kernel([{ kind: "combine", op: "add", axes: [axis("c", 4, "vector")], threads: 1, value: one, into: ref(ids, 0) }]),
      /not a register/,
    ],
    ["one that may run twice", { ...kernel([]), runs: min(2, n) }, /whether it runs is .*, neither 0 nor 1/],
    ["a copy that runs over", kernel([{ kind: "copy", to: ref(r, 1), from: ref(ids, 0), count: 4 }]), /may be beyond 4/],
    [
      "a copy that would have to convert",
      kernel([{ kind: "copy", to: ref(r, 0), from: ref(ids, 0), count: 2 }]),
      /ids \(i64\) is moved into r \(f32\)/,
    ],
    [
      "a turn that would have to widen",
      kernel([{ kind: "turn", to: ref(wide, 0), toStride: 16, from: ref(half, 0), fromStride: 32, rows: 16 }], { buffers: [wide, half] }),
      /half \(bf16\) is moved into wide \(f32\)/,
    ],
  ];
  test.each(bad)("%s", (_name, k, message) => {
    expect(() => verifyKernel(k)).toThrow(message);
  });

  test("what the target cannot hold", () => {
    const t = webgpuTarget();
    const many = Array.from({ length: 9 }, (_, j): Buffer => ({ ...x, name: `b${j}z` }));
    expect(() => verifyKernel({ ...kernel([]), buffers: many }, t)).toThrow(/9 bindings of buffers, and the target has 8/);
    expect(() => verifyKernel({ ...kernel([]), buffers: [{ ...r, name: "s", space: "shared", size: 5000 }] }, t)).toThrow(
      /20000 bytes of shared memory/,
    );
    expect(() => verifyKernel({ ...kernel([]), buffers: [], threads: 512 }, t)).toThrow(/512 threads/);
    expect(() => verifyKernel({ ...kernel([]), buffers: [{ ...ids, dtype: "f64" }] }, t)).toThrow(/ids is f64/);
  });
});
