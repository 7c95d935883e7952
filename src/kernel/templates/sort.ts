/** Sorting along an axis: a stable merge sort of each line, values and where they were. NaN counts as the greatest. */
import { bytesOf, computeDType, type DType, isFloat } from "../../core/dtype.js";
import { add, ceilDiv, type Dim, hi, min, mod, mul, sub, variable } from "../../core/expr.js";
import { numel } from "../../core/type.js";
import { is } from "../../ir/node.js";
import { flatten } from "../../ops/movement.js";
import { sortOp } from "../../ops/sort.js";
import type { Target, Template } from "../codegen.js";
import { makeEvaluator, namesFor } from "../evaluate.js";
import { type Group, groupBuffers, hasElements } from "../group.js";
import { apply, at, axis, type Buffer, constant, indexValue, type Kernel, load, loops, type Stmt, store, type Value } from "../kernel.js";
import { emptyKernel, finishKernel } from "../walk.js";
import { overLines } from "./lines.js";
import { lowerMerges, mostMerged, ranked } from "./sortMerges.js";

/** Claims sorts; the input is computed where it is read. */
export const sortTemplate: Template = {
  name: "sort",
  match(node, target) {
    if (!is(node, sortOp)) return "not a sort";
    const missing = [node.type.dtype, "i64" as DType].find((d) => !target.dtypes.has(d));
    return missing === undefined || `the target has no ${missing}`;
  },
  prologue: () => true,
  epilogue: () => "it has two results",
  lower(group, target) {
    const n = hi(group.root!.type.shape[group.root!.attrs.axis as number]!);
    if (target.threads > 1 && n > ranked && n <= mostMerged && hasElements(group)) return lowerMerges(group, target);
    return [lowerSort(group, target)];
  },
};

/** One kernel. Lines are sorted in scratch of their grid point, or in scratch of the group where that is too large. */
function lowerSort(group: Group, target: Target): Kernel {
  if (!hasElements(group)) return emptyKernel(group.name);
  const root = group.root!;
  const { axis: along, descending } = root.attrs as { axis: number; descending: boolean };
  const { shape } = root.type;
  const n = shape[along]!;
  const x = root.inputs[0]!;
  const key: DType = root.type.dtype === "bool" ? "u8" : computeDType(root.type.dtype);
  const place: DType = hi(n) < 2 ** 31 ? "i32" : "i64";
  const name = namesFor(group);
  const buffers = groupBuffers(group);
  const own = target.threads === 1 && 2 * hi(n) * (bytesOf(key) + bytesOf(place)) <= target.sharedBytes / 2;
  const lines = numel(shape.filter((_, i) => i !== along));
  const scratch = (label: string, dtype: DType): Buffer =>
    own
      ? { name: label, dtype, space: "shared", size: mul(2, n) }
      : { name: label, dtype, space: "global", size: mul(lines, mul(2, n)), writes: true };
  const keys = scratch("tmp0", key);
  const places = scratch("tmp1", place);
  const register = (label: string): Buffer => ({ name: label, dtype: place, space: "reg", size: 1 });
  const [width, left, right] = [register("width"), register("left"), register("right")];
  const passes = Math.max(0, Math.ceil(Math.log2(Math.max(1, hi(n)))));
  const number = (v: number): Value => constant(place === "i64" ? BigInt(v) : v, place);
  const last = sub(n, 1);
  const registers: Buffer[] = [];

  const made = overLines(
    target,
    shape,
    along,
    [root.type.dtype],
    false,
    (line) => {
      const start = own ? 0 : mul(line.number, mul(2, n));
      const index = (stem: string, value: Value, least: number, most: Dim): Stmt => ({
        kind: "letIndex",
        name: name(stem),
        value,
        min: least,
        max: most,
      });
      const position = (stem: string): Dim => variable(name(stem), 0, Math.max(0, hi(last)));

      // The line as it is.
      const k = axis(name("k"), n, "loop");
      const read: Stmt[] = [];
      const e = makeEvaluator(group, buffers);
      const v = e.value(x, line.at(at(k)), read);
      read.push(
        store(keys, add(start, at(k)), v.dtype === key ? v : apply("cast", key, v)),
        store(places, add(start, at(k)), indexValue(at(k), place)),
      );

      // Each pass merges neighbouring runs of `w` elements from one half of the scratch into the other.
      const pass = axis(name("pass"), passes, "loop");
      const from = add(start, mul(mod(at(pass), 2), n));
      const to = add(start, mul(mod(add(at(pass), 1), 2), n));
      const w = variable(name("w"), 1, Math.max(1, hi(n)));
      const runs = axis(name("run"), ceilDiv(n, mul(2, w)), "loop");
      const first = min(mul(mul(2, w), at(runs)), last);
      const middle = min(add(first, w), n);
      const end = min(add(first, mul(2, w)), n);
      const step = axis(name("step"), sub(end, first), "loop");
      const [a, b] = [load(keys, add(from, position("l"))), load(keys, add(from, position("r")))];
      const [p, q] = descending ? [b, a] : [a, b];
      const before = isFloat(key) ? apply("or", "bool", apply("le", "bool", p, q), apply("isnan", "bool", q)) : apply("le", "bool", p, q);
      const inside = (r: Buffer, limit: Dim): Value => apply("lt", "bool", load(r, 0), indexValue(limit, place));
      const outside = (r: Buffer, limit: Dim): Value => apply("le", "bool", indexValue(limit, place), load(r, 0));
      const takeLeft = apply("and", "bool", inside(left, middle), apply("or", "bool", outside(right, end), before));
      const take = (r: Buffer, at_: Dim): Stmt[] => [
        store(keys, add(to, position("o")), load(keys, add(from, at_))),
        store(places, add(to, position("o")), load(places, add(from, at_))),
        store(r, 0, apply("add", place, load(r, 0), number(1))),
      ];
      const merge: Stmt[] = [
        index("l", load(left, 0), 0, last),
        index("r", load(right, 0), 0, last),
        index("o", indexValue(add(first, at(step)), place), 0, last),
        { kind: "when", test: takeLeft, body: take(left, position("l")), else: take(right, position("r")) },
      ];
      const sorted: Stmt[] = [
        index("w", load(width, 0), 1, n),
        ...loops([runs], [store(left, 0, indexValue(first, place)), store(right, 0, indexValue(middle, place)), ...loops([step], merge)]),
        store(width, 0, apply("add", place, load(width, 0), load(width, 0))),
      ];

      // Where the last pass left it, to the results.
      const done = add(start, mul(passes % 2, n));
      const out = axis(name("out"), n, "loop");
      const leaving = group.outputs.map((o): Stmt => {
        const which = o === root ? 0 : (o.attrs.index as number);
        const value: Value = which === 0 ? load(keys, add(done, at(out))) : apply("cast", "i64", load(places, add(done, at(out))));
        const typed = which === 0 && value.dtype !== computeDType(o.type.dtype) ? apply("cast", o.type.dtype, value) : value;
        return store(
          buffers.get(o)!,
          flatten(line.at(at(out)), shape),
          which === 1 && place === "i64" ? load(places, add(done, at(out))) : typed,
        );
      });
      registers.push(...e.locals);
      return [...loops([k], read), store(width, 0, number(1)), ...loops([pass], sorted), ...loops([out], leaving)];
    },
    name,
  );
  return finishKernel(
    group.name,
    [...buffers.values(), keys, places, width, left, right, ...registers],
    made.grid,
    made.threads,
    made.body,
  );
}
