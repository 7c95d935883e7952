/**
 * Sorting with a thread for each element: runs of a few are ranked, then neighbouring runs are merged, again and again. An element finds its place
 * in the merged run by itself: it looks up how many of the other run go before it. Stable; NaN counts as the greatest.
 */
import { computeDType, type DType, isFloat } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, hi, indexOn, max, min, mod, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { flatten, unflatten } from "../../ops/movement.js";
import type { Target } from "../codegen.js";
import { makeEvaluator, namesFor } from "../evaluate.js";
import { type Group, groupBuffers } from "../group.js";
import {
  apply,
  at,
  axis,
  type Buffer,
  below,
  constant,
  indexValue,
  type Kernel,
  load,
  loops,
  type Stmt,
  store,
  type Value,
} from "../kernel.js";
import { finishKernel } from "../walk.js";

/** Elements of a run that is ranked. */
export const ranked = 32;
/** Elements of the longest line that is sorted so: each merge is a kernel. */
export const mostMerged: number = 2 ** 28;

/** A kernel that writes lines out, one that ranks, and one for each merge. */
export function lowerMerges(group: Group, target: Target): readonly Kernel[] {
  const root = group.root!;
  const { axis: along, descending } = root.attrs as { axis: number; descending: boolean };
  const { shape } = root.type;
  const n = shape[along]!;
  const last = sub(n, 1);
  const key: DType = root.type.dtype === "bool" ? "u8" : computeDType(root.type.dtype);
  const lines = numel(shape.filter((_, i) => i !== along));
  const inner = numel(shape.slice(along + 1));
  const buffers = groupBuffers(group);
  const scratch = (name: string, dtype: DType): Buffer => ({ name, dtype, space: "global", size: mul(lines, mul(2, n)), writes: true });
  const [keys, places] = [scratch("tmp0", key), scratch("tmp1", "i32")];
  const threads = Math.min(target.threads, 256);
  const units = mul(lines, n);
  const grid = ceilDiv(units, threads);
  const unit = add(mul(indexOn("pid", grid), threads), variable("tid", 0, threads - 1));
  const name = namesFor(group);
  const [line, own] = [indexOn(name("line"), lines), indexOn(name("own"), n)];
  const index = (stem: string, value: Value, most: Dim): Stmt => ({ kind: "letIndex", name: name(stem), value, min: 0, max: most });
  const number = (d: Dim): Value => indexValue(d, "i32");
  const elementOf = (position: Dim): Dim[] => [
    ...unflatten(div(line, inner), shape.slice(0, along)),
    position,
    ...unflatten(mod(line, inner), shape.slice(along + 1)),
  ];
  const cell = (half: number, position: Dim): Dim => add(mul(line, mul(2, n)), mul(half, n), position);
  /** Whether `a` may stand before `b`. */
  const before = (a: Value, b: Value): Value => {
    const [p, q] = descending ? [b, a] : [a, b];
    return isFloat(key) ? apply("or", "bool", apply("le", "bool", p, q), apply("isnan", "bool", q)) : apply("le", "bool", p, q);
  };
  /** Whether another element, in front of this one or behind it, goes before it. */
  const goes = (other: Value, mine: Value, front: Value): Value =>
    apply("where", "bool", front, before(other, mine), apply("not", "bool", before(mine, other)));
  const make = (suffix: string, body: readonly Stmt[], registers: readonly Buffer[] = []): Kernel => {
    const all: readonly Stmt[] = [
      index("line", indexValue(div(unit, n), "i64"), sub(lines, 1)),
      index("own", indexValue(mod(unit, n), "i64"), last),
      ...body,
    ];
    const guarded: readonly Stmt[] = divides(threads, units) ? all : [{ kind: "if", test: below(unit, units), body: all }];
    return finishKernel(`${group.name}${suffix}`, [...buffers.values(), keys, places, ...registers], grid, threads, guarded);
  };
  const register = (label: string): Buffer => ({ name: label, dtype: "i32", space: "reg", size: 1 });

  const e = makeEvaluator(group, buffers);
  const read: Stmt[] = [];
  const v = e.value(root.inputs[0]!, elementOf(own), read);
  const first = make(
    "",
    [...read, store(keys, cell(0, own), v.dtype === key ? v : apply("cast", key, v)), store(places, cell(0, own), number(own))],
    e.locals,
  );

  /** Moves the element to a position of the other half. */
  const moved = (half: number, to: Dim): readonly Stmt[] => [
    store(keys, cell(1 - half, to), load(keys, cell(half, own))),
    store(places, cell(1 - half, to), load(places, cell(half, own))),
  ];
  const count = register("count");
  const run = mul(div(own, ranked), ranked);
  const J = axis(name("j"), ranked, "loop");
  const other = add(run, at(J));
  const mine = (half: number): Value => load(keys, cell(half, own));
  const found = goes(load(keys, cell(0, other)), mine(0), apply("lt", "bool", number(other), number(own)));
  const rank = make(
    "_rank",
    [
      store(count, 0, constant(0, "i32")),
      ...loops(
        [J],
        [
          {
            kind: "if",
            test: below(other, n),
            body: [store(count, 0, apply("where", "i32", found, apply("add", "i32", load(count, 0), number(1)), load(count, 0)))],
          },
        ],
      ),
      index("to", apply("add", "i32", number(run), load(count, 0)), last),
      ...moved(0, indexOn(name("to"), n)),
    ],
    [count],
  );

  const kernels: Kernel[] = [first, rank];
  const [low, high] = [register("low"), register("high")];
  for (let w = ranked, half = 1; w < Math.max(hi(n), ranked + 1); w *= 2, half = 1 - half) {
    const pair = mul(div(own, 2 * w), 2 * w);
    const side = div(sub(own, pair), w);
    // The other run may end with the line, or not be there.
    const start = min(add(pair, mul(sub(1, side), w)), n);
    const right = apply("lt", "bool", constant(0, "i32"), number(side));
    const steps = axis(name("s"), Math.ceil(Math.log2(w)) + 1, "loop");
    const [a, b, m] = ["a", "b", "m"].map((x) => indexOn(name(x), w + 1)) as [Dim, Dim, Dim];
    const search: readonly Stmt[] = [
      index("a", load(low, 0), w),
      index("b", load(high, 0), w),
      index("m", number(div(add(a, b), 2)), w),
      index("at", number(add(start, m)), last),
      { kind: "let", name: name("yes"), value: goes(load(keys, cell(half, indexOn(name("at"), n))), mine(half), right) },
    ];
    const yes: Value = { kind: "ref", dtype: "bool", name: name("yes") };
    const to = indexOn(name("to"), n);
    const isLast = 2 * w >= hi(n);
    const leaving = group.outputs.map((o): Stmt => {
      const isValue = o === root || o.attrs.index === 0;
      const value = isValue ? mine(half) : apply("cast", "i64", load(places, cell(half, own)));
      const typed = isValue && value.dtype !== computeDType(o.type.dtype) ? apply("cast", o.type.dtype, value) : value;
      return store(buffers.get(o)!, flatten(elementOf(to), shape), typed);
    });
    kernels.push(
      make(
        `_merge${w}`,
        [
          store(low, 0, constant(0, "i32")),
          store(high, 0, number(max(0, min(w, sub(n, start))))),
          ...loops(
            [steps],
            [
              {
                kind: "when",
                test: apply("lt", "bool", load(low, 0), load(high, 0)),
                body: [
                  ...search,
                  store(low, 0, apply("where", "i32", yes, number(add(m, 1)), load(low, 0))),
                  store(high, 0, apply("where", "i32", yes, load(high, 0), number(m))),
                ],
              },
            ],
          ),
          index("to", apply("add", "i32", number(sub(own, mul(side, w))), load(low, 0)), last),
          ...(isLast ? leaving : moved(half, to)),
        ],
        [low, high],
      ),
    );
  }
  return kernels;
}
