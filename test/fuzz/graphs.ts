/**
 * Random graphs. A recipe is a list of small integers that always means some graph, so it shrinks by dropping and lowering them.
 * Values are multiples of 1/8 and every node knows how large it may be, so that most arithmetic is exact in every dtype and results
 * are compared bit for bit; a node behind sin or a softmax is marked, and nothing discontinuous is applied to it.
 */
import { type DType, isFloat, isInt } from "../../src/core/dtype.js";
import type { NdArray } from "../../src/core/ndarray.js";
import { isStatic } from "../../src/core/type.js";
import type { Update } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import * as o from "../../src/ops/index.js";
import { type Case, valuesOf } from "../conformance/cases.js";
import { draw, stream } from "../conformance/inputs.js";

/** One random step: which operation, on which values, how. */
export type Step = readonly [op: number, a: number, b: number, p: number, q: number];
/** What a graph is made from. */
export interface Recipe {
  readonly seed: number;
  readonly leaves: readonly { readonly shape: readonly number[]; readonly dtype: DType; readonly state: boolean }[];
  readonly steps: readonly Step[];
}

/** A value and what is known of it: |value| <= size, a multiple of 2^-bits unless it is rough. */
interface Known {
  readonly node: Node;
  readonly size: number;
  readonly bits: number;
  readonly rough: boolean;
}
const significand: Partial<Record<DType, number>> = { f16: 11, bf16: 8, f32: 24, f64: 53 };
/** Whether every such value is exact in its dtype. */
function fits(dtype: DType, size: number, bits: number): boolean {
  const s = significand[dtype];
  return s === undefined || size * 2 ** bits <= 2 ** s;
}
const dtypes: readonly DType[] = ["f32", "f32", "f32", "f64", "f16", "bf16", "i32", "i64", "u8", "bool"];
const sizes = [0, 1, 1, 2, 3, 4, 5, 8, 17];
const shapeOf = (n: Node): readonly number[] => (isStatic(n.type.shape) ? n.type.shape : []);
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** A recipe from a number. */
export function randomRecipe(seed: number): Recipe {
  const next = stream(`graph ${seed}`);
  const below = (n: number): number => Math.floor(next() * n);
  const leaves = Array.from({ length: 1 + below(3) }, () => ({
    shape: Array.from({ length: below(4) }, () => sizes[below(sizes.length)]!),
    dtype: dtypes[below(dtypes.length)]!,
    state: below(4) === 0,
  }));
  const steps = Array.from({ length: 4 + below(20) }, (): Step => [below(1 << 16), below(64), below(64), below(64), below(64)]);
  return { seed, leaves, steps };
}

type Make = (x: Known, other: (wanted: (k: Known) => boolean) => Known | undefined, p: number, q: number) => Known | undefined;
const same = (x: Known, node: Node): Known => ({ ...x, node });
/** A node of known size, or nothing where it could round or grow too large. */
function known(node: Node, size: number, bits: number, rough: boolean): Known | undefined {
  const exact = rough || fits(node.type.dtype, size, bits);
  return exact && size < 1e6 && count(shapeOf(node)) <= 2048 ? { node, size, bits, rough } : undefined;
}
const numeric = (x: Known): boolean => x.node.type.dtype !== "bool";
const float = (x: Known): boolean => isFloat(x.node.type.dtype);
const rankOf = (x: Known): number => shapeOf(x.node).length;
const axisOf = (x: Known, p: number): number => p % rankOf(x);
const broadcasts =
  (x: Known) =>
  (y: Known): boolean => {
    const [a, b] = [shapeOf(x.node), shapeOf(y.node)];
    for (let i = 1; i <= Math.min(a.length, b.length); i++) {
      const [m, n] = [a[a.length - i]!, b[b.length - i]!];
      if (m !== n && m !== 1 && n !== 1) return false;
    }
    return true;
  };
/** A partner that broadcasts against x and has its dtype. */
const partner = (x: Known, other: Parameters<Make>[1]): Known | undefined =>
  other((y) => y.node.type.dtype === x.node.type.dtype && broadcasts(x)(y));
const two =
  (f: (a: Node, b: Node) => Node, size: (a: number, b: number) => number, bits: (a: number, b: number) => number): Make =>
  (x, other) => {
    const y = numeric(x) ? partner(x, other) : undefined;
    return y && known(f(x.node, y.node), size(x.size, y.size), bits(x.bits, y.bits), x.rough || y.rough);
  };
const plus = (a: number, b: number): number => a + b;
// Of moderate size, where these functions do not magnify an error.
const smooth =
  (f: (x: Node) => Node, size: number): Make =>
  (x) =>
    float(x) && x.size <= 8 ? { node: f(x.node), size, bits: 60, rough: true } : undefined;
