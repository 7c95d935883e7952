/** Kernels whose grid points first compute rows that all of them read, in shared memory. */
import { numel } from "../../core/type.js";
import type { Node } from "../../ir/node.js";
import { bindings } from "../../kernel/bindings.js";
import type { Target } from "../../kernel/codegen.js";
import { type Group, groupBuffers } from "../../kernel/group.js";
import { at, axis, type Buffer, type Kernel, loops, type Stmt } from "../../kernel/kernel.js";
import { lanesFor, type SpaceTiling, tileKept } from "../../kernel/tiling.js";
import { finishKernel, renamed, substituteStmts } from "../../kernel/walk.js";
import { roomBesideRows, tileColumns } from "./columns.js";
import { lowerKept } from "./kept.js";
import { alongReduced, bestLane, sizesOf } from "./lanes.js";
import { lowerReduced } from "./reduced.js";
import { type Plan, planOf } from "./space.js";
import { chunksOf } from "./split.js";

/** Whether a group's kernel can compute a row for itself: it sums rows in one pass, as one kernel of some threads, and reads the row whole. */
export function takesRows(group: Group, row: Group, target: Target): boolean {
  if (group.kind !== "kernel" || !group.space?.axes.length) return false;
  const p = planOf(group);
  const sizes = sizesOf(p, undefined);
  const { cols, rows } = sizes;
  if (typeof cols !== "number" || typeof rows !== "number" || rows < 64 || p.passes !== 1 || p.outputs.some((o) => !o.perRow)) return false;
  if (!row.outputs.every((o) => numel(o.type.shape) === cols) || rows > mostRows) return false;
  const now = withRow(group, row);
  const bound = [...now.inputs, ...now.outputs].reduce((n, { type }) => n + bindings(numel(type.shape), type.dtype, target), 0);
  if (bound > target.maxBuffers || roomBesideRows(now, target) < 0) return false;
  return tileColumns({ ...p, group: now }, bestLane(p), target) !== undefined || (alongReduced(p) && chunksOf(p, target) === 1);
}
/** A group that computes a row for itself. */
export function withRow(group: Group, row: Group): Group {
  const others = group.inputs.filter((x) => !row.outputs.includes(x));
  return { ...group, inputs: [...new Set([...others, ...row.inputs])], rows: [...(group.rows ?? []), row] };
}
/** Rows beyond which computing the row again costs as much as reading it. */
const mostRows = 1 << 14;

/** The buffers of a group, and of the rows that it computes for itself. */
export function buffersWith(group: Group): ReadonlyMap<Node, Buffer> {
  const buffers = new Map(groupBuffers(group));
  for (const row of group.rows ?? [])
    for (const o of row.outputs)
      buffers.set(o, { name: `row${buffers.size}`, dtype: o.type.dtype, space: "shared", size: numel(o.type.shape) });
  return buffers;
}

/** The tiling with so few grid points that the rows in front cost little. */
export function fewerPoints(p: Plan, t: SpaceTiling, target: Target): SpaceTiling {
  const rows = sizesOf(p, undefined).rows as number;
  const points = (rows * t.rowThreads) / (t.together * t.threads);
  let turn = 1;
  const enough = 0.9 * target.parallel * Math.max(1, 512 / t.threads);
  while (points / (2 * turn) >= enough && points % (2 * turn) === 0) turn *= 2;
  return { ...t, turn };
}

/** The kernel with its rows in front. */
export function withRows(p: Plan, kernel: Kernel, target: Target): Kernel {
  const rows = p.group.rows ?? [];
  if (!rows.length) return kernel;
  const own: Buffer[] = [];
  const before = rows.map((row, i): Stmt => {
    const plan = planOf(row, p.buffers);
    if (sizesOf(plan, undefined).rows !== 1) return summed(plan, kernel.threads, target, `r${i}`, own);
    const lane = plan.merged.filter((m) => m.reduced).at(-1);
    const sizes = sizesOf(plan, lane);
    const cols = sizes.cols as number;
    const vector = lanesFor(target, sizes.lane, sizes.dtypes);
    let unroll = 1;
    while (kernel.threads * vector * unroll < cols) unroll *= 2;
    const tiling: SpaceTiling = {
      lanes: "reduced",
      vector,
      unroll,
      together: 1,
      threads: kernel.threads,
      rowThreads: kernel.threads,
      turn: 1,
      block: 0,
      hold: unroll * vector <= 64 ? "registers" : "nothing",
      stream: false,
      ahead: 0,
    };
    const made = lowerReduced(plan, tiling, target, row.name);
    const apart = renamed(made, `r${i}`);
    own.push(...apart.buffers);
    return { kind: "if", test: { a: 0, op: "<", b: 1 }, body: apart.body };
  });
  // What the kernel has brought near in the background is on its way meanwhile.
  const under = kernel.body.findIndex((s) => s.kind === "commit") + 1;
  const body: readonly Stmt[] = [...kernel.body.slice(0, under), ...before, { kind: "barrier" }, ...kernel.body.slice(under)];
  return finishKernel(kernel.name, [...kernel.buffers, ...own], kernel.grid, kernel.threads, body);
}

/** Sums over a few rows, with lanes along what is kept: blocks of columns one after the other. */
function summed(plan: Plan, threads: number, target: Target, suffix: string, own: Buffer[]): Stmt {
  const lane = bestLane(plan)!;
  const sizes = sizesOf(plan, lane);
  const vector = lanesFor(target, sizes.lane, sizes.large);
  const made = lowerKept(plan, { ...tileKept(target, sizes), vector, threads }, lane, plan.group.name);
  const apart = renamed(made, suffix);
  own.push(...apart.buffers);
  const turn = axis(`turn${suffix}`, made.grid, "loop");
  return loops([turn], substituteStmts(apart.body, new Map([["pid", at(turn)]])))[0]!;
}
