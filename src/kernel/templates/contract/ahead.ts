/** What is asked for before it is needed: rows of the next register block, and what the epilogue of this one reads. */
import { bytesOf } from "../../../core/dtype.js";
import { add, type Dim, divides, hi, mul, stride } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { at, load, loops, type Stmt } from "../../kernel.js";
import { accesses } from "../../walk.js";
import type { Contract, State } from "./contract.js";
import { leave } from "./leave.js";
import type { Operand } from "./operands.js";

/** Bytes that a processor fetches at once. */
const lineBytes = 64;

/** Operands a of which each register block reads other rows, far away. */
const farRows = (x: Contract): readonly Operand[] =>
  x.operands.a.filter(
    (o) => x.t.far && !x.stages.get(o) && x.strides.a?.[1] === 1 && isFar(x, hi(numel(o.node.type.shape)), o.node.type.dtype),
  );
const isFar = (x: Contract, elements: number, dtype: Operand["node"]["type"]["dtype"]): boolean =>
  x.t.far !== undefined && elements * bytesOf(dtype) > x.t.far;

/** Steps along k (elements, or words) that one line of the rows has, where the next block's rows are to be asked for line by line. */
export function stepsOfLine(x: Contract, steps: Dim): number | undefined {
  const [first] = farRows(x);
  const line = first ? lineBytes / (bytesOf(first.node.type.dtype) * x.pack) : 0;
  return first && divides(line, steps) ? line : undefined;
}
/** Asks for the line at `k` of each row of the next register block. */
export const nextRows = (x: Contract, st: State, k: Dim): readonly Stmt[] =>
  farRows(x).flatMap((o) =>
    loops([x.I], [{ kind: "prefetch", ...x.address(o, add(st.off.m, x.mr, at(x.I)), add(st.off.k, k)), second: true }]),
  );

/** Asks for what the epilogue of this register block reads element by element, before the products that it waits for. */
export function epilogueReads(x: Contract, st: State): readonly Stmt[] {
  if (x.t.far === undefined || x.unit || x.t.leave === "swept") return [];
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
