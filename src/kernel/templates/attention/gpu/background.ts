/**
 * Attention forward on matrix units that read shared memory in the background: while weights are made of one tile's scores, the values of
 * the tile before are being added up, and tiles further on are on their way, which the first thread sees to. A group of warps has 64 queries.
 */
import { bytesOf } from "../../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, indexOn, max, min, mod, mul, sub, variable, xor } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import type { Node } from "../../../../ir/node.js";
import { unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import type { Group } from "../../../group.js";
import { at, axis, type Buffer, below, type Kernel, loops, ref, type Stmt } from "../../../kernel.js";
import { finishKernel } from "../../../walk.js";
import { type Attention, keyBatch, named, position, seen, setUp, standing } from "../setup.js";
import { fromAccumulators } from "./operands.js";
import { softmaxOf } from "./softmax.js";
import { rowsOf, type TileRows } from "./tile.js";
import { type BackgroundTiling, swizzled, tileBackground } from "./tiling.js";

/** The kernel, or undefined where sizes or operands do not suit. */
export function lowerBackground(group: Group, target: Target): Kernel | undefined {
  const x = setUp(group, target);
  const t = tileBackground(group.root!, target);
  const [q, k, v] = group.root!.inputs as readonly [Node, Node, Node];
  const source = (n: Node): TileRows | undefined => rowsOf(x, n, n === q ? x.batch : keyHeadsOf(x), n === q ? x.queries : x.keys, x.depth);
  const [queries, keys, values] = [source(q), source(k), source(v)];
  if (!t || !queries || !keys || !values || new Set([queries.buffer, keys.buffer, values.buffer]).size < 3) return undefined;
  return lower(x, t, [queries, keys, values]);
}
const keyHeadsOf = (x: Attention): Dim[] => (x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : []);

function lower(x: Attention, t: BackgroundTiling, sources: readonly [TileRows, TileRows, TileRows]): Kernel {
  const { group } = x;
  const root = group.root!;
  const { unit, scoring, adding, keys: BC, queries: BR, slots } = t;
  const dtype = root.inputs[0]!.type.dtype;
  const workers = 128 * t.groups;
  const tid = variable("tid", 0, workers - 1);
  const [lane, warp] = [mod(tid, 32), div(tid, 32)];
  const heads = numel(x.batch);
  const tiles = ceilDiv(x.queries, BR);
  const grid = mul(heads, tiles);
  const pid = indexOn("pid", grid);
  const head: Stmt[] = [];
  const inHead = heads === 1 ? pid : mod(pid, tiles);
  const index = unflatten(position(x, "head", heads === 1 ? 0 : div(pid, tiles), heads, head), x.batch);
  // The longest rows of a causal head first: what is left at the end is short.
  const q0 = mul(position(x, "tile", x.causal ? sub(sub(tiles, 1), inHead) : inHead, tiles, head), BR);
  const start = standing(x, index, head);
  const count = named(x, "count", ceilDiv(seen(x, start, add(q0, BR)), BC), ceilDiv(x.keys, BC), head);

  const width = x.width;
  const shared = (name: string, size: number): Buffer => ({ name, dtype, space: "shared", size });
  const signal = (name: string, size: number): Buffer => ({ name, dtype: "u32", space: "signal", size });
  const [qS, kS, vS] = [shared("qS", BR * width), shared("kS", slots * BC * width), shared("vS", slots * BC * width)];
  const signals = [signal("qFull", 1), ...["kFull", "vFull", "kEmpty", "vEmpty"].map((n) => signal(n, slots))] as const;
  const [qFull, kFull, vFull, kEmpty, vEmpty] = signals as readonly [Buffer, Buffer, Buffer, Buffer, Buffer];
  const NT = BC / unit.n;
  const [s, o] = [x.fragment("s", "f32", NT * 4), x.fragment("o", "f32", (width / unit.n) * 4)];
  const pf = x.fragment("pf", "u32", NT * 2);
  const softmax = softmaxOf(x, { ...t, tall: 1, warps: 4 * t.groups }, { lane, warp, index, q0, start, scores: s, sums: o });

  const slot = (b: Dim): Dim => mod(b, slots);
  const phase = (b: Dim): Dim => mod(div(b, slots), 2);
  const from = keyBatch(x, index);

  /** Parts of a row: a tile has those of all rows one after the other. */
  const parts = width / swizzled;
  // Who moves tiles.
  const move = (i: 0 | 1 | 2, to: Buffer, at0: Dim, row: Dim, rows: number, on: Buffer, which: Dim): readonly Stmt[] => {
    const { buffer, columns, origin } = sources[i];
    const [first, column] = origin(i ? from : index, row);
    return [
      { kind: "signal", op: "expect", on: ref(on, which), amount: rows * width * bytesOf(dtype) },
      ...Array.from(
        { length: parts },
        (_, part): Stmt => ({
          kind: "copyTile",
          to: ref(to, add(at0, part * rows * swizzled)),
          from: buffer,
          origin: [first, add(column, part * swizzled)],
          box: [rows, swizzled],
          columns,
          signal: ref(on, which),
        }),
      ),
    ];
  };
  const blocks = ceilDiv(x.keys, BC);
  // The last tile ends with the keys, and begins among those of the tile before: nothing behind them is read.
  const firstKey = (b: Dim): Dim => min(mul(b, BC), sub(x.keys, BC));
  const moveKeys = (b: Dim): readonly Stmt[] => move(1, kS, mul(slot(b), BC * width), firstKey(b), BC, kFull, slot(b));
  const moveValues = (b: Dim): readonly Stmt[] => move(2, vS, mul(slot(b), BC * width), firstKey(b), BC, vFull, slot(b));
  const first: readonly Stmt[] = [
    ...move(0, qS, 0, q0, BR, qFull, 0),
    ...Array.from({ length: slots }, (_, b): Stmt => ({ kind: "if", test: below(b, count), body: [...moveKeys(b), ...moveValues(b)] })),
  ];
  /** The tile that takes the place of one that everybody is done with: groups that so keep in step are faster than ones that drift. */
  const refill = (done: Dim, empty: Buffer, stem: string, copy: (b: Dim) => readonly Stmt[]): Stmt => {
    const before: Stmt[] = [];
    const b = named(x, stem, add(done, slots), sub(blocks, 1), before);
    return {
      kind: "if",
      test: below(add(done, slots), count),
      body: [{ kind: "signal", op: "await", on: ref(empty, slot(done)), amount: phase(done) }, ...before, ...copy(b)],
    };
  };

  // Who multiplies.
  const ready = (on: Buffer, b: Dim): Stmt => ({ kind: "signal", op: "await", on: ref(on, slot(b)), amount: phase(b) });
  const done = (on: Buffer, b: Dim): Stmt => ({
    kind: "if",
    test: below(lane, 1),
    body: [{ kind: "signal", op: "arrive", on: ref(on, slot(b)), amount: 1 }],
  });
  const K2 = axis(x.name("k2"), BC / adding.k, "unroll");
  const steps = width / scoring.k;
  const qf = x.fragment("qf", "u32", steps * 4);
  const KQ = axis(x.name("kq"), steps, "unroll");
  const partOf = (k: Dim, rows: number): Dim => mul(div(k, swizzled), rows * swizzled);
  // A fragment's rows as they were copied: pieces of 16 bytes exchanged.
  const row = add(mul(warp, 16), mod(lane, 16));
  const column = add(mul(at(KQ), scoring.k), mul(div(lane, 16), 8));
  const piece = div(mod(column, swizzled), 8);
  const fetch = loops(
    [KQ],
    [
      {
        kind: "fetch",
        unit,
        into: ref(qf, mul(at(KQ), 4)),
        from: ref(qS, add(partOf(mul(at(KQ), scoring.k), BR), mul(row, swizzled), mul(xor(piece, mod(row, 8)), 8))),
        stride: 0,
        count: 4,
        transposed: false,
      },
    ],
  );
  const multiply = (b: Dim): Stmt => ({
    kind: "issue",
    unit: scoring,
    body: [0, 1].flatMap((rest) => {
      // The first step replaces what the last tile left.
      const step = axis(KQ.name, rest ? steps - 1 : 1, "unroll");
      const k = add(at(step), rest);
      const deep = mul(k, scoring.k);
      const there = add(mul(slot(b), BC * width), partOf(deep, BC), mod(deep, swizzled));
      return loops(
        [step],
        [
          {
            kind: "mma",
            unit: scoring,
            acc: ref(s, 0),
            a: scoring.regs.a ? ref(qf, mul(k, 4)) : ref(qS, add(mul(div(tid, 128), 64 * swizzled), partOf(deep, BR), mod(deep, swizzled))),
            b: ref(kS, there),
            ...(!rest && { fresh: true as const }),
          },
        ],
      );
    }),
  });
  const W = axis(x.name("part"), parts, "unroll");
  const addUp = (b: Dim): Stmt => ({
    kind: "issue",
    unit: adding,
    body: loops(
      [K2, W],
      [
        {
          kind: "mma",
          unit: adding,
          acc: ref(o, mul(at(W), adding.regs.acc)),
          a: ref(pf, mul(at(K2), 4)),
          b: ref(vS, add(mul(slot(b), BC * width), mul(at(W), BC * swizzled), mul(at(K2), adding.k * swizzled))),
        },
      ],
    ),
  });
  const pack = loops([K2], fromAccumulators(x.name, adding, s, mul(at(K2), 8), pf, mul(at(K2), 4)));
  const settle = (pending: number, of: Buffer): Stmt => ({
    kind: "settle",
    unit: scoring,
    pending,
    of: { ...ref(of, 0), count: of.size as number },
  });
  const B = axis(x.name("b"), max(0, sub(count, 1)), "loop");
  const next: Stmt[] = [];
  const here = named(x, "next", add(at(B), 1), sub(blocks, 1), next);
  const last = sub(count, 1);
  const Z = axis(x.name("z"), (o.size as number) / 4, "unroll");
  const zero = loops([Z], [{ kind: "fill", unit, acc: ref(o, mul(at(Z), 4)) }]);
  const work: readonly Stmt[] = [
    ...softmax.begin,
    ...zero,
    ready(qFull, 0),
    ...(scoring.regs.a ? fetch : []),
    {
      kind: "if",
      test: below(0, count),
      body: [
        ready(kFull, 0),
        multiply(0),
        settle(0, s),
        done(kEmpty, 0),
        ...softmax.weigh(0),
        ...pack,
        ...loops(
          [B],
          [
            ...next,
            {
              kind: "if",
              test: below(tid, 1),
              body: [
                refill(at(B), kEmpty, "keysAt", moveKeys),
                { kind: "if", test: below(0, at(B)), body: [refill(sub(at(B), 1), vEmpty, "valuesAt", moveValues)] },
              ],
            },
            { kind: "barrier", warp: true },
            ready(kFull, here),
            multiply(here),
            ready(vFull, at(B)),
            addUp(at(B)),
            settle(1, s),
            done(kEmpty, here),
            ...softmax.weigh(firstKey(here), mul(here, BC)),
            settle(0, o),
            done(vEmpty, at(B)),
            ...softmax.follow,
            ...pack,
          ],
        ),
        ready(vFull, last),
        addUp(last),
        settle(0, o),
      ],
    },
    ...softmax.leave,
  ];
  const S = axis(x.name("slot"), slots, "unroll");
  const arm = (on: Buffer, place: Dim, amount: number): Stmt => ({ kind: "signal", op: "arm", on: ref(on, place), amount });
  const body: readonly Stmt[] = [
    ...head,
    {
      kind: "if",
      test: below(tid, 1),
      body: [
        arm(qFull, 0, 1),
        ...loops([S], [arm(kFull, at(S), 1), arm(vFull, at(S), 1), arm(kEmpty, at(S), workers / 32), arm(vEmpty, at(S), workers / 32)]),
      ],
    },
    { kind: "barrier" },
    { kind: "if", test: below(tid, 1), body: first },
    { kind: "barrier", warp: true },
    ...work,
  ];
  return finishKernel(group.name, [...x.buffers.values(), qS, kS, vS, ...signals, ...x.made()], grid, workers, body);
}