const compared =
  (f: (a: Node, b: Node) => Node): Make =>
  (x, other) => {
    const y = x.rough ? undefined : partner(x, other);
    return y && !y.rough ? { node: f(x.node, y.node), size: 1, bits: 0, rough: false } : undefined;
  };
/** A rough value of one sign: sums of it do not cancel, so that their rounding errors stay comparable. */
const uncancelled = (x: Known): Node => (x.rough ? o.abs(x.node) : x.node);
/** An index tensor for an axis of n elements, made on the device. */
const indexOf = (k: number, n: number, q: number): Node => o.remainder(o.add(o.mul(o.iota(k, q % 2 ? "i32" : "i64"), 1 + (q % 5)), q), n);

/** Every operation that a step may be. */
const catalogue: readonly Make[] = [
  two(o.add, plus, Math.max),
  // The difference of two rough values may be nothing but their rounding errors.
  (x, other, p, q) => two(o.sub, plus, Math.max)(x, (wanted) => other((y) => wanted(y) && !(x.rough && y.rough)), p, q),
  two(o.mul, (a, b) => a * b, plus),
  two(o.maximum, Math.max, Math.max),
  two(o.minimum, Math.max, Math.max),
  (x) => (numeric(x) ? same(x, o.neg(x.node)) : undefined),
  (x) => (numeric(x) ? same(x, o.abs(x.node)) : undefined),
  (x) => (numeric(x) ? same(x, o.relu(x.node)) : undefined),
  (x) => (x.rough || !numeric(x) ? undefined : { ...same(x, o.sign(x.node)), size: 1, bits: 0 }),
  (x) => (x.rough || !float(x) ? undefined : known(o.floor(x.node), x.size + 1, 0, false)),
  (x, _, p) => (x.rough || !isInt(x.node.type.dtype) ? undefined : same(x, o.remainder(x.node, 1 + (p % 7)))),
  (x, _, p) => (x.rough || !isInt(x.node.type.dtype) ? undefined : same(x, o.floorDivide(x.node, 1 + (p % 7)))),
  compared(o.lt),
  compared(o.eq),
  compared(o.ge),
  (x, other) =>
    isFloat(x.node.type.dtype) ? undefined : ((y) => y && same({ ...x, size: 256 }, o.bitwiseXor(x.node, y.node)))(partner(x, other)),
  (x, other) => {
    const c = other((k) => k.node.type.dtype === "bool" && broadcasts(x)(k));
    return c && known(o.where(c.node, x.node, 0), x.size, x.bits, x.rough);
  },
  (x, other) => {
    const y = partner(x, other);
    const c = other((k) => k.node.type.dtype === "bool" && broadcasts(x)(k) && (!y || broadcasts(y)(k)));
    return y && c && known(o.where(c.node, x.node, y.node), Math.max(x.size, y.size), Math.max(x.bits, y.bits), x.rough || y.rough);
  },
  (x, _, p) => {
    const to = dtypes[p % dtypes.length]!;
    if (x.rough && !isFloat(to)) return undefined;
    // What does not fit wraps, but only from an integer.
    if (!isFloat(to) && float(x) && !(to === "bool" || x.size < 100)) return undefined;
    if (to === "u8" && float(x)) return undefined;
    return known(o.cast(x.node, to), isFloat(to) || to !== "bool" ? Math.max(x.size, 1) : 1, isFloat(to) ? x.bits : 0, x.rough);
  },
  smooth(o.sin, 1),
  smooth(o.tanh, 1),
  smooth((x) => o.exp(o.neg(o.abs(x))), 1),
  smooth(o.sigmoid, 1),
  (x, _, p) =>
    float(x) && x.size <= 8 && rankOf(x) && shapeOf(x.node)[axisOf(x, p)]
      ? { node: o.softmax(x.node, axisOf(x, p)), size: 1, bits: 60, rough: true }
      : undefined,
  // reductions
  (x, _, p, q) => {
    if (!rankOf(x)) return undefined;
    const dims = q % 3 === 0 ? undefined : q % 3 === 1 ? [axisOf(x, p)] : [...new Set([0, axisOf(x, p)])];
    const n = count(dims ? dims.map((d) => shapeOf(x.node)[d]!) : shapeOf(x.node));
    return known(o.sum(uncancelled(x), dims, { keepdim: q % 2 === 0 }), x.size * Math.max(1, n), x.bits, x.rough);
  },
  (x, _, p, q) => {
    if (!rankOf(x) || !shapeOf(x.node)[axisOf(x, p)]) return undefined;
    return known((q % 2 ? o.amax : o.amin)(x.node, axisOf(x, p), { keepdim: q % 4 < 2 }), x.size, x.bits, x.rough);
  },
  (x, _, p, q) =>
    x.rough ? undefined : { node: (q % 2 ? o.any : o.all)(x.node, rankOf(x) ? axisOf(x, p) : undefined), size: 1, bits: 0, rough: false },
  (x, _, p) => (x.rough || !rankOf(x) || !shapeOf(x.node)[axisOf(x, p)] ? undefined : known(o.argmax(x.node, axisOf(x, p)), 32, 0, false)),
  (x, _, p) =>
    rankOf(x)
      ? known(o.cumsum(uncancelled(x), axisOf(x, p)), x.size * Math.max(1, shapeOf(x.node)[axisOf(x, p)]!), x.bits, x.rough)
      : undefined,
  // movement
  (x) => same(x, o.reshape(x.node, [count(shapeOf(x.node))])),
  (x, _, p) => (rankOf(x) < 5 ? same(x, o.unsqueeze(x.node, p % (rankOf(x) + 1))) : undefined),
  (x) => same(x, o.squeeze(x.node)),
  (x, _, p, q) => (rankOf(x) > 1 ? same(x, o.transpose(x.node, axisOf(x, p), axisOf(x, q))) : undefined),
  (x, _, p, q) => {
    if (!rankOf(x)) return undefined;
    const axis = axisOf(x, p);
    const n = shapeOf(x.node)[axis]!;
    const start = n ? q % n : 0;
    return same(x, o.sliceDim(x.node, axis, start, n - (q % 2), 1 + (p % 3)));
  },
  (x, _, p) => (rankOf(x) ? same(x, o.flip(x.node, axisOf(x, p))) : undefined),
  (x, _, p, q) => (rankOf(x) ? known(o.pad(x.node, [p % 3, q % 3], { value: q % 2 }), Math.max(1, x.size), x.bits, x.rough) : undefined),
  (x, _, p) => (rankOf(x) < 4 ? known(o.expand(x.node, [1 + (p % 3), ...shapeOf(x.node)]), x.size, x.bits, x.rough) : undefined),
  (x, other, p) => {
    if (!rankOf(x)) return undefined;
    const axis = axisOf(x, p);
    const fit = (y: Known): boolean =>
      y.node.type.dtype === x.node.type.dtype &&
      rankOf(y) === rankOf(x) &&
      shapeOf(y.node).every((d, i) => i === axis || d === shapeOf(x.node)[i]);
    const y = other(fit) ?? x;
    return known(o.cat([x.node, y.node, x.node], axis), Math.max(x.size, y.size), Math.max(x.bits, y.bits), x.rough || y.rough);
  },
  (x, _, p, q) => (rankOf(x) && shapeOf(x.node)[axisOf(x, p)]! > 1 ? same(x, o.roll(x.node, q, axisOf(x, p))) : undefined),
  (x, _, p, q) => {
    const axis = rankOf(x) ? axisOf(x, p) : 0;
    const n = shapeOf(x.node)[axis];
    return n && n >= 2 ? known(o.unfold(x.node, axis, 2, 1 + (q % 2)), x.size, x.bits, x.rough) : undefined;
  },
  (x, _, p, q) => (rankOf(x) > 1 ? same(x, (q % 2 ? o.tril : o.triu)(x.node, (p % 3) - 1)) : undefined),
  (x, _, p, q) => {
    const n = rankOf(x) ? shapeOf(x.node)[axisOf(x, p)]! : 0;
    return n ? same(x, o.indexSelect(x.node, axisOf(x, p), indexOf(1 + (q % 4), n, q))) : undefined;
  },
  (x, _, p, q) => {
    const n = rankOf(x) ? shapeOf(x.node)[axisOf(x, p)]! : 0;
    if (!n || !numeric(x)) return undefined;
    const k = 1 + (q % 4);
    const source = o.indexSelect(x.node, axisOf(x, p), indexOf(k, n, p));
    return known(o.indexAdd(x.node, axisOf(x, p), indexOf(k, n, q), source), x.size * (1 + k), x.bits, x.rough);
  },
  (x, other) => {
    if (rankOf(x) !== 2 || !numeric(x)) return undefined;
    const k = shapeOf(x.node)[1]!;
    const y =
      other((m) => m.node.type.dtype === x.node.type.dtype && rankOf(m) === 2 && shapeOf(m.node)[0] === k) ??
      same(x, o.transpose(x.node, 0, 1));
    return known(o.matmul(uncancelled(x), uncancelled(y)), x.size * y.size * Math.max(1, k), x.bits + y.bits, x.rough || y.rough);
  },
];

