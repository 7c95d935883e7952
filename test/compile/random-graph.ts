/** Random graphs of ops, views, reductions, products and state updates, from a seed: equal seeds give equal graphs. */
import { type DType, isFloat } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import {
  abs,
  add,
  amax,
  bitwiseXor,
  cast,
  cat,
  div,
  exp,
  expand,
  flip,
  full,
  layerNorm,
  lt,
  matmul,
  maximum,
  mul,
  neg,
  permute,
  reshape,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  tanh,
  unslice,
  where,
} from "../../src/ops/index.js";
import { leaf } from "./models.js";

/** A small generator of uniform numbers (mulberry32). */
export function randomOf(seed: number): { next(): number; int(n: number): number; pick<T>(list: readonly T[]): T } {
  let s = seed >>> 0;
  const next = (): number => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (n: number): number => Math.floor(next() * n);
  return { next, int, pick: (list) => list[int(list.length)]! };
}

export interface RandomGraph {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<Node, NdArray>;
}

/** Shapes are numbers here. */
const shapeOf = (n: Node): readonly number[] => n.type.shape as readonly number[];

const kinds: readonly DType[] = ["f32", "f32", "f32", "f32", "f64", "f16", "bf16", "i32", "i64", "u8", "i8"];

/** A graph of about `size` ops. The same seed with a smaller size gives a graph that starts in the same way. */
export function randomGraph(seed: number, size = 20): RandomGraph {
  const r = randomOf(seed);
  const dtype = r.pick(kinds);
  const other = isFloat(dtype) ? r.pick(["f32", "f64", dtype] as const) : dtype;
  const dims = [r.pick([1, 2, 3, 4, 5]), r.pick([1, 2, 4, 7, 8, 17]), r.pick([1, 3, 4, 8, 16, 33])];
  if (r.int(25) === 0) dims[r.int(3)] = 0;
  const shapes = [
    dims,
    dims.slice(1),
    [dims[1]!, dims[0]!, dims[2]!],
    [dims[2]!],
    [],
    [dims[0]! * dims[1]!, dims[2]!],
    [dims[1]!, dims[2]!],
  ];
  const inputs = Array.from({ length: 1 + r.int(3) }, (_, i) => leaf(`x${i}`, r.pick(shapes), i ? other : dtype));
  const state = Array.from({ length: r.int(3) }, (_, i) => leaf(`s${i}`, r.pick(shapes), dtype));
  const values: Node[] = [...inputs, ...state];
  const any = (): Node => (r.int(3) ? values[values.length - 1 - r.int(Math.min(4, values.length))]! : r.pick(values));
  const spread = (x: Node, to: readonly number[]): Node | undefined => {
    const s = shapeOf(x);
    const pad = to.length - s.length;
    return pad >= 0 && s.every((d, i) => d === 1 || d === to[pad + i]) ? expand(x, to) : undefined;
  };
  const same = (x: Node): Node | undefined => {
    const list = values.map((v) => spread(v, shapeOf(x))).filter((v) => v !== undefined);
    return list.length ? list[list.length - 1 - r.int(Math.min(5, list.length))] : undefined;
  };
  const smooth = (f: (x: Node) => Node) => (x: Node) => (isFloat(x.type.dtype) ? f(x) : neg(x));
  const unary = [
    neg,
    abs,
    smooth(tanh),
    smooth((x) => sqrt(abs(x))),
    smooth((x) => exp(neg(abs(x)))),
    smooth((x) => cast(x, other)),
    (x: Node) => cast(x, isFloat(dtype) ? x.type.dtype : "f32"),
  ];
  const binary = [
    add,
    sub,
    mul,
    maximum,
    (a: Node, b: Node) =>
      isFloat(b.type.dtype) ? div(a, add(abs(b), full(shapeOf(b), 1, b.type.dtype))) : isFloat(a.type.dtype) ? mul(a, b) : bitwiseXor(a, b),
    (a: Node, b: Node) => where(lt(a, b), a, b),
  ];
  const step = (): Node | undefined => {
    const x = any();
    const s = shapeOf(x);
    switch (r.int(12)) {
      case 0:
      case 1:
        return r.pick(unary)(x);
      case 2:
      case 3:
      case 4: {
        const y = same(x);
        return y && r.pick(binary)(x, y);
      }
      case 5: {
        if (!s.length) return undefined;
        const axes = s.map((_, i) => i).filter(() => r.int(2));
        if (!axes.length || (axes.some((a) => s[a] === 0) && r.int(2))) return sum(x, [s.length - 1]);
        const y = r.int(2) || axes.some((a) => s[a] === 0) ? sum(x, axes) : amax(x, axes);
        return r.int(2)
          ? y
          : expand(
              reshape(
                y,
                s.map((d, i) => (axes.includes(i) ? 1 : d)),
              ),
              s,
            );
      }
      case 6:
        return s.length && s.at(-1)! > 0 && isFloat(x.type.dtype)
          ? r.int(2)
            ? softmax(x, s.length - 1)
            : layerNorm(x, [s.at(-1)!])
          : undefined;
      case 7: {
        const axes = s.map((_, i) => i).sort(() => r.next() - 0.5);
        return s.length > 1 ? permute(x, axes) : undefined;
      }
      case 8:
        return s.length > 1 ? reshape(x, r.int(2) ? [s[0]! * s[1]!, ...s.slice(2)] : [1, ...s]) : s.length ? flip(x, [0]) : undefined;
      case 9: {
        if (!s.length || s.includes(0)) return undefined;
        const start = s.map((d) => r.int(d));
        const y = slice(
          x,
          start,
          s.map((d, i) => 1 + r.int(d - start[i]!)),
        );
        return r.int(2) ? y : unslice(y, s, start);
      }
      case 10:
        return s.length ? cat([x, x], r.int(s.length)) : undefined;
      case 11: {
        if (s.length < 2 || x.type.shape.length > 3) return undefined;
        const other = values.find(
          (v) =>
            shapeOf(v).length >= 2 &&
            shapeOf(v).length <= s.length &&
            shapeOf(v).at(-1) === s.at(-1) &&
            shapeOf(v)
              .slice(0, -2)
              .every((d, i) => d === s[s.length - shapeOf(v).length + i]),
        );
        return other && matmul(x, permute(other, swapLastAxes(shapeOf(other).length)));
      }
      default:
        return undefined;
    }
  };
  for (let i = 0; i < size * 2 && values.length < size + inputs.length + state.length; i++) {
    const y = step();
    if (y && shapeOf(y).reduce((a, b) => a * b, 1) < 20000) values.push(y);
  }
  const computed = values.slice(inputs.length + state.length);
  const outputs = Array.from({ length: 1 + r.int(3) }, () =>
    r.int(12) ? (computed[computed.length - 1 - r.int(Math.min(6, computed.length))] ?? values[0]!) : r.pick(values),
  );
  const updates = state.flatMap((s) => {
    const v = values.filter(
      (x) =>
        x !== s &&
        x.type.dtype === s.type.dtype &&
        shapeOf(x).length === shapeOf(s).length &&
        shapeOf(x).every((d, i) => d === shapeOf(s)[i]),
    );
    return v.length && r.int(4) ? [{ state: s, value: v[v.length - 1 - r.int(Math.min(3, v.length))]! }] : [];
  });
  const feeds = new Map(
    [...inputs, ...state].map((n) => [
      n,
      NdArray.of(n.type.dtype, shapeOf(n), () =>
        isFloat(n.type.dtype) ? r.int(33) / 8 - 2 : r.int(n.type.dtype === "u8" ? 12 : 13) - (n.type.dtype === "u8" ? 0 : 6),
      ),
    ]),
  );
  return { graph: { inputs, state, outputs, updates }, feeds };
}
const swapLastAxes = (rank: number): number[] =>
  Array.from({ length: rank }, (_, i) => (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
