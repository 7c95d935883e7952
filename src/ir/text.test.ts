import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../core/errors.js";
import { div, min, mod, add as plus, mul as times, variable, xor } from "../core/expr.js";
import { add, cast, exp, lt, mul, neg, where } from "../ops/elementwise.js";
import { cat, expand, flip, permute, reshape, slice, sum, unslice } from "../ops/index.js";
import { full, input, scalar } from "../ops/source.js";
import { parseAttrs, writeAttrs } from "./attrs.js";
import type { Graph } from "./graph.js";
import { graphKey, intern } from "./intern.js";
import { type Attrs, allOps, make, type Node, type Op, op } from "./node.js";
import { parseGraph } from "./parse.js";
import { pick } from "./pick.js";
import { printGraph } from "./print.js";
import { verifyGraph } from "./verify.js";

const n = variable("n", 1, 256);
const m = variable("m", 0, 64);

/** An op with a graph inside. */
const callOp: Op<[Node], { body: Graph; note: string }> = op<[Node], { body: Graph; note: string }>({
  name: "testCall",
  kind: "opaque",
  infer: ([x]) => x,
});
const body = (): Graph => {
  const x = input({ shape: [n, 3], dtype: "f32" }, "inner");
  return { inputs: [x], state: [], outputs: [neg(x)], updates: [] };
};

/** The text gives the graph back. */
function roundTrip(g: Graph): void {
  const text = printGraph(g);
  const back = parseGraph(text);
  expect(printGraph(back)).toBe(text);
  expect(graphKey(back)).toBe(graphKey(g));
}
const graphOf = (outputs: readonly Node[], inputs: readonly Node[]): Graph => ({ inputs, state: [], outputs, updates: [] });

describe("attributes", () => {
  test("are exact", () => {
    const attrs: Attrs = {
      a: Number.NaN,
      b: Infinity,
      c: -Infinity,
      d: -0,
      e: 0.1,
      f: 5e-324,
      g: 1.7976931348623157e308,
      h: 2n ** 63n,
      i: -1n,
      j: 'quote " \\ line\nend ☃ \ud800',
      k: true,
      l: false,
      m: null,
      o: [[], [1, [2n, "x"]]],
      p: plus(times(n, 2), min(m, n), mod(n, 7), div(n, m), xor(m, 3), -5),
      q: variable("i", 0, 255, n),
      r: [n, 3],
      s: 0,
      t: 1e21,
      u: -1.5e-7,
    };
    const back = parseAttrs(writeAttrs(attrs));
    expect(Object.keys(back)).toEqual(Object.keys(attrs));
    for (const [name, a] of Object.entries(attrs)) {
      if (Array.isArray(a)) expect(back[name]).toStrictEqual(a);
      else expect(Object.is(back[name], a), name).toBe(true);
    }
  });
  test("have one text, whatever the order", () => {
    expect(writeAttrs({ b: 1, a: -0 })).toBe("{a=-0, b=1}");
    expect(writeAttrs({ x: 1 })).not.toBe(writeAttrs({ x: 1n }));
    expect(writeAttrs({ x: "1" })).not.toBe(writeAttrs({ x: 1 }));
    expect(writeAttrs({ x: "nan" })).not.toBe(writeAttrs({ x: Number.NaN }));
  });
  test("any plain data", () => {
    const leaf = fc.oneof(fc.double(), fc.bigInt(), fc.string({ unit: "binary" }), fc.boolean(), fc.constant(null));
    const { attr } = fc.letrec((tie) => ({ attr: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("attr"), { maxLength: 4 })) }));
    fc.assert(
      fc.property(attr, (a) => {
        const text = writeAttrs({ a } as Attrs);
        expect(writeAttrs(parseAttrs(text))).toBe(text);
        expect(parseAttrs(text).a).toStrictEqual(a);
      }),
      { numRuns: 2000 },
    );
  });
  test("hostile text", () => {
    for (const text of [
      "",
      "{",
      "{a}",
      "{a=}",
      "{a=1",
      "{a=1}}",
      "{a=1, a=2}",
      "{__proto__=1}",
      "{a=[}",
      '{a="\\x"}',
      "{a=<n>}",
      "{a=<1/0>}",
      "{a=<99999999999999999999>}",
      "{a=<(((>}",
      `{a=${"[".repeat(10000)}`,
      `{a=<${"(".repeat(10000)}>}`,
      "{a=<n | n 5 1>}",
      "{a=<2*n | n 0 9007199254740991>, b=<9007199254740991*n*n*9007199254740991 | n 0 9007199254740991>}",
      "{a=<1|>}",
      "{a=graph}",
      `{a=<${"abcdefghijklmnopqrstuvwxy"
        .split("")
        .map((c) => `(${c}+z)`)
        .join("*")} | ${"abcdefghijklmnopqrstuvwxyz"
        .split("")
        .map((c) => `${c} 0 9`)
        .join(", ")}>}`,
    ])
      expect(() => parseAttrs(text), text.slice(0, 60)).toThrow(FormatError);
  });
});

