/** Softmaxes and logarithms of sums whose rows several warps share: pairs of a maximum and a sum meet once. */
import { expect, test } from "vitest";
import {
  type Case,
  errorOf,
  interpretKernels,
  type Lowered,
  lowerCase,
  random,
  runCases,
  tolerance,
} from "../../../test/support/groups.js";
import { cudaTarget } from "../../backends/cuda/target.js";
import { roundTo } from "../../core/convert.js";
import type { DType } from "../../core/dtype.js";
import { NdArray } from "../../core/ndarray.js";
import type { Node } from "../../ir/node.js";
import { verifyKernel } from "../../kernel/verify.js";
import { eachStmt } from "../../kernel/walk.js";
import * as o from "../../ops/index.js";

const cuda = cudaTarget({ sm: 90, multiprocessors: 132 });
const inf = Number.POSITIVE_INFINITY;

/** Rows of values between -2 and 2, some of them with infinities and numbers at the ends of what there is. */
const rows: readonly ((i: number, n: number) => number | undefined)[] = [
  () => undefined,
  (i) => (i % 3 ? undefined : -inf),
  // Whole warps have nothing.
  (i, n) => (i < n - 5 ? -inf : -100),
  () => -inf,
  (i) => (i === 7 ? inf : undefined),
  (i) => (i % 50 ? -inf : inf),
  (i) => (i === 9030 ? Number.NaN : undefined),
  (i) => (i % 2 ? -1e38 : 1e38),
  (i) => (i === 9200 ? 60000 : -60000),
  (i) => 300 + (i % 7),
];
function fill(n: Node, shape: readonly number[]): NdArray {
  const columns = shape.at(-1)!;
  let i = 0;
  const { dtype } = n.type;
  const next = (): number => {
    const [row, column] = [Math.floor(i / columns), i++ % columns];
    return rows[row % rows.length]!(column, columns) ?? random() * 4 - 2;
  };
  const a = NdArray.of(dtype, shape, next);
  return new NdArray(dtype, shape, roundTo(dtype, a.data));
}
const caseOf = (name: string, columns: number, dtype: DType, f: (x: Node) => Node): Case => {
  const x = o.input({ shape: [rows.length, columns], dtype });
  const outputs = [f(x)];
  return { name: `${name} ${columns} ${dtype}`, inputs: [x], outputs, fill };
};
/** What the rule is for: columns, dtype, value. */
const forms: readonly (readonly [string, number, DType, (x: Node) => Node])[] = [
  ["softmax", 20000, "f32", (x) => o.softmax(x, 1)],
  // Columns that no access of several elements fits, and warps whose number is no power of two.
  ["softmax", 17001, "bf16", (x) => o.softmax(x, 1)],
  ["softmax of a product", 23560, "f16", (x) => o.softmax(o.mul(x, 0.25), 1)],
  ["logSoftmax", 18000, "bf16", (x) => o.logSoftmax(x, 1)],
  ["logsumexp", 17000, "f32", (x) => o.logsumexp(x, 1)],
  // Beside a sum that waits for nothing.
  ["logsumexp less a sum", 16640, "f32", (x) => o.sub(o.logsumexp(x, 1), o.sum(o.where(o.gt(x, 1e9), x, 0), 1))],
];
const meetings = (l: Lowered): readonly string[] => {
  const found: string[] = [];
  for (const g of l.groups)
    for (const k of g.kernels) {
      found.push("kernel");
      eachStmt(verifyKernel(k, cuda).body, (s) => {
        if (s.kind === "barrier") found.push("barrier");
        // Whatever goes over more than a warp has two barriers inside.
        if (s.kind === "combine" && s.threads > 32) found.push(`${s.op} over all`);
      });
    }
  return found;
};

test("rows that threads share meet once, as pairs", { timeout: 300_000 }, () => {
  const list = forms.map(([name, columns, dtype, f]) => lowerCase(caseOf(name, columns, dtype, f), [], cuda));
  for (const l of list) expect(meetings(l), l.case.name).toEqual(["kernel", "barrier"]);
  for (const { name, got, want, dtypes } of runCases(list, interpretKernels))
    got.forEach((g, i) => {
      const dtype = dtypes[i] as DType;
      // The oracle's numbers may be larger than the dtype has.
      const w = new NdArray(dtype, want[i]!.shape, roundTo(dtype, want[i]!.data));
      const each = g.data.length / rows.length;
      rows.forEach((_, row) => {
        const part = (a: NdArray): NdArray => new NdArray(dtype, [each], a.data.slice(row * each, (row + 1) * each) as Float64Array);
        expect(errorOf(part(g), part(w)), `${name}, row ${row}`).toBeLessThanOrEqual(tolerance(dtype));
      });
    });
});

test("what a later pass reads is the row's, and meets by itself", { timeout: 300_000 }, () => {
  const squares = caseOf("mean of squares", 16640, "f32", (x) => o.mean(o.square(o.softmax(x, 1)), 1));
  const lowered = lowerCase(squares, [], cuda);
  expect(meetings(lowered)).toEqual(["kernel", "barrier", "add over all"]);
  for (const { name, got, want } of runCases([lowered], interpretKernels))
    expect(errorOf(got[0]!, want[0]!), name).toBeLessThanOrEqual(4e-6);
});
test("shorter rows, of which several are at work side by side, and sums of something else meet twice", () => {
  const twice = ["kernel", "max over all", "add over all"];
  expect(
    meetings(
      lowerCase(
        caseOf("short", 16384, "bf16", (x) => o.softmax(x, 1)),
        [],
        cuda,
      ),
    ),
  ).toEqual(twice);
  const powers = (x: Node): Node => o.sum(o.pow(o.sub(x, o.amax(x, [1], { keepdim: true })), 2), 1);
  expect(meetings(lowerCase(caseOf("powers", 20000, "f32", powers), [], cuda))).toEqual(twice);
});
