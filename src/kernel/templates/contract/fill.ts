/** How operands get into scratch for units whose registers are whole tiles: rows of k as they are, or words of k turned to lie across. */
import { add, type Dim, div, divides, mod, mul } from "../../../core/expr.js";
import { type Axis, apply, at, axis, type Buffer, below, constant, loops, ref, type Stmt, store, type Test } from "../../kernel.js";
import { rowWords } from "../../units.js";
import { across, type Contract, nothing, pieces, type State } from "./contract.js";
import { type Operand, runsOf } from "./operands.js";
import type { Role } from "./tiling.js";
import { operandWord } from "./words.js";

/** Where a block begins: a row or column of the product, k, and the element of the stage that becomes the block's first. */
interface Block {
  readonly o: Operand;
  readonly i: Dim;
  readonly k: Dim;
}

/** Whether no block reaches beyond the operand's last row: strips of the left one are whole, of the right one only panels are. */
const whole = (x: Contract, role: Role): boolean => divides(role === "a" ? x.mr : x.unit!.n, x.total[across(role)]);

/** Tiles along k that a size takes; the last one is filled up with zeros. */
export const deepTiles = (x: Contract, size: Dim): Dim => (divides(x.unit!.k, x.total.k) ? div(size, x.unit!.k) : pieces(size, x.unit!.k));
/** One of two ways to fill `count` elements along k: where all of them lie before the last k, and where k ends among them or before. */
const before = (x: Contract, k: Dim, count: number, all: readonly Stmt[], some: () => readonly Stmt[]): readonly Stmt[] =>
  divides(x.unit!.k, x.total.k) ? all : [{ kind: "if", test: below(add(k, count - 1), x.total.k), body: all, else: some() }];

/** Elements of a row of a block, side by side along k, computed into a buffer; zero beyond the last row and the last k. */
function rows(x: Contract, { o, i, k }: Block, count: number, to: Buffer, place: (row: Dim, k: Dim) => Dim): readonly Stmt[] {
  const size = x.total[across(o.role)];
  const { k: deep, input } = x.unit!;
  const lanes = Math.min(deep, x.vector);
  const [r, v, l] = [axis("r", count, "loop"), axis("v", deep / lanes, "unroll"), axis("l", lanes, "vector")];
  const inner = add(mul(at(v), lanes), at(l));
  const into: Stmt[] = [];
  const value = x.operand(o, add(i, at(r)), add(k, inner), into);
  const narrow = x.dtype === "i32" ? apply("cast", input, value) : value;
  const filled = [...into, store(to, place(at(r), inner), narrow)];
  const empty = [store(to, place(at(r), inner), nothing(x.dtype === "i32" ? input : x.dtype))];
  const inRows = (body: readonly Stmt[]): readonly Stmt[] => {
    const row = loops([v, l], body);
    return loops([r], whole(x, o.role) ? row : [{ kind: "if", test: below(add(i, at(r)), size), body: row, else: loops([v, l], empty) }]);
  };
  const part = (): Stmt => ({ kind: "if", test: below(add(k, inner), x.total.k), body: filled, else: empty });
  return before(x, k, deep, inRows(filled), () => inRows([part()]));
}

/** Brings an element of a plain operand near; it means nothing where there is none. */
const ask = (x: Contract, o: Operand, i: Dim, k: Dim): Stmt => ({ kind: "prefetch", ...x.address(o, i, k), second: true });

/**
 * Blocks of sixteen rows or columns of an operand as words of k: what lies across in memory is put together lane by lane, and memory's
 * rows are walked along from block to block.
 */
function columns(x: Contract, { o, i, k }: Block, blocks: Axis, to: Buffer, place: (word: Dim, i: Dim) => Dim): readonly Stmt[] {
  const [w, l] = [axis("w", rowWords, "loop"), axis("l", rowWords, "vector")];
  const inner = add(mul(at(blocks), rowWords), at(l));
  const element = add(i, inner);
  const word = add(k, mul(at(w), x.pack));
  const fill = (all: boolean): readonly Stmt[] => {
    const into: Stmt[] = [];
    const value = operandWord(x, o, element, word, into, all);
    return [...into, store(to, place(at(w), inner), value)];
  };
  const empty: readonly Stmt[] = [store(to, place(at(w), inner), constant(0, "u32"))];
  const test: Test = below(element, x.total[across(o.role)]);
  // Rows of the next block: there are too few of them together for hardware to see a stream.
  const q = axis("ahead", x.pack, "unroll");
  const next = add(k, x.unit!.k, mul(at(w), x.pack), at(q));
  const asked = x.isPlain(o) ? loops([q], [ask(x, o, add(i, mul(at(blocks), rowWords)), next)]) : [];
  const lanes = (filled: readonly Stmt[]): readonly Stmt[] =>
    loops([l], whole(x, o.role) ? filled : [{ kind: "if", test, body: filled, else: empty }]);
  const some = (): readonly Stmt[] => [{ kind: "if", test: below(word, x.total.k), body: lanes(fill(false)), else: loops([l], empty) }];
  return loops([w, blocks], [...asked, ...before(x, word, x.pack, lanes(fill(true)), some)]);
}

