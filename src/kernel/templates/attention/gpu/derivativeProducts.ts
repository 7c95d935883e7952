/** The products of attention's derivatives: own rows times the other side's, and what weights add up of the other side's rows. */
import { add, type Dim, div, mod, mul } from "../../../../core/expr.js";
import { at, axis, type Buffer, loops, ref, type Stmt } from "../../../kernel.js";
import type { Derivation, Sum } from "./derivation.js";
import { fromAccumulators, fromRows } from "./operands.js";

/** Products of a tile of the other side, which lies in `slot`. */
export interface Products {
  /** Fragments of own rows along k. */
  fetchOwn(i: 0 | 1, kk: Dim): readonly Stmt[];
  /** Own rows times the other side's. */
  product(i: 0 | 1, into: Buffer): readonly Stmt[];
  /** Adds weighed rows to a derivative. */
  addUp(s: Sum, i: number): readonly Stmt[];
}

/** The products of a grid point of `v`. */
export function productsOf(v: Derivation, slot: Dim): Products {
  const { x, sizes, lane, warp, NT, parts, bf, pf, totals, ownS, otherS, I, J } = v;
  const { unit, tall, block: BC, held } = v.t;
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
          from: ref(ownS[i]!, add(mul(add(mul(add(mul(warp, tall), at(I)), unit.m), in16), v.step(i)), mul(kk, unit.k), upper)),
          stride: 0,
          count: 4,
          transposed: false,
        },
      ],
    );
  const ownPart = (i: 0 | 1, kk: Dim): Dim => mul(held ? add(mul(at(I), sizes[i]! / unit.k), kk) : at(I), 4);
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
                    mul(slot, BC * v.step(i)),
                    mul(add(mul(at(J2), 16), mul(div(lane, 16), 8), mod(lane, 8)), v.step(i)),
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
  const K2 = axis(x.name("k2"), BC / unit.k, "unroll");
  const addUp = (s: Sum, i: number): readonly Stmt[] => {
    const WT = sizes[s.of] / unit.n;
    const W2 = axis(x.name(`w${i}`), WT / 2, "unroll");
    const wide = axis(x.name(`v${i}`), 2, "unroll");
    const columnsOf = v.step(s.of);
    const vf = x.fragment(`vf${i}`, "u32", WT * 2);
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
  return { fetchOwn, product, addUp };
}
