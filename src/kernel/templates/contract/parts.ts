/** In how many parts the inner dim of a product is worth cutting. */
import { computeDType, type DType, isHalf } from "../../../core/dtype.js";
import { ceilDiv, hi } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import type { Target } from "../../codegen.js";
import type { Group } from "../../group.js";
import type { DotShape } from "./operands.js";
import { type ContractTiling, most, type Problem } from "./tiling.js";
import { costCpu } from "./tilingCpu.js";

/** The shortest part, and most parts on a CPU. */
const shortest = 512;
const mostParts = 64;
/** What the launch that adds the parts up costs a CPU, and what each element of each part does, in cycles of one core. */
const launch = 2e4;
const element = 2;

/** Whether parts of k may be worth anything, as far as sizes tell. */
export function mayPart({ batch, total: { m, n, k } }: DotShape, dtype: DType, target: Target): boolean {
  if (typeof k !== "number" || k < 4 * shortest || !addsUp(dtype)) return false;
  if (target.threads > 1) return true;
  // What few results can save is bounded by what their packing and their idle threads cost.
  return target.vectors === "native" && most(numel(batch)) * most(m) * most(n) <= 1 << 16;
}
/** Parts of k for a product, given as it stands and turned: 1, or a divisor of k. `whole` is its tiling in one part. */
export function partsOf([p, turned]: readonly [Problem, Problem], target: Target, whole: () => ContractTiling): number {
  const k = p.total.k as number;
  return target.threads === 1 ? onCpu(p, turned, k, target) : onGpu(p, k, target, whole);
}
/** Sums of parts are what the whole sum would be, but for the order: nothing is rounded or wrapped to less in between. */
const addsUp = (dtype: DType): boolean => isHalf(dtype) || computeDType(dtype) === dtype;

function onCpu(p: Problem, turned: Problem, k: number, t: Target): number {
  const results = most(p.batch) * most(p.total.m) * most(p.total.n);
  const cost = (parts: number): number => {
    const cut = (x: Problem): Problem => ({ ...x, batch: most(x.batch) * parts, total: { ...x.total, k: k / parts } });
    return costCpu([cut(p), cut(turned)], t) + launch * t.parallel + parts * results * element;
  };
  const best = divisors(k, mostParts)
    .map((parts) => ({ parts, cost: cost(parts) }))
    .reduce((x, y) => (y.cost < x.cost ? y : x), { parts: 1, cost: Number.POSITIVE_INFINITY });
  return best.cost < 0.9 * costCpu([p, turned], t) ? best.parts : 1;
}

/** As many parts as keep the processors busy that the tiles of the result leave idle; matrix units take no part that ends wider than it began. */
function onGpu(p: Problem, k: number, t: Target, whole: () => ContractTiling): number {
  const tiling = whole();
  if (tiling.micro.unit) return 1;
  const grid = tiling.levels.filter((l) => l.on === "grid");
  const points = grid.reduce((n, l) => n * hi(ceilDiv(most(p.total[l.axis]), l.tile)), most(p.batch));
  // A part that ends inside a tile of k would read on into the next one.
  const tile = tiling.levels.findLast((l) => l.axis === "k")?.tile ?? 1;
  return Math.max(1, ...divisors(k, Math.floor(t.parallel / 2 / points)).filter((n) => (k / n) % tile === 0));
}

/** Divisors of k from 2 to `limit` that leave parts of whole words that are long enough. */
const divisors = (k: number, limit: number): number[] =>
  Array.from({ length: Math.max(0, limit - 1) }, (_, i) => i + 2).filter((n) => k % n === 0 && k / n >= shortest && (k / n) % 4 === 0);

/** A group of the product and the views in front of it. */
export function alone(root: Node): Group {
  const nodes = new Set<Node>();
  const inputs = new Set<Node>();
  const visit = (n: Node): void => {
    if (n.op.kind !== "movement" || n.inputs.length !== 1) inputs.add(n);
    else {
      visit(n.inputs[0]!);
      nodes.add(n);
    }
  };
  root.inputs.forEach(visit);
  return { name: "alone", kind: "claimed", nodes: [...nodes, root], inputs: [...inputs], outputs: [root], root, why: [] };
}
