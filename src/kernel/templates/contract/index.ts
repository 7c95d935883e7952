/**
 * Group around one `dot` -> one Kernel, for every target. A tiling is an ordered list of levels that cut m, n and k, the places
 * where operands are staged, and the micro tile. The prologue is evaluated where an operand is staged or read; the epilogue where
 * an accumulator leaves its registers.
 */
import { bytesOf } from "../../../core/dtype.js";
import { add, type Dim, divides, hi, lo, max, min, mul, sub, variable, variables } from "../../../core/expr.js";
import { numel, showType } from "../../../core/type.js";
import { is, type Node } from "../../../ir/node.js";
import { dotOp } from "../../../ops/matmul.js";
import { wideDotOp } from "../../../ops/wide-dot.js";
import { bindingsOf } from "../../bindings.js";
import type { Target, Template } from "../../codegen.js";
import { type Group, groupBuffers } from "../../group.js";
import { at, axis, type Buffer, below, indexValue, type Kernel, loops, type MatrixUnit, perWord, ref, type Stmt } from "../../kernel.js";
import { isOpaque } from "../../units.js";
import { finishKernel, substituteStmts } from "../../walk.js";
import { accumulate } from "./accumulate.js";
import { type Contract, contract, pieces, type State } from "./contract.js";
import { fed } from "./feed.js";
import { sweep } from "./leave.js";
import { micro } from "./micro.js";
import { isShared, lowerOpaque } from "./opaque.js";
import { dotShape, isStored, operandsOf, orient, productsOf, runsOf, stridesOf, wholeRows, wordsOf } from "./operands.js";
import { alone, mayPart, partsOf } from "./parts.js";
import { addParts, partBuffers, partsOfK } from "./split.js";
import { fedByWarp, pipelined, synchronous } from "./stage.js";
import { type ContractTiling, kTile, type Problem, tileRegisters, tileThreads } from "./tiling.js";
import { tileCpu } from "./tilingCpu.js";
import { isShort, partsShared, tileShared } from "./tilingShared.js";
import { tileTiles } from "./tilingTiles.js";

/** Matrix products: CPUs, GPUs without matrix units, and GPUs with them. */
export const contractTemplate: Template = {
  name: "contract",
  match(node, target) {
    if (!isProduct(node)) return "not a product";
    const { total } = dotShape(node);
    if (total.k === 0) return "an empty inner dim is a fill with zeros";
    if (total.m === 1 || total.n === 1) return "a matrix-vector product reads its matrix once: a reduction does that at memory speed";
    if (!target.dtypes.has(node.type.dtype)) return `the target has no ${node.type.dtype}`;
    return true;
  },
  prologue: () => true,
  epilogue: () => true,
  beside: meet,
  pitched: true,
  parts(node, target) {
    const group = alone(node);
    const shared = sharedUnits(group, target);
    if (shared) return partsShared(shared, problemOf(group), target);
    // Units that take registers share k out over grid points without a product of parts in memory's order.
    if (target.units.some((u) => takes(u, node) && !isShared(u))) return 1;
    if (!mayPart(dotShape(node), node.type.dtype, target)) return 1;
    return partsOf([problemOf(group), problemOf(group, true)], target, () => tile(group, target));
  },
  lower: (group, target) => variants(group, target) ?? lowerOpaque(group, target) ?? lowerAll(group, tile(group, target)),
};

const isProduct = (n: Node): boolean => is(n, dotOp) || is(n, wideDotOp);

/** Most products whose accumulators one tile holds. */
const mostProducts = 4;
/** Whether products may be computed in one kernel, for an epilogue that reads them all: equal sizes and types, one operand in common. */
function meet(nodes: readonly Node[]): true | string {
  if (nodes.length > mostProducts) return `${nodes.length} products have no room in one tile`;
  const sizes = nodes.map((n) => JSON.stringify([n.type.dtype, n.inputs.map((x) => showType(x.type))]));
  if (new Set(sizes).size > 1) return "the products have different sizes or types";
  const shared = [0, 1].some((i) => new Set(nodes.map((n) => n.inputs[i]!)).size === 1);
  return shared || "the products have no operand in common";
}

