import { expect, test } from "vitest";
import { type Dim, indexOn, variable } from "../core/expr.js";
import { dependencyProblems, withAwait } from "./dependency.js";
import { type Buffer, below, constant, type Kernel, load, type Stmt, store } from "./kernel.js";
import { verifyKernel } from "./verify.js";

const weights: Buffer = { name: "w", dtype: "f32", space: "global", size: 64, fixed: true };
const x: Buffer = { name: "x", dtype: "f32", space: "global", size: 64 };
const y: Buffer = { name: "y", dtype: "f32", space: "global", size: 64, writes: true };
const near: Buffer = { name: "near", dtype: "f32", space: "shared", size: 32 };
const register: Buffer = { name: "r", dtype: "f32", space: "reg", size: 1 };
const [pid, tid] = [indexOn("pid", 2), variable("tid", 0, 31)];
const awaiting: Stmt = { kind: "dependency", op: "await" };
const copy: Stmt = { kind: "copy", to: { buffer: "near", index: tid }, from: { buffer: "w", index: tid }, count: 1 };
const fetch: Stmt = store(register, 0, load(weights, tid));
const use: Stmt = store(y, tid, load(x, tid));

const kernel = (body: readonly Stmt[]): Kernel => ({
  name: "k",
  buffers: [weights, x, y, near, register],
  dims: [],
  grid: 2,
  threads: 32,
  body,
});
const known = new Map(kernel([]).buffers.map((b) => [b.name, b]));
const shown = (body: readonly Stmt[]): unknown[] =>
  withAwait(body, known).map((s) => (s.kind === "if" ? [s.body.map((t) => t.kind), s.else?.map((t) => t.kind)] : s.kind));

test("what reads fixed buffers stays in front, everything else comes behind", () => {
  expect(shown([copy, { kind: "commit" }, fetch, use, fetch])).toEqual(["copy", "commit", "store", "dependency", "store", "store"]);
  expect(shown([fetch])).toEqual(["store", "dependency"]);
  expect(shown([store(y, tid, constant(0, "f32"))])).toEqual(["dependency", "store"]);
});
test("branches of grid points wait in each of them, those of threads together", () => {
  const branch = (test: readonly [Dim, Dim]): Stmt => ({ kind: "if", test: below(...test), body: [copy, use] });
  expect(shown([branch([pid, 1])])).toEqual([[["copy", "dependency", "store"], ["dependency"]]]);
  expect(shown([branch([0, 1]), use])).toEqual([[["copy", "dependency", "store"], undefined], "store"]);
  expect(shown([branch([tid, 1])])).toEqual(["dependency", [["copy", "store"], undefined]]);
  for (const test of [
    [pid, 1],
    [0, 1],
    [tid, 1],
  ] as const)
    verifyKernel(kernel(withAwait([branch(test), use], known)));
});
test("kernels that wait too late, twice, or with some of their threads are refused", () => {
  const problems = (...body: Stmt[]): string => dependencyProblems(kernel(body)).join();
  expect(problems(use)).toBe("");
  expect(problems(fetch, awaiting, use)).toBe("");
  expect(problems(use, awaiting)).toMatch("before the await");
  expect(problems(awaiting, awaiting)).toMatch("twice");
  expect(problems({ kind: "if", test: below(tid, 1), body: [awaiting] })).toMatch("some threads");
  expect(problems({ kind: "if", test: below(pid, 1), body: [awaiting] }, use)).toMatch("one branch");
  expect(() => verifyKernel(kernel([use, awaiting]))).toThrow("before the await");
});
