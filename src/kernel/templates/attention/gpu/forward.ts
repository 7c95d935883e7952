/**
 * Attention forward on matrix units: a grid point is a tile of queries of one head, a warp some rows of it. Scores stay in the registers
 * of their fragments, become weights there, and are an operand of the second product as they are.
 */

import { add, ceilDiv, type Dim, div, indexOn, mod, mul, sub, variable } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import { unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import { type Group, hasElements } from "../../../group.js";
import { at, axis, type Buffer, below, type Kernel, loops, ref, type Stmt } from "../../../kernel.js";
import { emptyKernel, finishKernel } from "../../../walk.js";
import { given, keyBatch, named, position, seen, setUp, standing } from "../setup.js";
import { fromAccumulators, fromRows } from "./operands.js";
import { softmaxOf } from "./softmax.js";
import { fillTile, pitch, roundTile, tileBuffer } from "./tile.js";
import { tileMatrix } from "./tiling.js";

export function lowerMatrix(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const x = setUp(group, target);
  const root = group.root!;
  const [q, k, v] = root.inputs as [typeof root, typeof root, typeof root];
  const heads = numel(x.batch);
  const t = tileMatrix(root, target)!;
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
  const qS = tileBuffer("qS", q, BR, x.depth);
  const [kS, vS] = [tileBuffer("kS", k, BC, x.depth, 2), tileBuffer("vS", v, BC, x.width, 2)];
  const I = axis(x.name("fi"), tall, "unroll");
  const _h = axis(x.name("fh"), 2, "unroll");
  const _two = axis(x.name("ft"), 2, "unroll");
  const softmax = softmaxOf(x, t, { lane, warp, index, q0, start, scores: s, sums: o });

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
          from: mul(slot, BC * pitch(x.depth, q.type.dtype)),
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
          from: mul(slot, BC * pitch(x.width, q.type.dtype)),
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
  const upper = mul(div(lane, 16), unit.k / 2);
  const KK = axis(x.name("kk"), KT, "unroll");
  const fetchQ = loops(
    [I, KK],
    [
      {
        kind: "fetch",
        unit,
        into: ref(qf, mul(add(mul(at(I), KT), at(KK)), 4)),
        from: ref(
          qS,
          add(mul(add(mul(add(mul(warp, tall), at(I)), unit.m), in16), pitch(x.depth, q.type.dtype)), mul(at(KK), unit.k), upper),
        ),
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
                  mul(slot, BC * pitch(x.depth, q.type.dtype)),
                  mul(add(mul(at(J2), 16), mul(div(lane, 16), 8), mod(lane, 8)), pitch(x.depth, q.type.dtype)),
                  mul(at(KK), unit.k),
                  mul(mod(div(lane, 8), 2), unit.k / 2),
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

  const K2 = axis(x.name("k2"), BC / unit.k, "unroll");
  const values: readonly Stmt[] = loops(
    [K2],
    [
      ...loops(
        [W2],
        fromRows(
          x.name,
          unit,
          { buffer: vS, from: mul(slot, BC * pitch(x.width, q.type.dtype)), row: mul(at(K2), unit.k), columns: x.width, lane },
          W2,
          vf,
        ),
      ),
      ...loops(
        [I],
        [
          ...fromAccumulators(x.name, unit, s, mul(add(mul(at(I), NT), mul(at(K2), unit.k / 8)), 4), pf, mul(at(I), 4)),
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
      ...(unit.rounds
        ? [
            ...roundTile(x, threads, tid, {
              stem: "rk",
              rows: BC,
              columns: x.depth,
              into: kS,
              from: mul(slot, BC * pitch(x.depth, q.type.dtype)),
            }),
            ...roundTile(x, threads, tid, {
              stem: "rv",
              rows: BC,
              columns: x.width,
              into: vS,
              from: mul(slot, BC * pitch(x.width, q.type.dtype)),
            }),
          ]
        : []),
      { kind: "barrier" },
      ...products,
      ...softmax.top(k0),
      ...softmax.weigh(0),
      ...softmax.weigh(1),
      ...softmax.follow,
      ...values,
      { kind: "barrier" },
    ],
  );
  const zero: readonly Stmt[] = [
    ...softmax.begin,
    ...loops([I, W], [{ kind: "fill", unit, acc: ref(o, mul(add(mul(at(I), WT), at(W)), 4)) }]),
  ];
  const body = [
    ...head,
    ...begin,
    { kind: "wait", pending: 0 } as const,
    ...(unit.rounds ? roundTile(x, threads, tid, { stem: "rq", rows: BR, columns: x.depth, into: qS, from: 0 }) : []),
    { kind: "barrier" } as const,
    ...fetchQ,
    ...zero,
    ...loop,
    ...softmax.leave,
  ];
  return finishKernel(group.name, [...x.buffers.values(), qS, kS, vS, ...x.made()], grid, threads, body);
}