/** Rows up to which a product of a symbolic number of rows has kernels of its own. */
const rowSteps = [32, 128];
/**
 * Kernels for few rows and for many, of which one runs: what is best for the most rows that there may be packs and pads too much for a
 * short prompt. Undefined where rows are known, or where their number makes no difference.
 */
function variants(group: Group, target: Target): readonly Kernel[] | undefined {
  const { m } = dotShape(group.root!).total;
  if (target.threads > 1 || target.vectors !== "native" || typeof m === "number") return undefined;
  const ends = [...rowSteps.filter((n) => n < hi(m)), Number.POSITIVE_INFINITY];
  const chosen: { readonly t: ContractTiling; readonly end: number }[] = [];
  for (const end of ends) {
    const t = tile(group, target, { rows: end });
    if (JSON.stringify(chosen.at(-1)?.t) === JSON.stringify(t)) chosen.pop();
    chosen.push({ t, end });
  }
  if (chosen.length === 1) return undefined;
  return chosen.map(({ t, end }, i) => {
    const begin = chosen[i - 1]?.end ?? 0;
    const runs = mul(min(1, max(0, sub(m, begin))), Number.isFinite(end) ? min(1, max(0, sub(end + 1, m))) : 1);
    return { ...lowerContract(group, t), runs };
  });
}

/** The tiling for a group on a target. `rows`: for at most so many, where their number is symbolic. */
export function tile(
  group: Group,
  target: Target,
  { whole, rows = Number.POSITIVE_INFINITY }: { readonly whole?: true; readonly rows?: number } = {},
): ContractTiling {
  const of = (turned: boolean): Problem => {
    const p = { ...problemOf(group, turned), ...(whole && { whole }) };
    const axis = turned ? "n" : "m";
    return Number.isFinite(rows) ? { ...p, total: { ...p.total, [axis]: min(p.total[axis], rows) } } : p;
  };
  const problem = of(false);
  const { total } = problem;
  if (target.threads === 1) return tileTiles(problem, target) ?? tileCpu([problem, of(true)], target);
  const shared = sharedUnits(group, target);
  const t = shared && tileShared(shared, problem, target);
  if (t) return group.outputs.every((o) => o.type.dtype === problem.input) ? t : { ...t, leave: "direct" };
  const units = target.units.filter((u) => takes(u, group.root!));
  const unit = units.find((u) => u.operands === "registers" && !isShared(u));
  if (unit && lo(total.k) > 0) return tileRegisters(unit, problem, target);
  return tileThreads(problem, target, bindingsOf({ buffers: [...groupBuffers(group).values()] }, target));
}
/** Units that read shared memory where operands lie as they are copied there, or undefined where there are none. */
function sharedUnits(group: Group, target: Target): readonly MatrixUnit[] | undefined {
  const taking = target.units.filter((u) => takes(u, group.root!) && u.operands === "shared" && !u.regs.a);
  if (!taking.length) return undefined;
  const problem = problemOf(group);
  const units = taking.filter((u) => copies(u, problem));
  if (!units.length) return undefined;
  const [rowsA, rowsB] = [wholeRows(group, "a"), wholeRows(group, "b")];
  const { k } = problem.total;
  // What lies beyond a row is 0 in a copied tile; what follows a part of a row is not.
  const ends = divides(kTile, k) || (!units.some((u) => u.turned) && [...(rowsA ?? []), ...(rowsB ?? [])].every((r) => r.columns === k));
  return rowsA && rowsB && ends ? units : undefined;
}
/** Whether a product's operands are copied as a unit reads them, and it waits for them rather than for anything else. */
export const waitsForTiles = (group: Group, target: Target): boolean =>
  sharedUnits(group, target) !== undefined && isShort(problemOf(group), target);
