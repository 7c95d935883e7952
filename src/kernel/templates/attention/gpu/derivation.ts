/** One side of attention's derivatives: whose rows a grid point has, and the tiles, fragments and sums that its work stands on. */
import { add, type Dim, div, mod, mul, variable } from "../../../../core/expr.js";
import { numel, type Shape } from "../../../../core/type.js";
import type { Node } from "../../../../ir/node.js";
import type { Target } from "../../../codegen.js";
import type { Group } from "../../../group.js";
import { type Axis, at, axis, type Buffer } from "../../../kernel.js";
import { fragmentAt } from "../../../units.js";
import { type Attention, setUp } from "../setup.js";
import { pitch, tileBuffer } from "./tile.js";
import { type DerivativeTiling, tileDerivatives } from "./tiling.js";

/** Whose rows a grid point has. */
export type Side = "keys" | "queries";
/** A derivative that a grid point adds up: what weighs the rows of an operand of the other side. */
export interface Sum {
  readonly out: Node;
  readonly weights: Buffer;
  /** The other side's operand: the one that scores are made of, or the one that meets values. */
  readonly of: 0 | 1;
  readonly by: number;
}
/** What the parts of a kernel of derivatives share. */
export interface Derivation {
  readonly x: Attention;
  readonly t: DerivativeTiling;
  readonly side: Side;
  /** What scores are made of, and what meets values: of own rows, and of the other side's. */
  readonly own: readonly [Node, Node];
  readonly other: readonly [Node, Node];
  readonly ownSize: Dim;
  readonly otherSize: Dim;
  readonly ct: Node;
  /** Each row's logarithm of its sum. */
  readonly rows: Node;
  /** Each row's sum of results times cotangents, where it is given; results otherwise. */
  readonly shares: Node | undefined;
  readonly more: Node;
  /** Columns of both operands. */
  readonly sizes: readonly [number, number];
  readonly batch: Shape;
  readonly heads: Dim;
  readonly threads: number;
  readonly tid: Dim;
  readonly lane: Dim;
  readonly warp: Dim;
  /** Fragments of the other side's rows in a tile. */
  readonly NT: number;
  /** Scores, which become probabilities, and their cotangents. */
  readonly p: Buffer;
  readonly d: Buffer;
  /** Fragments of own rows, of the other side's, and of weights. */
  readonly parts: readonly Buffer[];
  readonly bf: Buffer;
  readonly pf: Buffer;
  /** Of each query: what its exponents start from, and its sum of results times cotangents. */
  readonly base: Buffer;
  readonly share: Buffer;
  readonly sums: readonly Sum[];
  readonly totals: readonly Buffer[];
  readonly ownS: readonly Buffer[];
  readonly otherS: readonly Buffer[];
  readonly scalarS: readonly Buffer[];
  /** Each row's sum of results times cotangents in memory, where the queries' kernel makes them, and its shape. */
  readonly kept: Buffer;
  readonly shape: Shape;
  /** Fragments of own rows by I, of the other side's by J; a lane has two rows of each, `h`, and two columns, `c`. */
  readonly I: Axis;
  readonly J: Axis;
  readonly h: Axis;
  readonly c: Axis;
  /** Row and column of register (h, c) of the fragment at `column`. */
  cell(column: Dim): readonly [Dim, Dim];
  /** Where that register lies in `p` and `d`. */
  readonly element: Dim;
  /** Where its query lies in `base` and `share`. */
  readonly scalar: Dim;
  /** Elements from one row of a tile of an operand to the next. */
  step(of: 0 | 1): number;
}

