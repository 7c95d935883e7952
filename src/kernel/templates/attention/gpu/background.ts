/**
 * Attention forward on matrix units that read shared memory in the background. Groups of four warps have 64 queries each and take turns:
 * while one's scores are multiplied, the others make weights of theirs, and add up the values of the block before. A group of its own moves tiles.
 */
import { add, ceilDiv, type Dim, div, indexOn, max, min, mod, mul, sub, variable, xor } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import type { Node } from "../../../../ir/node.js";
import { unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import type { Group } from "../../../group.js";
import { at, axis, type Buffer, below, type Kernel, loops, ref, type Stmt } from "../../../kernel.js";
import { finishKernel } from "../../../walk.js";
import { type Attention, keyBatch, named, position, seen, setUp, standing } from "../setup.js";
import { deliver } from "./delivery.js";
import { fromAccumulators } from "./operands.js";
import { softmaxOf } from "./softmax.js";
import { rowsOf, type TileRows } from "./tile.js";
import { type BackgroundTiling, headsAbreast, swizzled, tileBackground } from "./tiling.js";

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
  const { unit, scoring, adding, groups, keys: BC, queries: BR } = t;
  const workers = 128 * groups;
  const tid = variable("tid", 0, workers + 127);
  const [lane, warp, rank] = [mod(tid, 32), div(tid, 32), div(tid, 128)];
  const heads = numel(x.batch);
  const tiles = ceilDiv(x.queries, BR);
  const grid = mul(heads, tiles);
  const pid = indexOn("pid", grid);
  const head: Stmt[] = [];
  // The longest rows of causal heads first: what is left at the end is short.
  const abreast = headsAbreast(x, t);
  const [set, inSet] = heads === abreast ? [0, pid] : [div(pid, mul(abreast, tiles)), mod(pid, mul(abreast, tiles))];
  const index = unflatten(position(x, "head", add(mul(set, abreast), mod(inSet, abreast)), heads, head), x.batch);
  const tile = div(inSet, abreast);
  const q0 = mul(position(x, "tile", x.causal ? sub(sub(tiles, 1), tile) : tile, tiles, head), BR);
  const start = standing(x, index, head);
  const count = named(x, "count", ceilDiv(seen(x, start, add(q0, BR)), BC), ceilDiv(x.keys, BC), head);
  const delivery = deliver(x, t, sources, { head: index, keyHead: keyBatch(x, index), q0, count });
  const { keys, values, ready, place, firstKey } = delivery;
  const done = (of: typeof keys, b: Dim): Stmt => delivery.done(of, b, lane);

  const width = x.width;
  const NT = BC / unit.n;
  const [s, o] = [x.fragment("s", "f32", NT * 4), x.fragment("o", "f32", (width / unit.n) * 4)];
  const pf = x.fragment("pf", "u32", NT * 2);
  const softmax = softmaxOf(x, { ...t, tall: 1, warps: 4 * groups }, { lane, warp, index, q0, start, scores: s, sums: o });

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
        from: ref(delivery.queries, add(partOf(mul(at(KQ), scoring.k), BR), mul(row, swizzled), mul(xor(piece, mod(row, 8)), 8))),
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
      return loops(
        [step],
        [
          {
            kind: "mma",
            unit: scoring,
            acc: ref(s, 0),
            a: scoring.regs.a
              ? ref(qf, mul(k, 4))
              : ref(delivery.queries, add(mul(rank, 64 * swizzled), partOf(deep, BR), mod(deep, swizzled))),
            b: ref(keys.tile, add(place(keys, b), partOf(deep, BC), mod(deep, swizzled))),
            ...(!rest && { fresh: true as const }),
          },
        ],
      );
    }),
  });
  const W = axis(x.name("part"), width / swizzled, "unroll");
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
          b: ref(values.tile, add(place(values, b), mul(at(W), BC * swizzled), mul(at(K2), adding.k * swizzled))),
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
  // Groups multiply in turn: two that did so at once would both make weights at once, too.
  const turn: Buffer = { name: "turn", dtype: "u32", space: "signal", size: groups };
  const pass = (to: Dim): Stmt => ({
    kind: "if",
    test: below(lane, 1),
    body: [{ kind: "signal", op: "arrive", on: ref(turn, to), amount: 1 }],
  });
  const B = axis(x.name("b"), max(0, sub(count, 1)), "loop");
  const next: Stmt[] = [];
  const here = named(x, "next", add(at(B), 1), sub(ceilDiv(x.keys, BC), 1), next);
  const last = sub(count, 1);
  const Z = axis(x.name("z"), (o.size as number) / 4, "unroll");
  const work: readonly Stmt[] = [
    ...softmax.begin,
    ...loops([Z], [{ kind: "fill", unit, acc: ref(o, mul(at(Z), 4)) }]),
    delivery.queriesReady,
    ...(scoring.regs.a ? fetch : []),
    {
      kind: "if",
      test: below(0, count),
      body: [
        { kind: "if", test: below(groups - 2, rank), body: [pass(0)] },
        ready(keys, 0),
        multiply(0),
        settle(0, s),
        done(keys, 0),
        ...softmax.top(0),
        ...softmax.weigh(0),
        ...softmax.weigh(1),
        ...pack,
        ready(keys, min(1, last)),
        ...loops(
          [B],
          [
            ...next,
            { kind: "signal", op: "await", on: ref(turn, rank), amount: mod(at(B), 2) },
            multiply(here),
            ready(values, at(B)),
            addUp(at(B)),
            pass(mod(add(rank, 1), groups)),
            settle(1, s),
            done(keys, here),
            ...softmax.top(firstKey(here), mul(here, BC)),
            ...softmax.weigh(0),
            // Also a branch, which keeps a compiler from settling sums before these weights are made.
            ready(keys, min(add(here, 1), last)),
            settle(0, o),
            done(values, at(B)),
            ...softmax.weigh(1),
            ...softmax.follow,
            ...pack,
          ],
        ),
        ready(values, last),
        addUp(last),
        settle(0, o),
      ],
    },
    ...softmax.leave,
  ];
  const G = axis(x.name("group"), groups, "unroll");
  const body: readonly Stmt[] = [
    ...head,
    {
      kind: "if",
      test: below(tid, 1),
      body: [...delivery.arm(workers / 32), ...loops([G], [{ kind: "signal", op: "arm", on: ref(turn, at(G)), amount: 4 }])],
    },
    { kind: "barrier" },
    {
      kind: "if",
      test: below(tid, workers),
      body: [{ kind: "registers", change: "more", count: t.registers.work }, ...work],
      else: [
        { kind: "registers", change: "fewer", count: t.registers.move },
        { kind: "if", test: below(tid, workers + 1), body: delivery.feed },
      ],
    },
  ];
  return finishKernel(x.group.name, [...x.buffers.values(), ...delivery.buffers, turn, ...x.made()], grid, workers + 128, body);
}