/** What a tiling depends on; `turned`: for the transposed product. */
function problemOf(group: Group, turned?: boolean): Problem {
  const { batch, total, dtype } = orient(dotShape(group.root!), turned);
  const strides = { a: stridesOf(group, "a", turned), b: stridesOf(group, "b", turned) };
  const { a, b } = operandsOf(group, turned);
  const input = group.root!.inputs[0]!.type.dtype;
  const word = Math.max(1, perWord(input));
  const words = { a: wordsOf(group, "a", word, turned), b: wordsOf(group, "b", word, turned) };
  const runs = { a: runsOf(group, "a", word, turned), b: runsOf(group, "b", word, turned) };
  const stored = { a: isStored(group, "a", turned), b: isStored(group, "b", turned) };
  const products = { products: productsOf(group).length, operands: { a: a.length, b: b.length } };
  const whole = hi(numel(group.root!.type.shape));
  const reads = [...epilogueInputs(group)].filter((n) => hi(numel(n.type.shape)) >= whole).length;
  return { batch: numel(batch), total, dtype, input, strides, reads, words, runs, stored, ...products };
}
/** What a group's results are computed from beside its products. */
function epilogueInputs(group: Group): ReadonlySet<Node> {
  const seen = new Set<Node>(productsOf(group));
  const visit = (n: Node): void => {
    if (seen.has(n)) return;
    seen.add(n);
    if (!group.inputs.includes(n)) n.inputs.forEach(visit);
  };
  group.outputs.forEach(visit);
  return new Set(group.inputs.filter((n) => seen.has(n)));
}
/** Whether a matrix unit takes a product: one that rounds its operands only where the product allows it. */
const takes = (u: MatrixUnit, root: Node): boolean =>
  root.inputs[0]!.type.dtype === u.input &&
  (root.type.dtype === u.input || root.type.dtype === "f32") &&
  (!u.rounds || (is(root, dotOp) && root.attrs.precision === "tf32"));

/** Whether tiles can be copied as a unit reads them: operands that are not computed, in rows of k or, where it turns b, of n, each row aligned. */
function copies(u: MatrixUnit, { strides: { a, b }, stored, input }: Problem): boolean {
  const piece = 16 / bytesOf(u.input);
  const inner = u.turned ? 0 : 1;
  return input === u.input && stored.a && stored.b && a?.[1] === 1 && a[0] % piece === 0 && b?.[inner] === 1 && b[1 - inner]! % piece === 0;
}

/** The kernels that a tiling describes: one, or two where k is shared out over grid points. */
function lowerAll(group: Group, t: ContractTiling): readonly Kernel[] {
  const first = lowerContract(group, t);
  const x = contract(group, t);
  if (partsOfK(x) === 1) return [first];
  const { name, buffers, grid, threads, body } = first;
  return [finishKernel(`${name}_parts`, buffers, grid, threads, body), addParts(x, name)];
}

/** Builds the kernel that a tiling describes. */
export function lowerContract(group: Group, t: ContractTiling): Kernel {
  const x = contract(group, t);
  const { total } = x;
  let producer: readonly Stmt[] | undefined;
  const level = (i: number, st: State, slot: Dim): readonly Stmt[] => {
    const body = i === t.accumulate ? accumulate(x, st, cut(i, st, slot)) : cut(i, st, slot);
    const tileEnds = t.leave === "swept" && i === x.within;
    return tileEnds ? [...body, ...sweep(x, st, t.micro.vector)] : body;
  };
  function cut(i: number, st: State, slot: Dim): readonly Stmt[] {
    const l = t.levels[i];
    if (!l) return micro(x, st, slot);
    const whole = st.size[l.axis];
    // The micro tile is always whole: its edges are padded, clamped or masked.
    const innermost = i === t.levels.findLastIndex((y) => y.axis === l.axis);
    // What is left of k in a block of it is whole tiles where all of k is.
    const even = l.axis === "k" && divides(l.tile, total.k) && t.levels.slice(0, i).every((y) => y.axis !== "k" || y.tile % l.tile === 0);
    const roles = (["a", "b"] as const).filter((r) => t[r]?.after === i + 1);
    const advance = (d: Dim): State => {
      const off = { ...st.off, [l.axis]: add(st.off[l.axis], mul(d, l.tile)) };
      const size = {
        ...st.size,
        [l.axis]: even || divides(l.tile, whole) || (l.axis !== "k" && innermost) ? l.tile : min(l.tile, sub(whole, mul(d, l.tile))),
      };
      if (l.on !== "loop" || l.axis === "k") return { ...st, off, size };
      return { off, size, began: { ...st.began, ...Object.fromEntries(roles.map((r) => [r, off])) } };
    };
    if (l.on !== "loop") return level(i + 1, advance(x.digits.get(l)!), slot);
    const count = pieces(whole, l.tile);
    // An inner dim that may be empty still runs one (empty) block, so that results are written.
    const loop = { ...x.loopAt(i), size: l.axis === "k" && lo(whole) === 0 ? max(1, count) : count };
    const inner = (d: Dim, s: Dim): readonly Stmt[] => level(i + 1, advance(d), s);
    if (x.unit?.operands === "registers" && !isOpaque(x.unit)) return fed(x, roles, loop, advance, inner);
    if (!roles.length || t.depth === 1) return synchronous(x, roles, loop, advance, inner, slot);
    if (t.feed !== "warp" || !roles.every((r) => x.rows(r))) return pipelined(x, roles, loop, advance, inner);
    const both = fedByWarp(x, roles, loop, advance, inner);
    producer = both.producer;
    return both.consumer;
  }
  const body = level(0, { off: { m: 0, n: 0, k: 0 }, size: total }, 0);
  return producer ? withProducer(x, kernelOf(x, body), producer) : kernelOf(x, body);
}

