/** Running sums, products and extremes along an axis: one accumulator per line. */
import { computeDType } from "../../core/dtype.js";
import { sub } from "../../core/expr.js";
import type { Node } from "../../ir/node.js";
import { flatten } from "../../ops/movement.js";
import type { Target, Template } from "../codegen.js";
import { makeEvaluator, namesFor } from "../evaluate.js";
import { type Group, groupBuffers, hasElements } from "../group.js";
import { apply, at, axis, type Buffer, type Combiner, type Kernel, load, loops, type Stmt, store, type Value } from "../kernel.js";
import { reindex } from "../positions.js";
import { startOf } from "../start.js";
import { emptyKernel, finishKernel, rewriteStmts } from "../walk.js";
import { overLines } from "./lines.js";

const combiners: readonly Combiner[] = ["add", "mul", "max", "min"];

/** Claims scans: their input is computed where it is read, and what uses the result at the same place is computed with it. */
export const scanTemplate: Template = {
  name: "scan",
  match(node, target) {
    const { axis: along, combine } = node.attrs;
    if (node.op.kind !== "scan" || typeof along !== "number" || !combiners.includes(combine as Combiner)) return "not a scan";
    return target.dtypes.has(node.type.dtype) || `the target has no ${node.type.dtype}`;
  },
  prologue: () => true,
  epilogue: () => true,
  lower: (group, target) => [lowerScan(group, target)],
};

/** One kernel: lanes are neighbouring lines, where lines lie side by side. */
function lowerScan(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const root = group.root!;
  const { axis: along, combine, reverse } = root.attrs as { axis: number; combine: Combiner; reverse: boolean };
  const { shape } = root.type;
  const x = root.inputs[0]!;
  const dtype = computeDType(root.type.dtype);
  const buffers = groupBuffers(group);
  const registers: Buffer[] = [];
  const name = namesFor(group);
  const made = overLines(
    target,
    shape,
    along,
    [root, x].map((n) => n.type.dtype),
    true,
    (line, suffix) => {
      const total: Buffer = { name: `total${suffix}`, dtype, space: "reg", size: line.lane.size };
      const cell = at(line.lane);
      const lanes = line.lane.size === 1 ? [] : [line.lane];
      const k = axis(name("k"), shape[along]!, "loop");
      const place = line.at(reverse ? sub(sub(shape[along]!, 1), at(k)) : at(k));
      const top: Stmt[] = [];
      const body: Stmt[] = [];
      const e = makeEvaluator(group, buffers, new Map<Node, () => ReturnType<typeof load>>([[root, () => load(total, cell)]])).scope({
        axes: [k, line.lane],
        before: top,
        fence: true,
      });
      body.push(store(total, cell, apply(combine, dtype, load(total, cell), e.value(x, place, body))));
      // All values before the first store: an output may share its memory with something that is read here.
      const values = group.outputs.map((o, i): Value => {
        const v = e.value(o, reindex(place, shape, o.type.shape), body);
        body.push({ kind: "let", name: `leaving${i}`, value: v });
        return { kind: "ref", dtype: computeDType(v.dtype), name: `leaving${i}` };
      });
      for (const [i, o] of group.outputs.entries()) {
        body.push(store(buffers.get(o)!, flatten(reindex(place, shape, o.type.shape), o.type.shape), values[i]!));
      }
      registers.push(total, ...e.locals.map((b) => ({ ...b, name: `${b.name}${suffix}` })));
      const own = new Set(e.locals.map((b) => b.name));
      const made = [...top, ...loops(lanes, [store(total, cell, startOf(combine, dtype))]), ...loops([k, ...lanes], body)];
      return rewriteStmts(made, { buffer: (b) => (own.has(b) ? `${b}${suffix}` : b) });
    },
    name,
  );
  return finishKernel(group.name, [...buffers.values(), ...registers], made.grid, made.threads, made.body);
}
