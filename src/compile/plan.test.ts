import { describe, expect, test } from "vitest";
import { schedule, simulate } from "../../test/compile/simulate.js";
import { interp } from "../backends/interp/index.js";
import { interpret } from "../backends/interp/interpret.js";
import { nullBackend } from "../backends/null/index.js";
import { NdArray } from "../core/ndarray.js";
import { type Graph, roots } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { scatterTemplate } from "../kernel/templates/scatter.js";
import { add, mul, neg, sqrt, sub } from "../ops/elementwise.js";
import { scatterInto } from "../ops/gather.js";
import { flip, reshape, slice } from "../ops/movement.js";
import { normal } from "../ops/random.js";
import { sum } from "../ops/reduce.js";
import { full, input, scalar } from "../ops/source.js";
import { compile } from "./index.js";

const leaf = (name: string, shape: readonly number[] = [4]): Node => input({ shape, dtype: "f32" }, name);
const value = (n: Node, from: number): NdArray => NdArray.of("f32", n.type.shape as readonly number[], (_i, k) => from + k);

/** Simulates on both kinds of target, compares with the interpreter, and gives the copies of the kernel target's program. */
function check(g: Graph): string[] {
  const feeds = new Map([...g.inputs, ...g.state].map((n, i) => [n, value(n, 10 * i + 1)]));
  const expected = interpret(roots(g), feeds);
  const copies: string[][] = [];
  for (const backend of [interp, nullBackend]) {
    const s = schedule(g, backend.codegen());
    const got = simulate(s, feeds);
    for (const i of g.outputs.keys()) expect([...got.outputs[i]!.data]).toEqual([...expected[i]!.data]);
    const after = new Map(g.updates.map((u, i) => [u.state, expected[g.outputs.length + i]!]));
    for (const [i, n] of g.state.entries()) expect([...got.state[i]!.data]).toEqual([...(after.get(n) ?? feeds.get(n)!).data]);
    copies.push(s.order.flatMap((t) => (t.kind === "copy" ? t.why : [])));
  }
  return copies[1]!;
}
const graph = (inputs: Node[], state: Node[], outputs: Node[], updates: [Node, Node][] = []): Graph => ({
  inputs,
  state,
  outputs,
  updates: updates.map(([s, v]) => ({ state: s, value: v })),
});

