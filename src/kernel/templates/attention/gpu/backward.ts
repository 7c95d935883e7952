/**
 * Derivatives of attention on matrix units, from each row's logarithm of its sum: one kernel whose grid points are tiles of keys, for the
 * derivatives of keys and values, and one of tiles of queries, for theirs. Each computes the probabilities again, in the registers of
 * fragments, where they become operands as they are; nothing is added up across grid points.
 */
import { add, ceilDiv, type Dim, div, divides, indexOn, max, min, mod, mul, sub, variable } from "../../../../core/expr.js";
import { numel, type Shape } from "../../../../core/type.js";
import type { Node } from "../../../../ir/node.js";
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
import { given, keyBatch, named, position, setUp } from "../setup.js";
import { fromAccumulators, fromRows } from "./operands.js";
import { weighing } from "./softmax.js";
import { fillRow, fillTile, pitch, roundTile, tileBuffer } from "./tile.js";
import { tileDerivatives, unitFor } from "./tiling.js";

/** Whose rows a grid point has. */
type Side = "keys" | "queries";
/** A derivative that a grid point adds up: what weighs the rows of an operand of the other side. */
interface Sum {
  readonly out: Node;
  readonly weights: Buffer;
  /** The other side's operand: the one that scores are made of, or the one that meets values. */
  readonly of: 0 | 1;
  readonly by: number;
}

/** The kernels of those derivatives that are asked for. */
export function lowerBackwardMatrix(group: Group, target: Target): readonly Kernel[] {
  if (!hasElements(group)) return [emptyKernel(group.name)];
  const wanted = (i: number): boolean => group.outputs.some((o) => o.attrs.index === i);
  const keys = wanted(1) || wanted(2);
  // The keys' kernel needs what the queries' makes of results.
  const queries = wanted(0) || (keys && !group.root!.attrs.shares);
  return [...(queries ? [lowerSide(group, target, "queries")] : []), ...(keys ? [lowerSide(group, target, "keys")] : [])];
}