/** One more warp feeds those who multiply: its first thread moves tiles, and the others of it have nothing to do. */
function withProducer(x: Contract, k: Kernel, producer: readonly Stmt[]): Kernel {
  const { threads } = k;
  const tid = variable("tid", 0, threads + 31);
  const slot = axis("slot", x.t.depth, "unroll");
  // Those who multiply count themselves without the warp that feeds them.
  const worker = variable("worker", 0, threads - 1);
  const work: readonly Stmt[] = [
    { kind: "letIndex", name: "worker", value: indexValue(tid, "i32"), min: 0, max: threads - 1 },
    ...substituteStmts(k.body, new Map([["tid", worker]])),
  ];
  const arm = (on: Buffer, amount: number): Stmt => ({ kind: "signal", op: "arm", on: ref(on, at(slot)), amount });
  return {
    ...k,
    threads: threads + 32,
    buffers: [...k.buffers, x.full, x.empty],
    body: [
      { kind: "if", test: below(tid, 1), body: loops([slot], [arm(x.full, 1), arm(x.empty, threads / 32)]) },
      { kind: "barrier" },
      {
        kind: "if",
        test: below(tid, threads),
        body: work,
        else: [{ kind: "if", test: { a: tid, op: "==", b: threads }, body: producer }],
      },
    ],
  };
}

function kernelOf(x: Contract, body: readonly Stmt[]): Kernel {
  const split = partsOfK(x) > 1;
  const stages = [...x.stages.values()];
  const corners = x.t.leave === "regrouped" ? [x.corners] : x.t.leave === "parts" && !split ? [x.part] : [];
  const waits = x.t.levels.some(
    (l) =>
      l.axis === "k" &&
      l.on === "loop" &&
      x.t.levels.indexOf(l) < x.t.accumulate &&
      !(typeof x.total.k === "number" && x.total.k <= l.tile),
  );
  const partial = waits || x.t.leave === "swept" ? [x.partial] : [];
  const globals = [...new Map([...x.buffers.values()].map((b) => [b.name, b])).values()];
  const sizes = [...x.batch, ...Object.values(x.total), ...globals.map((b) => b.size)];
  const dims = [...sizes.reduce<Map<string, Dim>>((found, d) => variables(d, found), new Map()).values()];
  return {
    name: x.group.name,
    buffers: [
      ...globals,
      ...stages,
      ...x.blocks,
      ...corners,
      ...partial,
      ...(split ? partBuffers(x) : []),
      ...(x.spills ? [x.spilled] : []),
      ...x.registers(),
    ],
    dims,
    grid: x.points,
    threads: x.t.threads,
    body,
  };
}