/** The graph that a recipe means: everything that nothing else reads is a result. */
export function buildCase(r: Recipe): Case {
  const next = stream(`values ${r.seed}`);
  const feeds = new Map<Node, NdArray>();
  const pool: Known[] = r.leaves.map(({ shape, dtype }, i) => {
    const node = o.input({ shape, dtype }, `x${i}`);
    feeds.set(node, draw(next, dtype, shape, [-2, 2], 1 / 8));
    return { node, size: 2, bits: isFloat(dtype) ? 3 : 0, rough: false };
  });
  const used = new Set<Node>();
  for (const [op, a, b, p, q] of r.steps) {
    // Recent values are likelier, so that chains grow.
    const x = pool[Math.max(0, pool.length - 1 - (a % (pool.length + 3)))]!;
    const other = (wanted: (k: Known) => boolean): Known | undefined => {
      for (let i = 0; i < pool.length; i++) {
        const y = pool[(b + i) % pool.length]!;
        if (wanted(y)) return y;
      }
      return undefined;
    };
    const made = catalogue[op % catalogue.length]!(x, other, p, q);
    if (!made || made.node === x.node) continue;
    for (const n of reached(made.node, pool)) used.add(n);
    pool.push(made);
  }
  const roots = pool.filter((k, i) => !used.has(k.node) || (i >= r.leaves.length && i % 5 === 0)).map((k) => k.node);
  const updates: Update[] = [];
  r.leaves.forEach(({ state }, i) => {
    const leaf = pool[i]!.node;
    const value = [...pool]
      .reverse()
      .find((k) => k.node !== leaf && k.node.type.dtype === leaf.type.dtype && String(k.node.type.shape) === String(leaf.type.shape));
    if (state && value) updates.push({ state: leaf, value: value.node });
  });
  const c = { name: `graph ${r.seed}`, op: "graph", roots, feeds, updates };
  const needed = new Set<Node>(updates.map((u) => u.state));
  const stack = [...valuesOf(c)];
  const seen = new Set<Node>();
  while (stack.length) {
    const n = stack.pop()!;
    if (seen.has(n)) continue;
    seen.add(n);
    if (feeds.has(n)) needed.add(n);
    stack.push(...n.inputs);
  }
  return { ...c, feeds: new Map([...feeds].filter(([n]) => needed.has(n))) };
}
/** The pool's nodes that a new node reads. */
function reached(from: Node, pool: readonly Known[]): Node[] {
  const known = new Set(pool.map((k) => k.node));
  const out: Node[] = [];
  const stack = [...from.inputs];
  const seen = new Set<Node>();
  while (stack.length) {
    const n = stack.pop()!;
    if (seen.has(n)) continue;
    seen.add(n);
    if (known.has(n)) out.push(n);
    else stack.push(...n.inputs);
  }
  return out;
}

