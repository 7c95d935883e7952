/** What needs no device: references against decompositions, and derivatives against finite differences in f64. */
import { describe, expect, test } from "vitest";
import { vjp } from "../../src/autodiff/grad.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { isFloat } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";
import { allOps, type Node } from "../../src/ir/node.js";
import { input } from "../../src/ops/index.js";
import { agrees } from "./agree.js";
import { allCases, derivative, dtypesOf, makeCase, subjects } from "./cases.js";
import { draw, stream } from "./inputs.js";

const { cases, failed } = allCases();

test("every sample of every op builds and runs", () => {
  const broken = [...failed];
  for (const c of cases) {
    try {
      interpret(c.roots, c.feeds);
    } catch (error) {
      broken.push({ name: c.name, op: c.op, why: String(error) });
    }
  }
  expect(broken).toEqual([]);
});

test("every op with a computation has samples", () => {
  const bare = allOps().filter((o) => !o.samples.length && o.kind !== "leaf" && o.name !== "pick");
  expect(bare.map((o) => o.name)).toEqual([]);
});

describe("a decomposition gives what the reference gives", () => {
  const wrong: string[] = [];
  for (const op of allOps()) {
    if (!op.reference || !op.decompose) continue;
    test(op.name, () => {
      wrong.length = 0;
      op.samples.forEach((sample, at) => {
        for (const dtype of dtypesOf(sample)) {
          const c = makeCase(op, sample, at, dtype);
          const exact = interpret(c.roots, c.feeds, { exact: true });
          const own = interpret(c.roots, c.feeds);
          const got = interpret(c.roots, c.feeds, { exact: true, open: (n) => n.op === op });
          got.forEach((v, i) => {
            const verdict = agrees(v, exact[i]!, own[i]!);
            if (!verdict.ok) wrong.push(`${c.name} result ${i}: ${verdict.why}`);
          });
        }
      });
      expect(wrong).toEqual([]);
    });
  }
});

/** Sum over all pairs of elements. */
const inner = (a: readonly NdArray[], b: readonly NdArray[]): number =>
  a.reduce((s, v, k) => s + (v.data as Float64Array).reduce((t, x, i) => t + x * (b[k]!.data[i] as number), 0), 0);
const shifted = (x: NdArray, by: NdArray, h: number): NdArray =>
  new NdArray(
    x.dtype,
    x.shape,
    (x.data as Float64Array).map((v, i) => v + h * (by.data[i] as number)),
  );

/** <derivative, direction> against the central difference of <values, cotangents>. */
function differs(
  values: readonly Node[],
  wrt: readonly Node[],
  feeds: ReadonlyMap<Node, NdArray>,
  seed: string,
): { why?: string; grads: readonly Node[]; feeds: Map<Node, NdArray> } {
  const next = stream(seed);
  const all = new Map(feeds);
  const cts = values.map((v) => {
    const ct = input(v.type);
    all.set(ct, draw(next, "f64", v.type.shape as readonly number[], [-1, 1]));
    return ct;
  });
  const grads = vjp(values, cts, wrt);
  const direction = wrt.map((x) => draw(next, "f64", x.type.shape as readonly number[], [-1, 1]));
  const pairs = grads.flatMap((g, i) => (g ? [[g, direction[i]!] as const] : []));
  const analytic = inner(
    interpret(
      pairs.map(([g]) => g),
      all,
    ),
    pairs.map(([, d]) => d),
  );
  const at = (h: number): number => {
    const moved = new Map(all);
    wrt.forEach((x, i) => {
      moved.set(x, shifted(all.get(x)!, direction[i]!, h));
    });
    return inner(
      interpret(values, moved),
      cts.map((c) => all.get(c)!),
    );
  };
  const h = 1e-4;
  // Richardson: the h^2 terms of two central differences cancel.
  const coarse = (at(h) - at(-h)) / (2 * h);
  const fineStep = (at(h / 2) - at(-h / 2)) / h;
  const numeric = (4 * fineStep - coarse) / 3;
  const ok = Math.abs(analytic - numeric) <= 2e-7 * (1 + Math.abs(analytic) + Math.abs(numeric));
  return {
    grads: grads.filter((g): g is Node => g !== null),
    feeds: all,
    ...(ok ? {} : { why: `derivative ${analytic}, by differences ${numeric}` }),
  };
}

describe("derivatives are those that finite differences give, and second derivatives too", () => {
  for (const op of subjects()) {
    const samples = op.samples.map((s, at) => [s, at] as const).filter(([s]) => !s.noGrad && dtypesOf(s).some(isFloat) && s.shapes.length);
    if (!samples.length) continue;
    test(op.name, () => {
      const wrong: string[] = [];
      for (const [sample, at] of samples) {
        const c = makeCase(op, sample, at, "f64", true);
        const values = c.roots.filter((r) => r.type.dtype === "f64");
        const wrt = [...c.feeds.keys()].filter((x) => x.type.dtype === "f64");
        if (!values.length || !wrt.length) continue;
        const first = differs(values, wrt, c.feeds, c.name);
        if (first.why) wrong.push(`${c.name}: ${first.why}`);
        if (!first.grads.length) continue;
        const inputs = [...first.feeds.keys()].filter((x) => x.type.dtype === "f64");
        const second = differs(first.grads, inputs, first.feeds, `${c.name} again`);
        if (second.why) wrong.push(`${c.name}, second: ${second.why}`);
      }
      expect(wrong).toEqual([]);
    });
  }
});

test("a derivative graph runs in every dtype", () => {
  const broken: string[] = [];
  for (const c of cases) {
    try {
      const d = derivative(c);
      if (d) interpret(d.roots, d.feeds);
    } catch (error) {
      broken.push(`${c.name}: ${error}`);
    }
  }
  expect(broken).toEqual([]);
});
