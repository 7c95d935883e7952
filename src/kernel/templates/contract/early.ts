/** What an epilogue reads, in time: its memory is asked for before the products, and its loads stand before its stores. */
import { computeDType } from "../../../core/dtype.js";
import { add, type Dim, dependsOn, div, divides, mod, mul, stride, sub, substitute } from "../../../core/expr.js";
import { type Axis, at, axis, below, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import type { Contract, State } from "./contract.js";
import { keyOf, type Load, loadsOf, replaceLoads } from "./feed.js";
import { leave } from "./leave.js";

/** Elements of a line of memory, of 4 bytes each, and values that a thread has registers for once its accumulators have left. */
const line = 32;
const mostValues = 64;

/**
 * What statements that only name values and store them read of global buffers along `lane`, each element once. What all rows read (a
 * bias) is near after the first of them.
 */
function elementsRead(x: Contract, body: readonly Stmt[], lane: string, row: string): readonly Load[] {
  if (!body.every((s) => s.kind === "let" || s.kind === "store")) return [];
  const found = new Map<string, Load>();
  for (const s of body) if (s.kind === "let" || s.kind === "store") loadsOf(s.value, found);
  const globals = new Set([...x.buffers.values()].map((b) => b.name));
  return [...found.values()].filter((l) => globals.has(l.buffer) && stride(l.index, lane) === 1 && dependsOn(l.index, row));
}

/** Asks for the lines that the epilogue reads for this grid point's tile: they come while its products are made. */
export function askForTile(x: Contract, st: State): readonly Stmt[] {
  const { t, total } = x;
  const block = (a: "m" | "n"): number => t.levels.find((l) => l.axis === a && l.on === "grid")!.tile;
  const start = (a: "m" | "n"): Dim => sub(st.off[a], x.inGridPoint(st, a));
  const across = block("n") / line;
  const count = block("m") * across;
  const turns = axis("ask", Math.ceil(count / t.threads), "unroll");
  const flat = add(mul(at(turns), t.threads), x.tid);
  const probe = axis("probe", 2, "vector");
  const row = axis("askRow", block("m"), "loop");
  const [m, n] = [add(start("m"), at(row)), add(start("n"), mul(mod(flat, across), line), at(probe))];
  const body: Stmt[] = [];
  const sums = x.products.map((p) => load(x.acc, p.index * x.cells));
  leave(x, sums, m, n, body);
  const first = new Map<string, Dim>([
    [probe.name, 0],
    [row.name, div(flat, across)],
  ]);
  const seen = new Set<string>();
  const asked = elementsRead(x, body, probe.name, row.name).flatMap((l): Stmt[] => {
    if (seen.has(l.buffer)) return [];
    seen.add(l.buffer);
    return [{ kind: "prefetch", buffer: l.buffer, index: substitute(l.index, first), second: true }];
  });
  const tests = [
    ...(count % t.threads ? [below(flat, count)] : []),
    ...(divides(block("m"), total.m) ? [] : [below(substitute(m, first), total.m)]),
    ...(divides(block("n"), total.n) ? [] : [below(substitute(n, first), total.n)]),
  ];
  const inside = tests.reduceRight<readonly Stmt[]>((b, test) => [{ kind: "if", test, body: b }], asked);
  return asked.length ? loops([turns], inside) : [];
}

/**
 * The epilogue of some elements, each `turn` with `lanes`: what they read is loaded for all turns before the first of them stores
 * anything, since a compiler cannot move a load before the store of another turn.
 */
export function loadsFirst(
  x: Contract,
  turn: Axis,
  lanes: Axis,
  body: readonly Stmt[],
  within: (s: readonly Stmt[]) => readonly Stmt[],
): readonly Stmt[] {
  const size = (turn.size as number) * (lanes.size as number);
  const early = elementsRead(x, body, lanes.name, turn.name);
  if (turn.size === 1 || !early.length || early.length * size > mostValues) return loops([turn], within(body));
  const place = add(mul(at(turn), lanes.size), at(lanes));
  const registers = early.map((l, i) => x.register(`early${i}`, computeDType(l.dtype), size));
  const by = new Map<string, Value>(early.map((l, i) => [keyOf(l), load(registers[i]!, place)]));
  const later = body.map((s) => (s.kind === "let" || s.kind === "store" ? { ...s, value: replaceLoads(s.value, by) } : s));
  return [...loops([turn], within(early.map((l, i) => store(registers[i]!, place, l)))), ...loops([turn], within(later))];
}
