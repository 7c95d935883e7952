/**
 * Derivatives of attention on matrix units, from each row's logarithm of its sum: one kernel whose grid points are tiles of keys, for the
 * derivatives of keys and values, and one of tiles of queries, for theirs. Each computes the probabilities again, in the registers of
 * fragments, where they become operands as they are; nothing is added up across grid points.
 */
import { add, ceilDiv, type Dim, div, divides, indexOn, max, min, mod, mul, sub } from "../../../../core/expr.js";
import type { Node } from "../../../../ir/node.js";
import { flatten, unflatten } from "../../../../ops/movement.js";
import type { Target } from "../../../codegen.js";
import { type Group, hasElements } from "../../../group.js";
import { at, axis, below, type Kernel, load, loops, ref, type Stmt, store, type Value } from "../../../kernel.js";
import { emptyKernel, finishKernel } from "../../../walk.js";
import { given, keyBatch, named, position } from "../setup.js";
import { derive, type Side } from "./derivation.js";
import { productsOf } from "./derivativeProducts.js";
import { weightsOf } from "./derivativeWeights.js";
import { fillRow, fillTile, roundTile } from "./tile.js";

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
  const v = derive(group, target, side);
  const { x, own, other, ownSize, otherSize, ct, rows, shares, more, sizes, batch, heads, threads, tid, lane } = v;
  const { p, d, base, share, sums, totals, ownS, otherS, scalarS, kept, shape, I, J, h, c, cell, scalar } = v;
  const { unit, rows: BR, block: BC, held } = v.t;

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
        from: mul(slot, BC * v.step(i as 0 | 1)),
      }),
    );
    return [...before, ...given(0, otherSize, [...tilesOf, ...scalars])];
  };
  const tile: Stmt[] = [];
  const c0 = mul(blockAt(at(B), "c0", tile), BC);
  const slot = mod(at(B), 2);
  const { fetchOwn, product, addUp } = productsOf(v, slot);
  const { probabilities, cotangents } = weightsOf(v, index, r0, c0);
  const exponent = (v: Value): Value => x.op("mul", v, x.number(-Math.LOG2E));
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
    const query = min(add(r0, cell(0)[0]), sub(x.queries, 1));
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
      const products = x.fragment("products", "f32", x.width / 4);
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
              const from = mul(slot, BC * v.step(i as 0 | 1));
              return roundTile(x, threads, tid, { stem: `r${i}`, rows: BC, columns: sizes[i]!, into, from });
            })
          : []),
        { kind: "barrier" },
        ...columns,
        ...product(0, p),
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
    // Heads stand behind rows where that is how the result is read.
    const place = group.root!.attrs.rows ? [...from.slice(0, -1), row, from.at(-1)!, col] : [...from, row, col];
    const to = flatten(place, s.out.type.shape);
    const body = loops([W, c], [store(x.buffers.get(s.out)!, to, s.by === 1 ? value : x.op("mul", value, x.number(s.by)))]);
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