/** Chooses tiles for one side, and makes what its work stands on. */
export function derive(group: Group, target: Target, side: Side): Derivation {
  const x = setUp(group, target);
  const root = group.root!;
  const [q, k, v] = root.inputs as readonly [Node, Node, Node];
  const [ct, rows, more] = root.inputs.slice(3 + Number(root.attrs.mask)) as [Node, Node, Node];
  const shares = root.attrs.shares ? more : undefined;
  const [own, other] = side === "keys" ? [[k, v] as const, [q, ct] as const] : [[q, ct] as const, [k, v] as const];
  const [ownSize, otherSize] = side === "keys" ? [x.keys, x.queries] : [x.queries, x.keys];
  const sizes = [x.depth, x.width] as const;
  const keyHeads: Shape = x.batch.length ? [...x.batch.slice(0, -1), div(x.batch.at(-1)!, x.shared)] : [];
  const batch = side === "keys" ? keyHeads : x.batch;
  const heads = numel(batch);
  const t = tileDerivatives(root, target, side)!;
  const { unit, tall, rows: BR, block: BC, held } = t;
  const threads = 32 * t.warps;
  const tid = variable("tid", 0, threads - 1);
  const [lane, warp] = [mod(tid, 32), div(tid, 32)];

  const u32 = (name: string, size: number): Buffer => x.fragment(name, "u32", size);
  const f32 = (name: string, size: number): Buffer => x.fragment(name, "f32", size);
  const NT = BC / unit.n;
  const [p, d] = [f32("p", tall * NT * 4), f32("d", tall * NT * 4)];
  const parts = sizes.map((s, i) => u32(`own${i}`, tall * 4 * (held ? s / unit.k : 1)));
  const [bf, pf] = [u32("bf", NT * 2), u32("pf", tall * 4)];
  const along = side === "keys" ? NT * 2 : tall * 2;
  const [base, share] = [f32("base", along), f32("share", along)];
  const result = (i: number): Node | undefined => group.outputs.find((o) => o.attrs.index === i);
  const sum = (i: number, weights: Buffer, of: 0 | 1, by: number): Sum[] => {
    const out = result(i);
    return out ? [{ out, weights, of, by }] : [];
  };
  const sums = side === "keys" ? [...sum(2, p, 1, 1), ...sum(1, d, 0, x.scale)] : sum(0, d, 0, x.scale);
  const totals = sums.map((s, i) => f32(`sum${i}`, tall * (sizes[s.of] / unit.n) * 4));
  const ownS = own.map((n, i) => tileBuffer(`own${i}S`, n, BR, sizes[i]!));
  const otherS = other.map((n, i) => tileBuffer(`other${i}S`, n, BC, sizes[i]!, 2));
  const scalarS = [0, 1].map((i): Buffer => ({ name: `row${i}S`, dtype: "f32", space: "shared", size: 2 * BC }));
  const shape = [...x.batch, x.queries];
  const kept: Buffer = { name: "tmp0", dtype: "f32", space: "global", size: numel(shape), writes: true };

  const I = axis(x.name("fi"), tall, "unroll");
  const h = axis(x.name("fh"), 2, "unroll");
  const c = axis(x.name("fc"), 2, "vector");
  const J = axis(x.name("j"), NT, "unroll");
  const cell = (column: Dim): readonly [Dim, Dim] => {
    const [r, col] = fragmentAt(unit.layout!, lane, 0);
    return [add(mul(add(mul(warp, tall), at(I)), unit.m), r, mul(at(h), 8)), add(column, col, at(c))];
  };
  const element = add(mul(add(mul(at(I), NT), at(J)), 4), mul(at(h), 2), at(c));
  const scalar = side === "keys" ? add(mul(at(J), 2), at(c)) : add(mul(at(I), 2), at(h));
  const step = (of: 0 | 1): number => pitch(sizes[of], q.type.dtype);
  return {
    x,
    t,
    side,
    own,
    other,
    ownSize,
    otherSize,
    rows,
    shares,
    ct,
    more,
    sizes,
    batch,
    heads,
    threads,
    tid,
    lane,
    warp,
    NT,
    p,
    d,
    parts,
    bf,
    pf,
    base,
    share,
    sums,
    totals,
    ownS,
    otherS,
    scalarS,
    shape,
    kept,
    I,
    J,
    h,
    c,
    cell,
    element,
    scalar,
    step,
  };
}