function lowerSide(group: Group, target: Target, side: Side): Kernel {
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
  const t = tileDerivatives(unitFor(target, root)!, target, side, { heads, rows: ownSize, depth: x.depth, width: x.width });
  const { unit, tall, rows: BR, block: BC, held } = t;
  const threads = 32 * t.warps;
  const tid = variable("tid", 0, threads - 1);
  const [lane, warp] = [mod(tid, 32), div(tid, 32)];

  const tiles = ceilDiv(ownSize, BR);
  const grid = mul(heads, tiles);
  const pid = indexOn("pid", grid);
  const head: Stmt[] = [];
  const inHead = heads === 1 ? pid : mod(pid, tiles);
  const from = unflatten(position(x, "head", heads === 1 ? 0 : div(pid, tiles), heads, head), batch);
  // The longest rows of a causal head first: keys that many queries see, queries that see many keys.
  const r0 = mul(position(x, "tile", x.causal && side === "queries" ? sub(sub(tiles, 1), inHead) : inHead, tiles, head), BR);
  const H = axis(x.name("h"), side === "keys" ? x.shared : 1, "loop");
  const index = side === "queries" || !batch.length ? from : [...from.slice(0, -1), add(mul(from.at(-1)!, x.shared), at(H))];
  const blocks = ceilDiv(otherSize, BC);
  // Queries from the first that sees these keys on; keys up to the last one that is seen.
  const first = x.causal && side === "keys" ? named(x, "first", min(div(r0, BC), blocks), blocks, head) : 0;
  const seen = x.causal && side === "queries" ? ceilDiv(min(x.keys, add(r0, BR)), BC) : blocks;
  const count = named(x, "count", max(0, sub(seen, first)), blocks, head);
  const B = axis(x.name("b"), count, "loop");
  const blockAt = (i: Dim, stem: string, into: Stmt[]): Dim =>
    first === 0 ? position(x, stem, i, blocks, into) : named(x, stem, add(first, i), sub(blocks, 1), into);

  const u32 = (name: string, size: number): Buffer => x.fragment(name, "u32", size);
  const f32 = (name: string, size: number): Buffer => x.fragment(name, "f32", size);
  // Fragments: of own rows by I, of the other side's by J; a lane has two rows of each, `h`, and two columns, `c`.
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
  // Each row's sum of results times cotangents, where the queries' kernel makes them.
  const shape = [...x.batch, x.queries];
  const kept: Buffer = { name: "tmp0", dtype: "f32", space: "global", size: numel(shape), writes: true };

  const I = axis(x.name("fi"), tall, "unroll");
  const h = axis(x.name("fh"), 2, "unroll");
  const c = axis(x.name("fc"), 2, "vector");
  const J = axis(x.name("j"), NT, "unroll");
  const number = (n: number): Value => x.number(n);
  /** Row and column of register (h, c) of the fragment at `column`. */
  const cell = (column: Dim): readonly [Dim, Dim] => {
    const [r, col] = fragmentAt(unit.layout!, lane, 0);
    return [add(mul(add(mul(warp, tall), at(I)), unit.m), r, mul(at(h), 8)), add(column, col, at(c))];
  };
  const pick = (row: Dim, column: Dim): { readonly query: Dim; readonly key: Dim } =>
    side === "keys" ? { query: column, key: row } : { query: row, key: column };
  const last = (d: Dim, size: Dim): Dim => min(d, sub(size, 1));

  const fill = (number: Dim, stem: string): readonly Stmt[] => {
    const before: Stmt[] = [];
    const c0 = mul(blockAt(number, `${stem}at`, before), BC);
    const slot = mod(number, 2);
    const headOf = side === "keys" ? index : keyBatch(x, index);
    const scalars =
      side === "queries"
        ? []
        : [rows, shares].flatMap((node, i) =>
            fillRow(threads, tid, {
              name: x.name(`${stem}r${i}`),
              value: (row, into) => (node ? x.plain(node, [...index, row], into) : load(kept, flatten([...index, row], shape))),
              first: c0,
              rows: BC,
              of: otherSize,
              into: scalarS[i]!,
              from: mul(slot, BC),
            }),
          );
    const tilesOf = other.flatMap((node, i) =>
      fillTile(x, threads, tid, {
        stem: `${stem}${i}`,
        node,
        head: headOf,
        first: c0,
        rows: BC,
        of: otherSize,
        columns: sizes[i]!,
        into: otherS[i]!,
        from: mul(slot, BC * pitch(sizes[i]!, q.type.dtype)),
      }),
    );
    return [...before, ...given(0, otherSize, [...tilesOf, ...scalars])];
  };
  const in16 = mod(lane, 16);
  const upper = mul(div(lane, 16), unit.k / 2);
  const fetchOwn = (i: 0 | 1, kk: Dim): readonly Stmt[] =>
    loops(
      [I],
      [
        {
          kind: "fetch",
          unit,
          into: ref(parts[i]!, ownPart(i, kk)),
          from: ref(
            ownS[i]!,
            add(mul(add(mul(add(mul(warp, tall), at(I)), unit.m), in16), pitch(sizes[i]!, q.type.dtype)), mul(kk, unit.k), upper),
          ),
          stride: 0,
          count: 4,
          transposed: false,
        },
      ],
    );
  const ownPart = (i: 0 | 1, kk: Dim): Dim => mul(held ? add(mul(at(I), sizes[i]! / unit.k), kk) : at(I), 4);
  const slot = mod(at(B), 2);
  /** Own rows times the other side's. */
  const product = (i: 0 | 1, into: Buffer): readonly Stmt[] => {
    const K = axis(x.name(`k${i}`), sizes[i]! / unit.k, "unroll");
    const J2 = axis(x.name(`j${i}`), NT / 2, "unroll");
    const two = axis(x.name(`t${i}`), 2, "unroll");
    const number = add(mul(at(J2), 2), at(two));
    return [
      ...loops([I, J], [{ kind: "fill", unit, acc: ref(into, mul(add(mul(at(I), NT), at(J)), 4)) }]),
      ...loops(
        [K],
        [
          ...(held ? [] : fetchOwn(i, at(K))),
          ...loops(
            [J2],
            [
              {
                kind: "fetch",
                unit,
                into: ref(bf, mul(at(J2), 4)),
                from: ref(
                  otherS[i]!,
                  add(
                    mul(slot, BC * pitch(sizes[i]!, q.type.dtype)),
                    mul(add(mul(at(J2), 16), mul(div(lane, 16), 8), mod(lane, 8)), pitch(sizes[i]!, q.type.dtype)),
                    mul(at(K), unit.k),
                    mul(mod(div(lane, 8), 2), unit.k / 2),
                  ),
                ),
                stride: 0,
                count: 4,
                transposed: false,
              },
              ...loops(
                [I, two],
                [
                  {
                    kind: "mma",
                    unit,
                    acc: ref(into, mul(add(mul(at(I), NT), number), 4)),
                    a: ref(parts[i]!, ownPart(i, at(K))),
                    b: ref(bf, mul(number, 2)),
                  },
                ],
              ),
            ],
          ),
        ],
      ),
    ];
  };

  const tile: Stmt[] = [];
  const c0 = mul(blockAt(at(B), "c0", tile), BC);
  const element = add(mul(add(mul(at(I), NT), at(J)), 4), mul(at(h), 2), at(c));
  const { mask, factor } = weighing(x);
  const none = number(Number.NEGATIVE_INFINITY);
  const place = (column: Dim): { readonly query: Dim; readonly key: Dim } => {
    const [r, col] = cell(column);
    return pick(add(r0, r), col);
  };
  const scaled: Stmt[] = [];
  if (mask || x.scale <= 0) {
    const { query, key } = place(add(c0, mul(at(J), unit.n)));
    const body: Stmt[] = [];
    const by = x.op("mul", load(p, element), number(x.scale * Math.LOG2E));
    const m = mask?.(index, last(query, x.queries), last(key, x.keys), body);
    const value = !m ? by : m.dtype === "bool" ? x.op("where", m, by, none) : x.op("fma", m, number(Math.LOG2E), by);
    scaled.push(...given(0, x.keys, given(0, x.queries, loops([I, J, h, c], [...body, store(p, element, value)]))));
  }
  // What must not be seen, and queries or keys beyond the last, in the tiles that have such.
  const hide = (see: (o: { readonly query: Dim; readonly key: Dim }) => readonly [Dim, Dim]): readonly Stmt[] => {
    const [a, b] = see(place(add(c0, mul(at(J), unit.n))));
    const visible = apply("le", "bool", indexValue(a, "i32"), indexValue(b, "i32"));
    return loops([I, J, h, c], [store(p, element, x.op("where", visible, load(p, element), none))]);
  };
  const hidden: Stmt[] = [];
  const ofWarp = add(r0, mul(warp, tall * unit.m));
  if (x.causal)
    hidden.push({
      kind: "if",
      test: side === "keys" ? below(c0, add(ofWarp, tall * unit.m - 1)) : below(ofWarp, add(c0, BC - 1)),
      body: hide(({ query, key }) => [key, query]),
    });
  if (!divides(BC, otherSize))
    hidden.push({
      kind: "if",
      test: below(otherSize, add(c0, BC)),
      body: hide((o) => [side === "keys" ? o.query : o.key, sub(otherSize, 1)]),
    });

  const scalar = side === "keys" ? add(mul(at(J), 2), at(c)) : add(mul(at(I), 2), at(h));
  const probabilities = loops(
    [I, J, h, c],
    [store(p, element, apply("exp2near", "f32", x.op("fma", load(p, element), number(factor), load(base, scalar))))],
  );
  const cotangents = loops(
    [I, J, h, c],
    [store(d, element, x.op("mul", load(p, element), x.op("sub", load(d, element), load(share, scalar))))],
  );
  const exponent = (v: Value): Value => x.op("mul", v, number(-Math.LOG2E));
  const columns: readonly Stmt[] =
    side === "queries"
      ? []
      : loops(
          [J, c],
          [rows, shares].map((_, i) => {
            const value = load(scalarS[i]!, add(mul(slot, BC), cell(mul(at(J), unit.n))[1]));
            return store(i ? share : base, scalar, i ? value : exponent(value));
          }),
        );
  const K2 = axis(x.name("k2"), BC / unit.k, "unroll");
  const addUp = (s: Sum, i: number): readonly Stmt[] => {
    const WT = sizes[s.of] / unit.n;
    const W2 = axis(x.name(`w${i}`), WT / 2, "unroll");
    const wide = axis(x.name(`v${i}`), 2, "unroll");
    const columnsOf = pitch(sizes[s.of], q.type.dtype);
    const vf = u32(`vf${i}`, WT * 2);
    const number = add(mul(at(W2), 2), at(wide));
    return loops(
      [K2],
      [
        ...loops([I], fromAccumulators(x.name, unit, s.weights, mul(add(mul(at(I), NT), mul(at(K2), unit.k / 8)), 4), pf, mul(at(I), 4))),
        ...loops(
          [W2],
          [
            ...fromRows(
              x.name,
              unit,
              { buffer: otherS[s.of]!, from: mul(slot, BC * columnsOf), row: mul(at(K2), unit.k), columns: sizes[s.of], lane },
              W2,
              vf,
            ),
            ...loops(
              [I, wide],
              [
                {
                  kind: "mma",
                  unit,
                  acc: ref(totals[i]!, mul(add(mul(at(I), WT), number), 4)),
                  a: ref(pf, mul(at(I), 4)),
                  b: ref(vf, mul(number, 2)),
                },
              ],
            ),
          ],
        ),
      ],
    );
  };

  const ownTiles = given(
    0,
    ownSize,
    own.flatMap((node, i) =>
      fillTile(x, threads, tid, {
        stem: `o${i}`,
        node,
        head: from,
        first: r0,
        rows: BR,
        of: ownSize,
        columns: sizes[i]!,
        into: ownS[i]!,
        from: 0,
      }),
    ),
  );
  const begin: readonly Stmt[] = [
    ...ownTiles,
    { kind: "commit" },
    ...(unit.rounds
      ? [
          { kind: "wait", pending: 0 } as const,
          ...ownS.flatMap((into, i) => roundTile(x, threads, tid, { stem: `ro${i}`, rows: BR, columns: sizes[i]!, into, from: 0 })),
        ]
      : []),
    ...totals.flatMap((b, i) => {
      const W = axis(x.name(`z${i}`), (b.size as number) / 4, "unroll");
      return loops([W], [{ kind: "fill", unit, acc: ref(b, mul(at(W), 4)) }]);
    }),
  ];
  const rowScalars: Stmt[] = [];
  if (side === "queries") {
    const query = last(add(r0, cell(0)[0]), x.queries);
    const read = (node: Node, place: readonly Dim[], into: Stmt[]): Value => x.read(node, [...index, query, ...place], into);
    const before: Stmt[] = [];
    const foot = exponent(read(rows, [], before));
    const each = [...before, store(base, scalar, foot)];
    if (shares) {
      const value = read(shares, [], each);
      each.push(store(share, scalar, value));
    } else {
      // Four lanes have a row, neighbours of four each in turn.
      const N = axis(x.name("n"), x.width / 16, "unroll");
      const [V, E] = [axis(x.name("v"), 4, "vector"), axis(x.name("e"), 4, "unroll")];
      const column = add(mul(add(mul(at(N), 4), mod(lane, 4)), 4), at(V));
      const products = f32("products", x.width / 4);
      const own: Stmt[] = [];
      const value = x.op("mul", read(ct, [column], own), read(more, [column], own));
      const here = add(r0, cell(0)[0]);
      const one: Stmt = {
        kind: "if",
        test: below(mod(lane, 4), 1),
        body: [store(kept, flatten([...index, here], shape), load(share, scalar))],
      };
      each.push(
        ...loops([N, V], [...own, store(products, add(mul(at(N), 4), at(V)), value)]),
        {
          kind: "combine",
          op: "add",
          axes: [N, E],
          threads: 4,
          value: load(products, add(mul(at(N), 4), at(E))),
          into: ref(share, scalar),
        },
        ...(divides(BR, x.queries) ? [one] : [{ kind: "if", test: below(here, x.queries), body: [one] } as const]),
      );
    }
    rowScalars.push(...given(0, x.queries, loops([I, h], each)));
  }
  const holding: readonly Stmt[] = held
    ? [
        { kind: "wait", pending: 0 },
        { kind: "barrier" },
        ...([0, 1] as const).flatMap((i) => {
          const K = axis(x.name(`f${i}`), sizes[i] / unit.k, "unroll");
          return loops([K], fetchOwn(i, at(K)));
        }),
      ]
    : [];
  const sweep: readonly Stmt[] = [
    { kind: "if", test: below(0, count), body: fill(0, "f") },
    { kind: "commit" },
    ...loops(
      [B],
      [
        ...tile,
        { kind: "if", test: below(add(at(B), 1), count), body: fill(add(at(B), 1), "n") },
        { kind: "commit" },
        { kind: "wait", pending: 1 },
        ...(unit.rounds
          ? otherS.flatMap((into, i) => {
              const from = mul(slot, BC * pitch(sizes[i]!, q.type.dtype));
              return roundTile(x, threads, tid, { stem: `r${i}`, rows: BC, columns: sizes[i]!, into, from });
            })
          : []),
        { kind: "barrier" },
        ...columns,
        ...product(0, p),
        ...scaled,
        ...hidden,
        ...probabilities,
        ...product(1, d),
        ...cotangents,
        ...sums.flatMap(addUp),
        { kind: "barrier" },
      ],
    ),
  ];
  const leave: readonly Stmt[] = sums.flatMap((s, i) => {
    const W = axis(x.name(`x${i}`), sizes[s.of] / unit.n, "unroll");
    const [r, col] = cell(mul(at(W), unit.n));
    const row = add(r0, r);
    const value = load(totals[i]!, add(mul(add(mul(at(I), sizes[s.of] / unit.n), at(W)), 4), mul(at(h), 2), at(c)));
    const to = flatten([...from, row, col], s.out.type.shape);
    const body = loops([W, c], [store(x.buffers.get(s.out)!, to, s.by === 1 ? value : x.op("mul", value, number(s.by)))]);
    return loops([I, h], divides(BR, ownSize) ? body : [{ kind: "if", test: below(row, ownSize), body }]);
  });
  const body = [...head, ...begin, ...rowScalars, ...(sums.length ? [...holding, ...loops([H], sweep)] : []), ...leave];
  return finishKernel(
    side === "keys" ? `${group.name}_keys` : group.name,
    [...x.buffers.values(), kept, ...ownS, ...otherS, ...scalarS, ...x.made()],
    grid,
    threads,
    body,
  );
}
