/** Every sample of every op in every dtype, as one list of cases. */
import { vjp } from "../../src/autodiff/grad.js";
import { type DType, isFloat } from "../../src/core/dtype.js";
import { UnsupportedError } from "../../src/core/errors.js";
import type { NdArray } from "../../src/core/ndarray.js";
import { isStatic } from "../../src/core/type.js";
import { topo, type Update } from "../../src/ir/graph.js";
import { allOps, type Node, type Sample } from "../../src/ir/node.js";
import { pick } from "../../src/ir/pick.js";
import { input } from "../../src/ops/source.js";
import { functionSamples } from "./functions.js";
import { draw, drawApart, stream } from "./inputs.js";

/** Values to compute, and what they are computed from. */
export interface Case {
  readonly name: string;
  readonly op: string;
  readonly roots: readonly Node[];
  readonly feeds: ReadonlyMap<Node, NdArray>;
  /** As in its sample. */
  readonly special?: boolean;
  /** Fed leaves that live between calls, and what they become. */
  readonly updates?: readonly Update[];
}
/** Everything a case computes: its results, then the new values of its state. */
export const valuesOf = (c: Case): readonly Node[] => [...c.roots, ...(c.updates ?? []).map((u) => u.value)];

const defaultDTypes: readonly DType[] = ["f16", "bf16", "f32", "f64"];
/** The dtypes that a sample runs with. An op without inputs runs once. */
export const dtypesOf = (s: Sample): readonly DType[] => (s.test ? s.test : s.shapes.length ? defaultDTypes : ["f32"]);

/** One sample in one dtype. `apart`: no two floats of an input are close, for finite differences. */
export function makeCase(op: Subject, sample: Sample, at: number, dtype: DType, apart = false): Case {
  const name = `${op.name}.${at} ${dtype}`;
  const next = stream(name);
  const feeds = new Map<Node, NdArray>();
  const inputs = sample.shapes.map((shape, i) => {
    const own = sample.dtypes?.[i] ?? dtype;
    const node = input({ shape, dtype: own }, `x${i}`);
    const range = sample.range ?? [-2, 2];
    const mine = (typeof range[0] === "number" ? range : range[i]) as readonly [number, number];
    feeds.set(node, apart && isFloat(own) ? drawApart(next, own, shape, mine) : draw(next, own, shape, mine, sample.grid));
    return node;
  });
  return { name, op: op.name, roots: resultsOf(sample.call(...inputs)), feeds, special: sample.special ?? false };
}
function resultsOf(got: Node | readonly Node[]): Node[] {
  const list = "op" in got ? [got] : got;
  return list.flatMap((n) => (n.tuple ? n.tuple.map((_, i) => pick(n, i)) : [n]));
}

/** Derivatives of a case with respect to its float inputs, for random cotangents; undefined where it has none, or why it cannot be. */
export function derivative(c: Case): Case | undefined {
  const from = c.roots.filter((r) => isFloat(r.type.dtype));
  const wrt = [...c.feeds.keys()].filter((x) => isFloat(x.type.dtype));
  if (!from.length || !wrt.length) return undefined;
  const next = stream(`${c.name} derivative`);
  const feeds = new Map(c.feeds);
  const cts = from.map((r) => {
    if (!isStatic(r.type.shape)) throw new UnsupportedError("a sample has symbolic dims");
    const ct = input(r.type, "ct");
    feeds.set(ct, draw(next, r.type.dtype, r.type.shape, [-1, 1]));
    return ct;
  });
  const roots = vjp(from, cts, wrt).filter((g): g is Node => g !== null);
  if (!roots.length) return undefined;
  const used = new Set(topo(roots));
  return { ...c, name: `d ${c.name}`, roots, feeds: new Map([...feeds].filter(([n]) => used.has(n))) };
}

/** Something with samples: an op, or a function made of ops, whose name then ends in `()`. */
export interface Subject {
  readonly name: string;
  readonly samples: readonly Sample[];
}
/** All of them. */
export const subjects = (): Subject[] => [
  ...allOps(),
  ...Object.entries(functionSamples).map(([name, samples]) => ({ name: `${name}()`, samples })),
];

/** Which cases a run makes. */
export interface Choice {
  /** Ops by name; default all. */
  readonly ops?: readonly string[];
  /** The first samples of each op; default all. */
  readonly samples?: number;
  /** Dtypes; default all. */
  readonly dtypes?: ReadonlySet<DType>;
  /** Dtypes of derivative cases. */
  readonly derivatives?: readonly DType[];
}
/** All cases of a choice. A sample whose graph cannot even be built is a case that says so. */
export function allCases(choice: Choice = {}): { readonly cases: Case[]; readonly failed: { name: string; op: string; why: string }[] } {
  const cases: Case[] = [];
  const failed: { name: string; op: string; why: string }[] = [];
  const attempt = (name: string, op: Subject, make: () => Case | undefined): void => {
    try {
      const c = make();
      if (c) cases.push(c);
    } catch (error) {
      failed.push({ name, op: op.name, why: String(error) });
    }
  };
  for (const op of subjects()) {
    if (choice.ops && !choice.ops.includes(op.name)) continue;
    op.samples.slice(0, choice.samples).forEach((sample, at) => {
      for (const dtype of dtypesOf(sample)) {
        if (choice.dtypes && !choice.dtypes.has(dtype)) continue;
        const name = `${op.name}.${at} ${dtype}`;
        attempt(name, op, () => makeCase(op, sample, at, dtype));
        if (choice.derivatives?.includes(dtype)) attempt(`d ${name}`, op, () => derivative(makeCase(op, sample, at, dtype)));
      }
    });
  }
  return { cases, failed };
}
