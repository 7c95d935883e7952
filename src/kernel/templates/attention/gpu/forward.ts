/**
 * Attention forward on matrix units: a grid point is a tile of queries of one head, a warp some rows of it. Scores stay in the registers
 * of their fragments, become weights there, and are an operand of the second product as they are.
 */

import type { DType } from "../../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, indexOn, lo, min, mod, mul, sub, variable } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import { flatten, unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import { type Group, hasElements } from "../../../group.js";
import {
  apply,
  at,
  axis,
  type Buffer,
  below,
  indexValue,
  type Kernel,
  load,
  loops,
  ref,
  type Stmt,
  store,
  type Value,
} from "../../../kernel.js";
import { fragmentAt } from "../../../units.js";
import { emptyKernel, finishKernel } from "../../../walk.js";
import { type Attention, given, keyBatch, named, position, seen, setUp, standing } from "../setup.js";
import { fillTile, pitch, tileBuffer } from "./tile.js";
import { tileMatrix, unitFor } from "./tiling.js";

const log2e = Math.LOG2E;

export function lowerMatrix(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const x = setUp(group, target);
  const root = group.root!;
  const [q, k, v] = root.inputs as [typeof root, typeof root, typeof root];
  const heads = numel(x.batch);
  const t = tileMatrix(unitFor(target, q.type.dtype)!, target, { heads, queries: x.queries, size: Math.max(x.depth, x.width) });
  const { unit, tall, keys: BC, queries: BR } = t;
  const threads = 32 * t.warps;
  const tid = variable("tid", 0, threads - 1);
  const [lane, warp] = [mod(tid, 32), div(tid, 32)];

  const tiles = ceilDiv(x.queries, BR);
  const grid = mul(heads, tiles);
  const pid = indexOn("pid", grid);
  const head: Stmt[] = [];
  const inHead = heads === 1 ? pid : mod(pid, tiles);
  const index = unflatten(position(x, "head", heads === 1 ? 0 : div(pid, tiles), heads, head), x.batch);
  // The longest rows of a causal head first: what is left at the end is short.
  const q0 = mul(position(x, "tile", x.causal ? sub(sub(tiles, 1), inHead) : inHead, tiles, head), BR);
  const start = standing(x, index, head);
  const limit = root.attrs.offset ? named(x, "limit", seen(x, start, add(q0, BR)), x.keys, head) : seen(x, 0, add(q0, BR));
  const count = ceilDiv(limit, BC);
  const B = axis(x.name("b"), count, "loop");

  // Fragments: of queries and sums by I, of keys by J, of values by W; a lane has two rows of each, `h`.
  const [KT, NT, WT] = [x.depth / unit.k, BC / unit.n, x.width / unit.n];
  const u32 = (name: string, size: number): Buffer => x.fragment(name, "u32", size);
  const [qf, kf, vf, pf] = [u32("qf", tall * KT * 4), u32("kf", NT * 2), u32("vf", WT * 2), u32("pf", tall * 4)];
  const [s, o] = [x.fragment("s", "f32", tall * NT * 4), x.fragment("o", "f32", tall * WT * 4)];
  const [top, total, base, alpha, most] = ["top", "total", "base", "alpha", "most"].map((n) => x.fragment(n, "f32", tall * 2)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  const qS = tileBuffer("qS", q, BR, x.depth);
  const [kS, vS] = [tileBuffer("kS", k, BC, x.depth, 2), tileBuffer("vS", v, BC, x.width, 2)];
  const I = axis(x.name("fi"), tall, "unroll");
  const h = axis(x.name("fh"), 2, "unroll");
  const c = axis(x.name("fc"), 2, "vector");
  const two = axis(x.name("ft"), 2, "unroll");
  const row = add(mul(at(I), 2), at(h));
  const number = (n: number): Value => x.number(n);
  const none = number(Number.NEGATIVE_INFINITY);
  /** Row and column of register (h, c) of the fragment at `column`. */
  const cell = (column: Dim): readonly [Dim, Dim] => {
    const [r, col] = fragmentAt(unit.layout!, lane, 0);
    return [add(mul(add(mul(warp, tall), at(I)), unit.m), r, mul(at(h), 8)), add(column, col, at(c))];
  };

  const from = keyBatch(x, index);
  const fill = (block: Dim, stem: string): readonly Stmt[] => {
    const tile: Stmt[] = [];
    const k0 = mul(position(x, `${stem}at`, block, ceilDiv(x.keys, BC), tile), BC);
    const slot = mod(block, 2);
    return [
      ...tile,
      ...given(0, x.keys, [
        ...fillTile(x, threads, tid, {
          stem: `${stem}k`,
          node: k,
          head: from,
          first: k0,
          rows: BC,
          of: x.keys,
          columns: x.depth,
          into: kS,
          from: mul(slot, BC * pitch(x.depth)),
        }),
        ...fillTile(x, threads, tid, {
          stem: `${stem}v`,
          node: v,
          head: from,
          first: k0,
          rows: BC,
          of: x.keys,
          columns: x.width,
          into: vS,
          from: mul(slot, BC * pitch(x.width)),
        }),
      ]),
    ];
  };
  const begin: readonly Stmt[] = [
    ...given(
      0,
      x.queries,
      fillTile(x, threads, tid, {
        stem: "q",
        node: q,
        head: index,
        first: q0,
        rows: BR,
        of: x.queries,
        columns: x.depth,
        into: qS,
        from: 0,
      }),
    ),
    { kind: "if", test: below(0, limit), body: fill(0, "f") },
    { kind: "commit" },
  ];
  const in16 = mod(lane, 16);
  const upper = mul(div(lane, 16), 8);
  const KK = axis(x.name("kk"), KT, "unroll");
  const fetchQ = loops(
    [I, KK],
    [
      {
        kind: "fetch",
        unit,
        into: ref(qf, mul(add(mul(at(I), KT), at(KK)), 4)),
        from: ref(qS, add(mul(add(mul(add(mul(warp, tall), at(I)), unit.m), in16), pitch(x.depth)), mul(at(KK), unit.k), upper)),
        stride: 0,
        count: 4,
        transposed: false,
      },
    ],
  );

  const J = axis(x.name("j"), NT, "unroll");
  const J2 = axis(x.name("jj"), NT / 2, "unroll");
  const W = axis(x.name("w"), WT, "unroll");
  const W2 = axis(x.name("ww"), WT / 2, "unroll");
  const tile: Stmt[] = [];
  const k0 = mul(position(x, "k0", at(B), ceilDiv(x.keys, BC), tile), BC);
  const slot = mod(at(B), 2);
  const next: Stmt = { kind: "if", test: below(add(at(B), 1), count), body: fill(add(at(B), 1), "n") };
  const products: readonly Stmt[] = [
    ...loops([I, J], [{ kind: "fill", unit, acc: ref(s, mul(add(mul(at(I), NT), at(J)), 4)) }]),
    ...loops(
      [KK],
      [
        ...loops(
          [J2],
          [
            {
              kind: "fetch",
              unit,
              into: ref(kf, mul(at(J2), 4)),
              from: ref(
                kS,
                add(
                  mul(slot, BC * pitch(x.depth)),
                  mul(add(mul(at(J2), 16), upper, mod(lane, 8)), pitch(x.depth)),
                  mul(at(KK), unit.k),
                  mul(mod(div(lane, 8), 2), 8),
                ),
              ),
              stride: 0,
              count: 4,
              transposed: false,
            },
          ],
        ),
        ...loops(
          [I, J],
          [
            {
              kind: "mma",
              unit,
              acc: ref(s, mul(add(mul(at(I), NT), at(J)), 4)),
              a: ref(qf, mul(add(mul(at(I), KT), at(KK)), 4)),
              b: ref(kf, mul(at(J), 2)),
            },
          ],
        ),
      ],
    ),
  ];

  const { mask, factor } = weighing(x);
  const sc = (place: Dim): Value => load(s, place);
  const element = add(mul(add(mul(at(I), NT), at(J)), 4), mul(at(h), 2), at(c));
  const scaled: Stmt[] = [];
  if (mask || x.scale <= 0) {
    const [r, col] = cell(add(k0, mul(at(J), unit.n)));
    const body: Stmt[] = [];
    const by = x.op("mul", sc(element), number(x.scale * log2e));
    const m = mask?.(index, min(add(q0, r), sub(x.queries, 1)), min(col, sub(x.keys, 1)), body);
    const value = !m ? by : m.dtype === "bool" ? x.op("where", m, by, none) : x.op("fma", m, number(log2e), by);
    scaled.push(...given(0, x.keys, loops([I, J, h, c], [...body, store(s, element, value)])));
  }
  // Keys that a query must not see, in the tiles that have such.
  const hide = (last: (r: Dim) => Dim): readonly Stmt[] => {
    const [r, col] = cell(add(k0, mul(at(J), unit.n)));
    const visible = apply("le", "bool", indexValue(col, "i32"), indexValue(last(r), "i32"));
    return loops([I, J, h, c], [store(s, element, x.op("where", visible, sc(element), none))]);
  };
  const hidden: Stmt[] = [];
  if (x.causal)
    hidden.push({
      kind: "if",
      test: below(add(start, q0, mul(warp, tall * unit.m)), add(k0, BC - 1)),
      body: hide((r) => min(add(start, q0, r), sub(x.keys, 1))),
    });
  if (!divides(BC, x.keys)) hidden.push({ kind: "if", test: below(x.keys, add(k0, BC)), body: hide(() => sub(x.keys, 1)) });

  const blind = root.attrs.mask === true || root.attrs.offset === true || lo(x.keys) === 0;
  const C = axis(c.name, 2, "unroll");
  const bottom = blind ? x.op("where", apply("eq", "bool", load(most, row), none), number(0), load(most, row)) : load(most, row);
  const weights: readonly Stmt[] = loops(
    [I, h],
    [
      { kind: "combine", op: "max", axes: [J, C], threads: 4, value: sc(element), into: ref(most, row) },
      store(most, row, x.op("max", load(most, row), load(top, row))),
      // A query that has seen nothing yet keeps a base that is a number, or differences of infinities would be none.
      store(base, row, x.op("mul", bottom, number(-factor))),
      store(alpha, row, exponential(load(top, row))),
      store(top, row, load(most, row)),
      ...loops([J, C], [store(s, element, exponential(sc(element)))]),
      { kind: "combine", op: "add", axes: [J, C], threads: 1, value: sc(element), into: ref(most, row) },
      store(total, row, x.op("fma", load(total, row), load(alpha, row), load(most, row))),
      ...loops([W, C], [scaleSum()]),
    ],
  );
  function exponential(v: Value): Value {
    return apply("exp2near", "f32", x.op("fma", v, number(factor), load(base, row)));
  }
  function scaleSum(): Stmt {
    const place = add(mul(add(mul(at(I), WT), at(W)), 4), mul(at(h), 2), at(C));
    return store(o, place, x.op("mul", load(o, place), load(alpha, row)));
  }
  const K2 = axis(x.name("k2"), BC / unit.k, "unroll");
  const values: readonly Stmt[] = loops(
    [K2],
    [
      ...loops(
        [W2],
        [
          {
            kind: "fetch",
            unit,
            into: ref(vf, mul(at(W2), 4)),
            from: ref(vS, add(mul(slot, BC * pitch(x.width)), mul(add(mul(at(K2), unit.k), in16), pitch(x.width)), mul(at(W2), 16), upper)),
            stride: 0,
            count: 4,
            transposed: true,
          },
        ],
      ),
      ...loops(
        [I],
        [
          // Accumulators of two neighbouring fragments are an operand's fragment, row by row.
          ...loops(
            [two, h],
            [
              store(
                pf,
                add(mul(at(I), 4), mul(at(two), 2), at(h)),
                pairOf(q.type.dtype, s, add(mul(add(mul(at(I), NT), mul(at(K2), 2), at(two)), 4), mul(at(h), 2))),
              ),
            ],
          ),
          ...loops(
            [W],
            [{ kind: "mma", unit, acc: ref(o, mul(add(mul(at(I), WT), at(W)), 4)), a: ref(pf, mul(at(I), 4)), b: ref(vf, mul(at(W), 2)) }],
          ),
        ],
      ),
    ],
  );
  const loop: readonly Stmt[] = loops(
    [B],
    [
      ...tile,
      next,
      { kind: "commit" },
      { kind: "wait", pending: 1 },
      { kind: "barrier" },
      ...products,
      ...scaled,
      ...hidden,
      ...weights,
      ...values,
      { kind: "barrier" },
    ],
  );
  const zero: readonly Stmt[] = [
    ...loops([I, h], [store(top, row, none), store(total, row, number(0))]),
    ...loops([I, W], [{ kind: "fill", unit, acc: ref(o, mul(add(mul(at(I), WT), at(W)), 4)) }]),
  ];
  const body = [
    ...head,
    ...begin,
    { kind: "wait", pending: 0 } as const,
    { kind: "barrier" } as const,
    ...fetchQ,
    ...zero,
    ...loop,
    ...leave(),
  ];
  return finishKernel(group.name, [...x.buffers.values(), qS, kS, vS, ...x.made()], grid, threads, body);

  function leave(): readonly Stmt[] {
    const [out, rows] = [0, 1].map((i) => group.outputs.find((n) => n.attrs.index === i));
    const shape = [...x.batch, x.queries];
    const [r] = cell(0);
    const query = add(q0, r);
    const inside = (body: readonly Stmt[]): readonly Stmt[] =>
      divides(BR, x.queries) ? body : [{ kind: "if", test: below(query, x.queries), body }];
    const sum = load(total, row);
    const whole = blind ? x.op("where", apply("eq", "bool", sum, number(0)), number(1), sum) : sum;
    const finish: Stmt[] = [
      { kind: "combine", op: "add", axes: [], threads: 4, value: load(total, row), into: ref(total, row) },
      store(total, row, whole),
    ];
    if (rows) {
      const foot = x.op(
        "where",
        apply("eq", "bool", load(top, row), none),
        number(0),
        x.op("mul", load(top, row), number(factor * Math.LN2)),
      );
      const value = x.op("add", foot, x.op("log", load(total, row)));
      const one: Stmt = {
        kind: "if",
        test: below(mod(lane, 4), 1),
        body: [store(x.buffers.get(rows)!, flatten([...index, query], shape), value)],
      };
      finish.push(...inside([one]));
    }
    if (out) {
      finish.push(store(total, row, x.op("div", number(1), load(total, row))));
      const [, col] = cell(mul(at(W), unit.n));
      const place = add(mul(add(mul(at(I), WT), at(W)), 4), mul(at(h), 2), at(c));
      const value = x.op("mul", load(o, place), load(total, row));
      finish.push(...inside(loops([W, c], [store(x.buffers.get(out)!, x.placeOf([...index, query, col]), value)])));
    }
    return loops([I, h], finish);
  }
}

/** Two neighbouring registers as one word of half floats. */
export function pairOf(dtype: DType, s: Buffer, place: Dim): Value {
  const half = (i: number): Value => apply("cast", dtype, load(s, add(place, i)));
  return apply("pair", "u32", half(0), half(1));
}

/** The mask of a score, if there is one, and what scores are multiplied by to be exponents of 2. */
export function weighing(x: Attention): {
  readonly mask: ((index: readonly Dim[], query: Dim, key: Dim, into: Stmt[]) => Value) | undefined;
  readonly factor: number;
} {
  const node = x.group.root!.attrs.mask ? x.group.root!.inputs[3]! : undefined;
  const factor = node || x.scale <= 0 ? 1 : x.scale * log2e;
  if (!node) return { mask: undefined, factor };
  const { shape } = node.type;
  return {
    factor,
    mask: (index, query, key, into) =>
      x.read(
        node,
        [...index, query, key].map((d, i) => (shape[i] === 1 ? 0 : d)),
        into,
      ),
  };
}
