/** Units whose registers are whole tiles (Intel's AMX): words in shared storage, tiles of them, and results that leave through scratch. */
import { add, type Dim, div, mul, substitute } from "../../../core/expr.js";
import { at, axis, below, loops, type MatrixUnit, type Ref, ref, type Stmt } from "../../kernel.js";
import { rowWords } from "../../units.js";
import type { Contract, Product, State } from "./contract.js";
import { deepTiles } from "./fill.js";
import { waiting } from "./leave.js";
import { type Operand, runsOf } from "./operands.js";

/**
 * acc[i, j] += a[i] * b[j], tile by tile along k. A tile is fetched right before its first use, so that fetches and products take turns.
 * The strip of a stays in the first cache; b passes by.
 */
export function tileSteps(x: Contract, st: State, unit: MatrixUnit): readonly Stmt[] {
  const { acc, operands } = x;
  const k = axis("kk", deepTiles(x, st.size.k), "loop");
  const [rows, columns] = [x.mr / unit.m, x.nr / unit.n];
  const own = x.cells * x.products.length;
  const fetch = (into: number, o: Operand, place: Dim, stride: number, hint?: "stream"): Stmt => ({
    kind: "fetch",
    unit,
    into: ref(acc, into),
    from: ref(x.stages.get(o)!, place),
    stride,
    count: 1,
    transposed: false,
    ...(hint && { hint }),
  });
  const fetched = new Set<number>();
  const body: Stmt[] = [...x.operands.a.flatMap((o) => nextStrip(x, o, st, at(k)))];
  const once = (tile: number, s: () => Stmt): void => {
    if (fetched.has(tile)) return;
    fetched.add(tile);
    body.push(s());
  };
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      for (const p of x.products) {
        const [a, b] = [own + p.a.index * rows + i, own + operands.a.length * rows + p.b.index * columns + j];
        const startA = x.place("a", add(x.relative("a", st, "m"), i * unit.m), add(x.relative("a", st, "k"), mul(at(k), unit.k)), 0);
        const words = add(div(x.relative("b", st, "k"), x.pack), mul(at(k), rowWords));
        const startB = x.place("b", add(x.relative("b", st, "n"), j * unit.n), words, 0);
        once(b, () => fetch(b, p.b, startB, rowWords, "stream"));
        once(a, () => fetch(a, p.a, startA, unit.k));
        const cell = substitute(
          x.cell(p),
          new Map<string, Dim>([
            [x.I.name, i],
            [x.J.name, j],
          ]),
        );
        body.push({ kind: "mma", unit, acc: ref(acc, cell), a: ref(acc, a), b: ref(acc, b) });
      }
  return loops([k], body);
}

/** Lines of the next strip of the left operand, some at each step: copying it will find them in the second cache. */
function nextStrip(x: Contract, o: Operand, st: State, k: Dim): readonly Stmt[] {
  const { k: deep } = x.unit!;
  const block = (a: "m" | "n"): number => x.t.levels.find((l) => l.axis === a)!.tile;
  if (block("m") <= x.mr || !runsOf(x.group, "a", deep) || o.node.type.dtype !== x.unit!.input) return [];
  const turns = Math.ceil(block("n") / x.nr);
  const each = Math.ceil(x.mr / turns);
  const q = axis("ahead", each, "unroll");
  const turn = div(x.relative("b", st, "n"), x.nr);
  const row = add(mul(turn, each), at(q));
  const asked: readonly Stmt[] = loops(
    [q],
    [{ kind: "prefetch", ...x.address(o, add(st.off.m, x.mr, row), add(st.off.k, mul(k, deep))), second: true }],
  );
  return turns > x.mr ? [{ kind: "if", test: below(turn, x.mr), body: asked }] : asked;
}

/** The life of such accumulators: zero or the sums so far, the products, and their place in scratch, where a sweep finds them. */
export function tileAccumulators(x: Contract, st: State, unit: MatrixUnit, inner: readonly Stmt[]): readonly Stmt[] {
  const { I, J, acc } = x;
  const each = (s: (p: Product) => Stmt): readonly Stmt[] => loops([I, J], x.products.map(s));
  const place = (p: Product): Ref => ref(x.partial, waiting(x, p, st, mul(at(I), unit.m), mul(at(J), unit.n)));
  const zero = each((p) => ({ kind: "fill", unit, acc: ref(acc, x.cell(p)) }));
  const whole = !x.t.levels.some((l) => l.axis === "k" && !(typeof x.total.k === "number" && x.total.k <= l.tile));
  const fetched = { kind: "fetch", unit, stride: x.partialWidth, count: 1, transposed: false } as const;
  const resume = each((p) => ({ ...fetched, into: ref(acc, x.cell(p)), from: place(p) }));
  return [
    ...(whole ? zero : [{ kind: "if", test: below(st.off.k, 1), body: zero, else: resume } as const]),
    ...inner,
    ...each((p) => ({ kind: "spill", unit, acc: ref(acc, x.cell(p)), to: place(p), stride: x.partialWidth })),
  ];
}
