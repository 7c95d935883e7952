/** Products on units whose fragments only they see, held by several threads together: tiles come from memory, and leave through shared memory. */
import { add, type Dim, div, divides, mod, mul } from "../../../core/expr.js";
import { numel } from "../../../core/type.js";
import { is } from "../../../ir/node.js";
import { dotOp } from "../../../ops/matmul.js";
import { bindings } from "../../bindings.js";
import type { Target } from "../../codegen.js";
import type { Group } from "../../group.js";
import { type Axis, at, axis, type Buffer, type Kernel, load, loops, type MatrixUnit, ref, type Stmt } from "../../kernel.js";
import { isOpaque } from "../../units.js";
import { finishKernel } from "../../walk.js";
import { contract } from "./contract.js";
import { leave } from "./leave.js";
import { dotShape, productsOf, stridesOf } from "./operands.js";
import type { ContractTiling, Name, Role } from "./tiling.js";

/** Whether several threads hold a unit's fragments, and only the unit sees what is in them. */
export const isShared = (u: MatrixUnit): boolean => isOpaque(u) && u.lanes > 1;
/** Places of tiles are multiples of this many elements. */
const aligned = 8;

/** Its kernel, or undefined where the product or what it reads is not made for such a unit. */
export function lowerOpaque(group: Group, target: Target): readonly Kernel[] | undefined {
  const root = group.root!;
  const unit = target.units.find((u) => isShared(u) && u.input === root.type.dtype);
  if (!unit || !is(root, dotOp) || productsOf(group).length > 1) return undefined;
  const { total, batch } = dotShape(root);
  const [m, n, k] = [total.m, total.n, total.k];
  if (typeof m !== "number" || typeof n !== "number" || typeof k !== "number" || k % unit.k || !k) return undefined;
  const points = (side: number): number => (numel(batch) as number) * (m / side) * (n / side);
  const side = [128, 64].find((x) => m % x === 0 && n % x === 0 && (x === 64 || points(x) >= target.parallel));
  if (!side || typeof numel(batch) !== "number") return undefined;
  const own = side / 2;
  const t: ContractTiling = {
    levels: [
      { axis: "m", tile: side, on: "grid" },
      { axis: "n", tile: side, on: "grid" },
      { axis: "m", tile: own, on: "threads" },
      { axis: "n", tile: own, on: "threads" },
    ],
    accumulate: 4,
    depth: 1,
    micro: { m: own, n: own, k: unit.k, vector: 1, unit },
    threads: 4 * unit.lanes,
    band: 4,
  };
  const strides = [stridesOf(group, "a"), stridesOf(group, "b")];
  if (strides.some((s) => !s?.includes(1) || s.some((x) => x !== 1 && x % aligned))) return undefined;
  const x = contract(group, t);
  // A tile lies in one binding.
  if (group.inputs.some((i) => bindings(numel(i.type.shape), i.type.dtype, target) > 1)) return undefined;
  const offset = (name: Name): Dim =>
    t.levels.filter((l) => l.axis === name).reduce<Dim>((sum, l) => add(sum, mul(x.digits.get(l)!, l.tile)), 0);
  const off = { m: offset("m"), n: offset("n") };
  const [rows, columns] = [own / unit.m, own / unit.n];
  const [I, J, K] = [axis("i", rows, "unroll"), axis("j", columns, "unroll"), axis("kk", k / unit.k, "loop")];
  const tiles = (name: string, size: number): Buffer => ({ name, dtype: "f32", space: "reg", size });
  const [sums, left, right] = [tiles("sums", rows * columns), tiles("left", rows), tiles("right", columns)];
  const sum = ref(sums, add(mul(at(I), columns), at(J)));

  const fetch = (role: Role, into: Buffer, a: Axis, start: Dim): Stmt | undefined => {
    const [across, along] = x.strides[role]!;
    const from = x.address(x.operands[role][0]!, add(start, mul(at(a), unit.m)), mul(at(K), unit.k));
    if (!divides(aligned, from.index)) return undefined;
    // Rows of a lie along k, those of b along n.
    const transposed = (role === "a" ? along : across) !== 1;
    return { kind: "fetch", unit, into: ref(into, at(a)), from, stride: across === 1 ? along : across, count: 1, transposed };
  };
  const [fetchA, fetchB] = [fetch("a", left, I, off.m), fetch("b", right, J, off.n)];
  if (!fetchA || !fetchB) return undefined;
  const step: readonly Stmt[] = [
    ...loops([I], [fetchA]),
    ...loops([J], [fetchB]),
    ...loops([I, J], [{ kind: "mma", unit, acc: sum, a: ref(left, at(I)), b: ref(right, at(J)) }]),
  ];

  // A row of tiles at a time waits in shared memory, each warp's for itself.
  const each = unit.m * own;
  const waits: Buffer = { name: "waits", dtype: "f32", space: "shared", size: (t.threads / unit.lanes) * each };
  const base = mul(div(x.tid, unit.lanes), each);
  const turn = axis("turn", each / unit.lanes, "loop");
  const element = add(mul(at(turn), unit.lanes), x.lane);
  const out: Stmt[] = [];
  leave(x, [load(waits, add(base, element))], add(off.m, mul(at(I), unit.m), div(element, own)), add(off.n, mod(element, own)), out);
  const spill: Stmt = { kind: "spill", unit, acc: sum, to: ref(waits, add(base, mul(at(J), unit.n))), stride: own };
  const body: readonly Stmt[] = [
    ...loops([I, J], [{ kind: "fill", unit, acc: sum }]),
    ...loops([K], step),
    ...loops([I], [{ kind: "barrier" }, ...loops([J], [spill]), { kind: "barrier" }, ...loops([turn], out)]),
  ];
  const globals = [...new Map([...x.buffers.values()].map((b) => [b.name, b])).values()];
  return [finishKernel(group.name, [...globals, waits, sums, left, right, ...x.registers()], x.points, t.threads, body)];
}