/** A strip of the left operand as tiles. */
export function tilesOf(x: Contract, o: Operand, st: State): readonly Stmt[] {
  const { m: high, k: deep } = x.unit!;
  const to = x.stages.get(o)!;
  const base = x.origin("a", "m");
  const kt = axis("ka", deepTiles(x, st.size.k), "loop");
  const p = axis("pa", pieces(st.size.m, high), "loop");
  const place = (i: Dim, k: Dim): Dim => x.place("a", i, k, 0);
  if (x.feed("a").minor === "k") {
    const i = axis("ia", high, "loop");
    const row = add(mul(at(p), high), at(i));
    const m = add(base, row);
    const k = add(st.off.k, mul(at(kt), deep));
    const start = place(row, mul(at(kt), deep));
    if (!runsOf(x.group, "a", deep) || o.node.type.dtype !== x.unit!.input)
      return loops(
        [p, kt],
        rows(x, { o, i: add(base, mul(at(p), high)), k }, high, to, (r, inner) =>
          place(add(mul(at(p), high), r), add(mul(at(kt), deep), inner)),
        ),
      );
    const copy: Stmt = { kind: "copy", to: ref(to, start), from: x.address(o, m, k), count: deep };
    const l = axis("l", deep, "vector");
    const empty = loops([l], [store(to, add(start, at(l)), nothing(x.dtype === "i32" ? x.unit!.input : x.dtype))]);
    const body: Stmt = whole(x, "a") ? copy : { kind: "if", test: below(m, x.total.m), body: [copy], else: empty };
    const some = (): readonly Stmt[] => rows(x, { o, i: m, k }, 1, to, (_, inner) => add(start, inner));
    return loops([p, i, kt], before(x, k, deep, [body], some));
  }
  const words: Buffer = x.block("columns", "u32", (x.mr / high) * rowWords * rowWords);
  const block = mul(at(p), rowWords * rowWords);
  const turn: Stmt = {
    kind: "turn",
    to: ref(to, place(mul(at(p), high), mul(at(kt), deep))),
    toStride: deep,
    from: ref(words, block),
    fromStride: rowWords,
    rows: rowWords,
  };
  const start = { o, i: base, k: add(st.off.k, mul(at(kt), deep)) };
  const inBlock = (w: Dim, i: Dim): Dim => add(mul(div(i, rowWords), rowWords * rowWords), mul(w, rowWords), mod(i, rowWords));
  return loops([kt], [...columns(x, start, p, words, inBlock), ...loops([p], [turn])]);
}

/** A block of the right operand as panels of words. */
export function panelsOfWords(x: Contract, o: Operand, st: State): readonly Stmt[] {
  const { n: wide, k: deep, input } = x.unit!;
  const to = x.stages.get(o)!;
  const base = x.origin("b", "n");
  const kt = axis("kb", deepTiles(x, st.size.k), "loop");
  const p = axis("pb", pieces(st.size.n, wide), "loop");
  const block = { o, i: add(base, mul(at(p), wide)), k: add(st.off.k, mul(at(kt), deep)) };
  const place = (word: Dim, i: Dim): Dim => x.place("b", add(mul(at(p), wide), i), add(mul(at(kt), rowWords), word), 0);
  // Memory's rows are walked along.
  if (x.feed("b").minor === "across")
    return loops(
      [kt],
      columns(x, { o, i: base, k: block.k }, p, to, (w, i) => x.place("b", i, add(mul(at(kt), rowWords), w), 0)),
    );
  const turn = (from: { readonly buffer: string; readonly index: Dim }, stride: Dim): Stmt => ({
    kind: "turn",
    to: ref(to, place(0, 0)),
    toStride: wide,
    from,
    fromStride: stride,
    rows: rowWords,
  });
  const staged = x.block("rows", input, rowWords * deep);
  const computed: readonly Stmt[] = [
    ...rows(x, block, rowWords, staged, (r, inner) => add(mul(r, deep), inner)),
    turn(ref(staged, 0), deep),
  ];
  const by = x.strides.b;
  if (by?.[1] !== 1 || o.node.type.dtype !== input) return loops([p, kt], computed);
  const next = axis("ahead", wide, "unroll");
  const direct = [...loops([next], [ask(x, o, add(block.i, wide, at(next)), block.k)]), turn(x.address(o, block.i, block.k), by[0])];
  const all: readonly Stmt[] = whole(x, "b")
    ? direct
    : [{ kind: "if", test: below(add(block.i, wide - 1), x.total.n), body: direct, else: computed }];
  return loops(
    [p, kt],
    before(x, block.k, deep, all, () => computed),
  );
}
