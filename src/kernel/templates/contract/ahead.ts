/** What is asked for before it is needed: rows of the next register block, and what the epilogue of this one reads. */
import { bytesOf } from "../../../core/dtype.js";
import { add, ceilDiv, hi, mul, stride } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { at, axis, load, loops, type Stmt } from "../../kernel.js";
import { accesses } from "../../walk.js";
import type { Contract, State } from "./contract.js";
import { leave } from "./leave.js";
import type { Operand } from "./operands.js";

/** Bytes that a processor fetches at once. */
const lineBytes = 64;

/** Operands a of which each register block reads or packs other rows, far away. */
function farRows(x: Contract): readonly Operand[] {
  const { a, levels } = x.t;
  const apart = !a || levels[a.after - 1]!.axis === "m";
  if (!apart || x.strides.a?.[1] !== 1) return [];
  return x.operands.a.filter((o) => comesFromAfar(x, o));
}
/** Whether an operand lies beyond the caches of the cores. */
export const comesFromAfar = (x: Contract, o: Operand): boolean => isFar(x, hi(numel(o.node.type.shape)), o.node.type.dtype);
const isFar = (x: Contract, elements: number, dtype: Operand["node"]["type"]["dtype"]): boolean =>
  x.t.far !== undefined && elements * bytesOf(dtype) > x.t.far;

/**
 * Asks for rows of the next register block line by line. Blocks of columns follow one another over the same rows, so each asks for its
 * part of the lines.
 */
export function nextRows(x: Contract, st: State): readonly Stmt[] {
  const rows = farRows(x);
  const level = x.t.levels.findLastIndex((l) => l.axis === "n");
  if (!rows.length || x.t.levels[level]!.on !== "loop") return [];
  const blocks = x.loopAt(level);
  return rows.flatMap((o) => {
    const line = lineBytes / bytesOf(o.node.type.dtype);
    const part = axis("line", ceilDiv(ceilDiv(hi(st.size.k), line), hi(blocks.size)), "loop");
    const k = mul(add(mul(at(blocks), part.size), at(part)), line);
    return loops([part, x.I], [{ kind: "prefetch", ...x.address(o, add(st.off.m, x.mr, at(x.I)), add(st.off.k, k)), second: true }]);
  });
}

/**
 * Asks for what the epilogue of this register block reads element by element, before the products that it waits for; not where the
 * grid point's whole tile waits.
 */
export function epilogueReads(x: Contract, st: State): readonly Stmt[] {
  if (x.t.far === undefined || x.unit || (x.t.leave === "swept" && x.t.within === undefined)) return [];
  const body: Stmt[] = [];
  const [m, n] = [add(st.off.m, at(x.I)), add(st.off.n, mul(at(x.J), x.vector))];
  leave(
    x,
    x.products.map((p) => load(x.acc, x.cell(p))),
    m,
    n,
    body,
  );
  // An index that is itself read or computed says nothing yet.
  if (!body.every((s) => s.kind === "let" || s.kind === "store")) return [];
  const seen = new Set<string>();
  const asked: Stmt[] = [];
  for (const { buffer, index, write } of accesses(body)) {
    const b = [...x.buffers.values()].find((y) => y.name === buffer);
    if (write || !b || seen.has(b.name) || !isFar(x, hi(b.size), b.dtype) || stride(index, x.I.name) === 0) continue;
    seen.add(b.name);
    asked.push({ kind: "prefetch", buffer, index, second: true });
  }
  return asked.length ? loops([x.I, x.J], asked) : [];
}