/** Smaller recipes, the boldest first. */
function* smaller(r: Recipe): Generator<Recipe> {
  for (let n = Math.ceil(r.steps.length / 2); n >= 1; n = n === 1 ? 0 : Math.ceil(n / 2))
    for (let i = 0; i < r.steps.length; i += n) yield { ...r, steps: [...r.steps.slice(0, i), ...r.steps.slice(i + n)] };
  for (let i = 0; i < r.leaves.length; i++) {
    const change = (leaf: Partial<Recipe["leaves"][number]>): Recipe => ({
      ...r,
      leaves: r.leaves.map((l, k) => (k === i ? { ...l, ...leaf } : l)),
    });
    if (r.leaves.length > 1) yield { ...r, leaves: r.leaves.filter((_, k) => k !== i) };
    const { shape, dtype, state } = r.leaves[i]!;
    if (state) yield change({ state: false });
    if (dtype !== "f32") yield change({ dtype: "f32" });
    for (let d = 0; d < shape.length; d++) {
      yield change({ shape: shape.filter((_, k) => k !== d) });
      if (shape[d]! > 1) yield change({ shape: shape.map((n, k) => (k === d ? n - 1 : n)) });
    }
  }
  for (let i = 0; i < r.steps.length; i++)
    for (const part of [1, 2, 3, 4] as const) {
      const step = r.steps[i]!;
      if (step[part] === 0) continue;
      yield { ...r, steps: r.steps.map((s, k) => (k === i ? (s.map((v, j) => (j === part ? 0 : v)) as unknown as Step) : s)) };
    }
}
/** The smallest recipe found that still fails, after at most `tries` attempts. */
export async function shrink(r: Recipe, fails: (r: Recipe) => Promise<boolean>, tries = 150): Promise<Recipe> {
  let best = r;
  for (let left = tries; left > 0; ) {
    let found = false;
    for (const candidate of smaller(best)) {
      if (left-- <= 0) break;
      if (await fails(candidate)) {
        best = candidate;
        found = true;
        break;
      }
    }
    if (!found) break;
  }
  return best;
}