describe("updates", () => {
  test("a state is written in place", () => {
    const [s, x] = [leaf("s"), leaf("x")];
    expect(check(graph([x], [s], [], [[s, add(s, x)]]))).toEqual([]);
  });
  test("an output may read the new value", () => {
    const [s, x] = [leaf("s"), leaf("x")];
    const next = add(s, x);
    expect(check(graph([x], [s], [sum(next, [0])], [[s, next]]))).toEqual([]);
  });
  test("the new value is an output too: one copy", () => {
    const [s, x] = [leaf("s"), leaf("x")];
    const next = add(s, x);
    expect(check(graph([x], [s], [next], [[s, next]]))).toEqual(["output 0 is a copy: it is state"]);
  });
  test("readers of the old value come before the writer", () => {
    const [s, x] = [leaf("s"), leaf("x")];
    expect(check(graph([x], [s], [sum(s, [0]), flip(s, [0])], [[s, mul(s, x)]]))).toEqual([]);
  });
  test("a reader of the old and the new value: a copy that is named", () => {
    const [s, x] = [leaf("s"), leaf("x")];
    const next = mul(s, x);
    const both = add(flip(next, [0]), flip(s, [0]));
    expect(check(graph([x], [s], [both], [[s, next]]))).toEqual([
      "s is not written in place: add reads the old value and needs the new one",
    ]);
  });
  test("a group that reads the old value elsewhere does not write over it", () => {
    const s = leaf("s");
    expect(check(graph([], [s], [], [[s, flip(s, [0])]]))).toEqual([
      "s is not written in place: flip reads the old value at other positions",
    ]);
  });
  test("positions that are data: a scatter writes into the state", () => {
    const [s, x, at] = [leaf("s", [8, 4]), leaf("x", [2, 4]), input({ shape: [2], dtype: "i64" }, "at")];
    const next = scatterInto(s, at, x, 0, "set");
    const claims = { ...nullBackend.codegen(), claims: [scatterTemplate] };
    const copies = (g: Graph): string[] => schedule(g, claims).order.flatMap((t) => (t.kind === "copy" ? t.why : []));
    expect(copies(graph([x, at], [s], [], [[s, next]]))).toEqual([]);
    expect(copies(graph([x, at], [s], [sum(mul(next, next), [0])], [[s, next]]))).toEqual([]);
    // The old value is read after the new one was written.
    expect(copies(graph([x, at], [s], [sub(next, s)], [[s, next]]))).toHaveLength(1);
    // The source reads what is written; computed before, it is in no one's way.
    const twice = scatterInto(s, at, slice(s, [0, 0], [2, 4]), 0, "set");
    expect(copies(graph([x, at], [s], [], [[s, twice]]))).toHaveLength(1);
    const before = scatterInto(s, at, add(x, slice(s, [0, 0], [2, 4])), 0, "set");
    expect(copies(graph([x, at], [s], [], [[s, before]]))).toEqual([]);
  });
  test("states swap", () => {
    const [a, b] = [leaf("a"), leaf("b")];
    expect(
      check(
        graph(
          [],
          [a, b],
          [],
          [
            [a, b],
            [b, a],
          ],
        ),
      ).length,
    ).toBe(4);
  });
  test("a state takes the old value of another that changes", () => {
    const [a, b] = [leaf("a"), leaf("b")];
    check(
      graph(
        [],
        [a, b],
        [add(a, b)],
        [
          [a, b],
          [b, neg(b)],
        ],
      ),
    );
    check(
      graph(
        [],
        [a, b],
        [],
        [
          [b, neg(b)],
          [a, b],
        ],
      ),
    );
  });
  test("two states take one value, one takes an input, one keeps its own", () => {
    const [a, b, c, d, x] = [leaf("a"), leaf("b"), leaf("c"), leaf("d"), leaf("x")];
    const v = neg(a);
    check(
      graph(
        [x],
        [a, b, c, d],
        [a, x],
        [
          [a, v],
          [b, v],
          [c, x],
          [d, d],
        ],
      ),
    );
  });
  test("a chain of states", () => {
    const s = ["a", "b", "c", "d"].map((n) => leaf(n));
    check(
      graph(
        [],
        s,
        [s[3]!],
        s.map((x, i) => [x, i ? add(s[i - 1]!, x) : neg(x)]),
      ),
    );
    check(
      graph(
        [],
        s,
        [],
        s.map((x, i) => [x, s[(i + 1) % 4]!]),
      ),
    );
  });
});

describe("outputs", () => {
  test("inputs, states and constants are copied", () => {
    const [x, s] = [leaf("x"), leaf("s")];
    expect(check(graph([x], [s], [x, s, scalar(3, "f32"), reshape(x, [2, 2])], [[s, neg(s)]])).length).toBe(4);
  });
  test("one node twice", () => {
    const x = leaf("x");
    const y = sqrt(x);
    expect(check(graph([x], [], [y, y, reshape(y, [2, 2])])).length).toBe(2);
  });
  test("size 0", () => {
    const x = leaf("x", [0, 3]);
    expect(check(graph([x], [], [neg(x), sum(x, [0]), x]))).toEqual([]);
    expect(compile(graph([x], [], [neg(x)]), nullBackend.codegen()).steps).toEqual([]);
  });
  test("full and views of constants", () => {
    check(graph([], [], [full([2, 3], 1.5), flip(full([4], 2), [0])]));
  });
});

test("programs name their ports", () => {
  const [x, s] = [leaf("x"), leaf("s")];
  const p = compile(graph([x], [s], [add(x, s)], [[s, neg(s)]]), interp.codegen(), { name: "step", outputNames: ["y"] });
  expect([p.name, p.inputs[0]!.name, p.state[0]!.name, p.outputs[0]!.name]).toEqual(["step", "x", "s", "y"]);
  expect(p.steps.map((t) => t.kind)).toEqual(["host", "host"]);
});

test("what is written over has the dtype of what is written, where few buffers make values of other dtypes cross kernels", () => {
  const { target, ...codegen } = nullBackend.codegen();
  const state = input({ shape: [4], dtype: "u32" }, "state");
  const y = add(mul(normal(state, [1024], 0), scalar(2, "f32")), scalar(1, "f32"));
  for (const maxBuffers of [2, 4])
    expect(
      compile(graph([state], [], [y]), { ...codegen, target: { ...target, maxBuffers } }, { verify: true }).steps.length,
    ).toBeGreaterThan(1);
});
