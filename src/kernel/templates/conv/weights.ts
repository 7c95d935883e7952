/** Weights as a register block reads them: panels of neighbouring output channels, in place where they lie so already, packed first where not. */
import { add, type Dim, div, divides, indexOn, mod, mul, stride, sub } from "../../../core/expr.js";
import type { Node } from "../../../ir/node.js";
import { makeEvaluator } from "../../evaluate.js";
import { at, axis, type Buffer, below, type Kernel, load, loops, type Stmt, store, type Value } from "../../kernel.js";
import { finishKernel } from "../../walk.js";
import type { Conv } from "./setup.js";

export interface Weights {
  /** The weight of a lane's output channel, for term `k` of the `terms` that are summed up. */
  read(group: Dim, panel: Dim, terms: readonly Dim[], lane: Dim, into: Stmt[]): Value;
  /** The kernel that packs, and where it puts the panels, where that is needed. */
  readonly pack: readonly Kernel[];
  readonly buffers: readonly Buffer[];
}
/** How an operand's index is made of a channel that goes out and the terms of its sum, whose sizes are `terms`. */
export interface WeightShape {
  readonly node: Node;
  readonly terms: readonly number[];
  index(channel: Dim, terms: readonly Dim[]): readonly Dim[];
}

export function weights(x: Conv, w: WeightShape): Weights {
  const { sizes, panel, panels } = x;
  const channel = (group: Dim, p: Dim, lane: Dim): Dim => add(mul(group, sizes.outputs), mul(p, panel), lane);
  if (divides(panel, sizes.outputs) && liesInPanels(x, w, channel))
    return { read: (group, p, terms, lane, into) => x.read(w.node, w.index(channel(group, p, lane), terms), into), pack: [], buffers: [] };
  const count = w.terms.reduce((a, b) => a * b, 1);
  const packed: Buffer = { name: "tmp0", dtype: x.dtype, space: "global", size: sizes.groups * panels * count * panel };
  const place = (group: Dim, p: Dim, terms: readonly Dim[], lane: Dim): Dim =>
    add(
      mul(
        terms.reduce<Dim>((e, t, i) => add(mul(e, w.terms[i]!), t), add(mul(group, panels), p)),
        panel,
      ),
      lane,
    );
  return {
    read: (group, p, terms, lane) => load(packed, place(group, p, terms, lane)),
    pack: [packing(x, w, { ...packed, writes: true }, channel, place)],
    buffers: [packed],
  };
}

/** Whether a vector of neighbouring output channels can be loaded where it lies. */
function liesInPanels(x: Conv, w: WeightShape, channel: (group: Dim, p: Dim, lane: Dim) => Dim): boolean {
  const [g, p] = [at(axis("group", x.sizes.groups, "loop")), at(axis("panel", x.panels, "loop"))];
  const terms = w.terms.map((size, i) => at(axis(`term${i}`, size, "loop")));
  const into: Stmt[] = [];
  const v = makeEvaluator(x.group, x.buffers).value(w.node, w.index(channel(g, p, at(x.L)), terms), into);
  return into.length === 0 && v.kind === "load" && stride(v.index, x.L.name) === 1;
}

/** A grid point packs a share of the terms of one panel. */
function packing(
  x: Conv,
  w: WeightShape,
  packed: Buffer,
  channel: (group: Dim, p: Dim, lane: Dim) => Dim,
  place: (group: Dim, p: Dim, terms: readonly Dim[], lane: Dim) => Dim,
): Kernel {
  const { sizes, panels, panel } = x;
  const shares = [8, 4, 2].find((n) => w.terms.at(-1)! % n === 0) ?? 1;
  const share = w.terms.at(-1)! / shares;
  const grid = sizes.groups * panels * shares;
  const pid = indexOn("pid", grid);
  const p = mod(div(pid, shares), panels);
  const group = div(pid, shares * panels);
  // The last term outermost: a row of the weight's own order is read whole before the next one.
  const axes = [axis(x.name("last"), share, "loop"), ...w.terms.slice(0, -1).map((size, i) => axis(x.name(`term${i}`), size, "loop"))];
  const terms = [...axes.slice(1).map(at), add(mul(mod(pid, shares), share), at(axes[0]!))];
  const into: Stmt[] = [];
  const v = x.read(w.node, w.index(channel(group, p, x.lane), terms), into);
  const to = place(group, p, terms, x.lane);
  const write: readonly Stmt[] = [...into, store(packed, to, v)];
  const limit = sub(sizes.outputs, mul(p, panel));
  const body: readonly Stmt[] = divides(panel, sizes.outputs)
    ? write
    : [{ kind: "if", test: below(x.lane, limit), body: write, else: [store(packed, to, x.zero)] }];
  return finishKernel(`${x.group.name}_pack`, [...x.buffers.values(), packed, ...x.made()], grid, 1, loops(axes, loops([x.J, x.L], body)));
}