test("every sample of every op", () => {
  for (const o of allOps())
    o.samples.forEach((sample, at) => {
      const inputs = sample.shapes.map((shape, i) => input({ shape, dtype: sample.dtypes?.[i] ?? sample.test?.[0] ?? "f32" }, `x${i}`));
      const got = sample.call(...inputs);
      const outputs = ("op" in got ? [got] : got).flatMap((r) => (r.tuple ? r.tuple.map((_, i) => pick(r, i)) : [r]));
      const g = graphOf(outputs, inputs);
      try {
        verifyGraph(g);
        roundTrip(g);
      } catch (e) {
        throw new Error(`${o.name}, sample ${at}`, { cause: e });
      }
    });
});

/** A graph over real ops from a list of choices. */
function build(choices: readonly number[]): Graph {
  let at = 0;
  const choose = (k: number): number => (choices[at++ % choices.length] ?? 0) % k;
  const x = input({ shape: [n, 3, 2], dtype: "f32" }, "x");
  const w = input({ shape: [2], dtype: "f64" }, 'w "\n');
  const s = input({ shape: [n, 3, 2], dtype: "f32" }, "s");
  const values: Node[] = [x, s];
  const any = (): Node => values[choose(values.length)]!;
  for (let k = 0; k < choices.length; k++) {
    const a = any();
    const b = any();
    const made: Node = [
      () => add(a, b),
      () => mul(a, full([n, 3, 2], [0.1, Number.NaN, -0, -Infinity][choose(4)]!)),
      () => where(lt(a, b), a, exp(b)),
      () => permute(permute(a, [2, 0, 1]), [1, 2, 0]),
      () => reshape(reshape(a, [times(n, 6)]), [n, 3, 2]),
      () => flip(a, [choose(3)]),
      () => cat([slice(a, [0, 1, 0], [n, 2, 2]), slice(b, [0, 0, 0], [n, 1, 2])], 1),
      () => slice(unslice(a, [plus(n, 4), 3, 2], [2, 0, 0], [1, 1, 1], choose(3) - 1), [2, 0, 0], [n, 3, 2]),
      () => expand(sum(a, [choose(3)], { keepdim: true }), [n, 3, 2]),
      () => cast(add(cast(a, "f64"), w), "f32"),
      () => mul(a, scalar(choose(7) / 3, "f32")),
      () => make(callOp, [a], { body: choose(2) ? body() : { ...body(), inputs: body().inputs, outputs: [] }, note: "x" }),
    ][choose(12)]!();
    values.push(made);
  }
  return {
    inputs: [x, w],
    state: [s],
    outputs: [values.at(-1)!, values[choose(values.length)]!],
    updates: choose(2) ? [{ state: s, value: values.at(-1)! }] : [],
  };
}

test("random graphs", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }), (choices) => {
      const g = build(choices);
      verifyGraph(g);
      roundTrip(g);
      const i = intern(g);
      verifyGraph(i);
      roundTrip(i);
      expect(intern(i)).toBe(i);
    }),
    { numRuns: 300 },
  );
});

test("hostile text is refused, not obeyed", () => {
  const text = printGraph(build([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9]));
  let seed = 5;
  const random = (k: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return Math.floor(((seed >>> 8) / 2 ** 24) * k);
  };
  const pieces = [
    "%0",
    "%99",
    "<n>",
    "-1",
    "1e300",
    "9007199254740993",
    "[]",
    "{",
    "}",
    "(",
    "graph {",
    "nan",
    '"',
    "\n",
    "dim n 1 1",
    "inputs",
    "5n",
    "null",
    "axes=",
    "shape=",
    "reshape",
    "cat",
    "f64",
  ];
  let accepted = 0;
  for (let k = 0; k < 3000; k++) {
    let t = text;
    for (let e = 0; e <= random(3); e++) {
      const at = random(t.length);
      const cut = random(4) === 0 ? random(200) : random(6);
      t = t.slice(0, at) + (random(2) ? pieces[random(pieces.length)]! : "") + t.slice(at + cut);
    }
    try {
      verifyGraph(parseGraph(t));
      accepted++;
    } catch (e) {
      if (!(e instanceof FormatError)) throw new Error(`${(e as Error).message} for\n${t}`, { cause: e });
    }
  }
  expect(accepted).toBeLessThan(1500);
  for (const t of [
    "",
    "graph",
    "graph {",
    "graph {\n  inputs\n  outputs %0\n}",
    "graph {\n  inputs\n  outputs\n} more",
    "graph {\n  %0 = nothing : f32[]\n  inputs\n  outputs\n}",
    `${"graph {\n %0 = testCall {body=".repeat(1000)}`,
  ])
    expect(() => parseGraph(t), t.slice(0, 50)).toThrow(FormatError);
});
