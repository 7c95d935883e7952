/** Panels of an operand as a register block reads them in order: neighbours of m or n side by side, one row for each k. */
import { add, ceilDiv, type Dim, div, divides, hi, min, mul, sub } from "../../../core/expr.js";
import { roundUp } from "../../../core/numbers.js";
import { type Axis, at, axis, below, constant, loops, ref, type Stmt, store, type Value } from "../../kernel.js";
import { rowWords } from "../../units.js";
import { comesFromAfar } from "./ahead.js";
import { across, type Contract, nothing, pieces, type State } from "./contract.js";
import type { Operand } from "./operands.js";
import { type PanelLayout, spillsOver } from "./tiling.js";
import { operandWord } from "./words.js";

export const guarded = (body: readonly Stmt[], otherwise: readonly Stmt[], tests: readonly ReturnType<typeof below>[]): readonly Stmt[] =>
  tests.reduceRight<readonly Stmt[]>((b, test) => [{ kind: "if", test, body: b, else: otherwise }], body);

/** A CPU packs panels, zero beyond the edge; the axis that is contiguous in memory runs along vector lanes where it can. */
export function panels(x: Contract, o: Operand, st: State, { width, turned }: PanelLayout): readonly Stmt[] {
  const p = axis(`p${o.role}`, pieces(st.size[across(o.role)], width), "loop");
  const count = pieces(st.size.k, x.pack);
  if (turned) return loops([p], turns(x, o, st, width, at(p), count));
  // Where neighbouring panels are neighbours in memory, a few rows at a time of all of them, so that memory is read in long runs.
  const inRows = x.strides[o.role]?.[0] === 1 && hi(count) > runRows;
  const rows = axis(`r${o.role}`, inRows ? ceilDiv(count, runRows) : 1, "loop");
  const left = sub(count, mul(at(rows), runRows));
  const k = axis(`k${o.role}`, inRows ? (divides(runRows, count) ? runRows : min(runRows, left)) : count, "loop");
  const row = inRows ? add(mul(at(rows), runRows), at(k)) : at(k);
  const body = panelRow(x, o, st, width, at(p), row, count);
  if (!inRows || !isAsked(x, o)) return loops(inRows ? [rows, p, k] : [p, k], body);
  // The next rows of this panel: each is too short for hardware to see a stream in it.
  const next = axis(`ahead${o.role}`, runRows * x.pack, "unroll");
  const far = add(st.off.k, mul(add(at(rows), 1), runRows * x.pack), at(next));
  return loops([rows, p], [...loops([next], [ask(x, o, add(st.off[across(o.role)], mul(at(p), width)), far)]), ...loops([k], body)]);
}
const isAsked = (x: Contract, o: Operand): boolean => x.isPlain(o) && comesFromAfar(x, o);
const ask = (x: Contract, o: Operand, i: Dim, k: Dim): Stmt => ({ kind: "prefetch", ...x.address(o, i, k), second: true });
/** Rows of neighbouring panels that are copied in turn. */
const runRows = 8;

/** Where a row of a panel lies in its stage. */
const placeOf = (x: Contract, o: Operand, width: number, panel: Dim, row: Dim): Dim =>
  add(mul(panel, width * Math.ceil(x.tileOf(o.role, "k") / x.pack)), mul(row, width));

/**
 * A row of a panel. One that does not fill its last vector is stored whole all the same: what is beyond it is the beginning of the next
 * row, which follows.
 */
function panelRow(x: Contract, o: Operand, st: State, width: number, panel: Dim, row: Dim, count: Dim): readonly Stmt[] {
  const exact = elements(x, o, st, width, panel, row);
  if (!spillsOver(width, x.vector)) return exact;
  const wide = roundUp(width, x.vector);
  const last = add(st.off[across(o.role)], mul(panel, width), wide - 1);
  const [axes, into] = vectors(x, o, st, width, panel, row, x.vector, wide / x.vector);
  return guarded(loops(axes, into), exact, [below(add(row, 1), count), below(last, x.total[across(o.role)])]);
}
/** A row of a panel, element by element. */
function elements(x: Contract, o: Operand, st: State, width: number, panel: Dim, row: Dim): readonly Stmt[] {
  const lanes = lanesOf(width, x.vector);
  const [axes, into, to, element] = vectors(x, o, st, width, panel, row, lanes, width / lanes);
  const size = x.total[across(o.role)];
  const empty = store(x.stages.get(o)!, to, x.pack > 1 ? constant(0, "u32") : nothing(x.dtype));
  return loops(axes, guarded(into, [empty], divides(width, size) ? [] : [below(element, size)]));
}
/** Some vectors of a row, the place of an element in its stage, and the element's number in the operand. */
function vectors(
  x: Contract,
  o: Operand,
  st: State,
  width: number,
  panel: Dim,
  row: Dim,
  lanes: number,
  count: number,
): readonly [axes: readonly Axis[], into: readonly Stmt[], to: Dim, element: Dim] {
  const { role } = o;
  const i = axis(`i${role}`, count, "unroll");
  const l = axis(`l${role}`, lanes, "vector");
  const within = lanes > 1 ? add(mul(at(i), lanes), at(l)) : at(i);
  const element = add(st.off[across(role)], mul(panel, width), within);
  const to = add(placeOf(x, o, width, panel, row), within);
  const into: Stmt[] = [];
  const from = add(st.off.k, mul(row, x.pack));
  into.push(store(x.stages.get(o)!, to, x.pack > 1 ? operandWord(x, o, element, from, into) : x.operand(o, element, from, into)));
  return [[i, l], into, to, element];
}
/** Lanes of a row of a panel: whole vectors, or a part of one that divides it. */
function lanesOf(width: number, vector: number): number {
  let lanes = vector;
  while (width % lanes) lanes /= 2;
  return lanes;
}

/** A panel whose rows in memory run along k: blocks of sixteen words of each row at a time; what is no whole block, word by word. */
function turns(x: Contract, o: Operand, st: State, width: number, panel: Dim, count: Dim): readonly Stmt[] {
  const { role } = o;
  const total = x.total[across(role)];
  // Where k ends within a word, that one is none that can be turned.
  const words = divides(x.pack, x.total.k) ? count : div(st.size.k, x.pack);
  const blocks = div(words, rowWords);
  const turned = mul(blocks, rowWords);
  const q = axis(`q${role}`, blocks, "loop");
  const part = axis(`h${role}`, Math.ceil(width / rowWords), "unroll");
  const first = add(st.off[across(role)], mul(panel, width));
  const row = mul(at(q), rowWords);
  const turn: Stmt = {
    kind: "turn",
    to: ref(x.stages.get(o)!, add(placeOf(x, o, width, panel, row), mul(at(part), rowWords))),
    toStride: width,
    from: x.address(o, add(first, mul(at(part), rowWords)), add(st.off.k, mul(row, x.pack))),
    fromStride: x.strides[role]![0],
    rows: Math.min(width, rowWords),
  };
  // The same place in the rows of the next panel.
  const next = axis(`ahead${role}`, width, "unroll");
  const asked = isAsked(x, o) ? loops([next], [ask(x, o, add(first, width, at(next)), add(st.off.k, mul(row, x.pack)))]) : [];
  const i = axis(`i${role}`, width, "loop");
  const element = add(first, at(i));
  /** Words of the panel's row `i` from one on. */
  const rest = (from: Dim, empty: boolean): readonly Stmt[] => {
    const k = axis(`k${role}`, sub(count, from), "loop");
    const word = add(from, at(k));
    const [to, into] = [add(placeOf(x, o, width, panel, word), at(i)), [] as Stmt[]];
    const source = add(st.off.k, mul(word, x.pack));
    const none = x.pack > 1 ? constant(0, "u32") : nothing(x.dtype);
    const value = (): Value => (x.pack > 1 ? operandWord(x, o, element, source, into) : x.operand(o, element, source, into));
    into.push(store(x.stages.get(o)!, to, empty ? none : value()));
    return loops([k], into);
  };
  const whole = [...loops([q], [...asked, ...loops([part], [turn])]), ...(turned === count ? [] : loops([i], rest(turned, false)))];
  if (divides(width, total)) return whole;
  const ragged = loops([i], guarded(rest(0, false), rest(0, true), [below(element, total)]));
  return guarded(whole, ragged, [below(add(first, width - 1), total)]);
}
