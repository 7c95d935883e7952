import { describe, expect, it } from "vitest";
import { type Case, errorOf, interpretKernels, lowerCase, random, runCases, tolerance } from "../../../../test/support/groups.js";
import { hasCompiler } from "../../../../test/support/kernels-in-c.js";
import { cCodegen } from "../../../backends/c/codegen.js";
import type { DType } from "../../../core/dtype.js";
import { type Dim, variable } from "../../../core/expr.js";
import type { Node } from "../../../ir/node.js";
import { add, conv1d, conv2d, input, mul, permute, relu, reshape, type TileSize, winograd } from "../../../ops/index.js";
import { verifyKernel } from "../../verify.js";
import { convTemplate, winogradTemplate } from "./index.js";

interface Shape {
  readonly x: readonly Dim[];
  readonly w: readonly number[];
  readonly bias?: boolean;
  readonly stride?: number | readonly number[];
  readonly padding?: number | readonly number[] | "same";
  readonly dilation?: number | readonly number[];
  readonly groups?: number;
  readonly channelsLast?: boolean;
  readonly dtype?: DType;
  readonly dims?: Readonly<Record<string, number>>;
}
function convolution(s: Shape): Case {
  const { dtype = "f32", x: xs, w: ws, bias, dims, ...options } = s;
  const [x, w] = [input({ shape: xs, dtype }), input({ shape: ws, dtype })];
  const b = bias ? input({ shape: [ws[0]!], dtype }) : null;
  const y = (ws.length === 3 ? conv1d : conv2d)(x, w, b, options);
  return {
    name: JSON.stringify(s, (_, v: unknown) => (typeof v === "object" && v !== null && "key" in v ? v.key : v)),
    inputs: b ? [x, w, b] : [x, w],
    outputs: [y],
    ...(dims && { dims }),
  };
}
function check(cases: readonly Case[], kernels = 2): void {
  const lowered = cases.map((c) => lowerCase(c, [convTemplate, winogradTemplate]));
  for (const l of lowered) {
    expect(
      l.groups.map((g) => g.group.kind),
      l.case.name,
    ).toContain("claimed");
    expect(
      l.groups.flatMap((g) => g.kernels),
      l.case.name,
    ).toHaveLength(kernels);
    for (const g of l.groups) for (const k of g.kernels) verifyKernel(k);
  }
  for (const { name, got, want, dtypes } of runCases(lowered))
    got.forEach((g, i) => {
      expect(errorOf(g, want[i]!), `${name} ${i}`).toBeLessThanOrEqual(tolerance(dtypes[i]!));
    });
}
const f32 = (...shape: Dim[]): Node => input({ shape, dtype: "f32" });

describe.skipIf(!hasCompiler())("convolution template in C", { timeout: 400_000 }, () => {
  it("strides, padding, dilation and groups, channels second and last", () => {
    const cases: Shape[] = [
      { x: [1, 3, 9, 11], w: [16, 3, 3, 3] },
      { x: [2, 3, 9, 11], w: [20, 3, 3, 3], padding: 1, bias: true },
      { x: [1, 5, 23, 31], w: [40, 5, 7, 7], padding: 3, stride: 2, bias: true },
      { x: [1, 4, 8, 9], w: [64, 4, 3, 2], padding: "same" },
      { x: [1, 18, 12, 10], w: [33, 18, 3, 3], padding: [0, 4], dilation: [2, 3], stride: [1, 2] },
      { x: [2, 12, 6, 7], w: [48, 4, 3, 3], padding: 1, groups: 3, bias: true },
      { x: [1, 17, 14, 14], w: [32, 17, 1, 1], stride: 2 },
      { x: [1, 6, 1, 40], w: [8, 6, 1, 5], padding: [0, 2] },
    ];
    const last = (s: Shape): Shape => ({ ...s, x: [s.x[0]!, ...s.x.slice(2), s.x[1]!], channelsLast: true });
    check(cases.flatMap((s, i) => (i < 3 ? [s, last(s)] : [i % 2 ? last(s) : s])).map(convolution));
  });
  it("one spatial axis, and every float", () => {
    check([convolution({ x: [2, 3, 30], w: [24, 3, 5], padding: 2, stride: 3, bias: true })]);
    check(
      (["f64", "bf16", "f16"] as const).flatMap((dtype) => [
        convolution({ x: [1, 9, 10, 9], w: [32, 9, 3, 3], padding: 1, bias: true, dtype }),
        convolution({ x: [1, 10, 9, 9], w: [32, 9, 3, 3], padding: 1, bias: true, dtype, channelsLast: true }),
      ]),
    );
  });
  it("any batch, an empty one too", () => {
    const n = variable("N", 0, 64);
    check([0, 1, 3].map((N) => convolution({ x: [n, 3, 9, 8], w: [16, 3, 3, 3], padding: 1, dims: { N } })));
  });
  it("bias, residual, activation and a second result in one kernel", () => {
    const [x, w, b, r] = [f32(2, 9, 8, 6), f32(32, 6, 3, 3), f32(32), f32(2, 9, 8, 32)];
    const hidden = add(conv2d(x, w, b, { padding: 1, channelsLast: true }), r);
    const flat = reshape(mul(hidden, hidden), [2, 72, 32]);
    check([{ name: "epilogue", inputs: [x, w, b, r], outputs: [relu(hidden), flat] }]);
    const [x2, s] = [f32(2, 6, 9, 8), f32(32, 1, 1)];
    check([{ name: "scale", inputs: [x2, w, b, s], outputs: [relu(mul(conv2d(relu(x2), w, b, { padding: 1 }), s))] }]);
  });
  it("weights in panels are read where they lie", () => {
    const [x, panels] = [f32(1, 9, 8, 6), f32(2, 3, 3, 6, 32)];
    const w = reshape(permute(panels, [0, 4, 3, 1, 2]), [64, 6, 3, 3]);
    check([{ name: "panels", inputs: [x, panels], outputs: [conv2d(x, w, null, { padding: 1, channelsLast: true })] }], 1);
  });
  it("Winograd's tiles, whole or not, with everything around them", () => {
    const one = (size: TileSize, shape: readonly Dim[], outputs: number, low: readonly number[], high: readonly number[]): Case => {
      const x = input({ shape, dtype: "f32" });
      const [w, b] = [f32((size + 2) ** 2, shape[3]!, outputs), f32(outputs)];
      const y = winograd(x, w, b, { size, low, high });
      const r = input(y.type);
      return { name: `${size} of ${shape.slice(1)} to ${outputs}`, inputs: [x, w, b, r], outputs: [relu(add(y, r))], dims: { N: 2 } };
    };
    const n = variable("N", 0, 8);
    check([
      one(2, [1, 6, 8, 3], 20, [1, 1], [1, 1]),
      one(2, [2, 7, 5, 18], 40, [0, 1], [1, 1]),
      one(2, [n, 7, 7, 20], 60, [1, 1], [1, 1]),
      one(4, [1, 9, 10, 17], 33, [1, 1], [1, 1]),
      one(4, [n, 28, 28, 5], 50, [1, 1], [1, 1]),
    ]);
  });
  it("formed weights in panels are read where they lie", () => {
    const [x, panels] = [f32(1, 9, 8, 6), f32(2, 36, 6, 32)];
    const w = reshape(permute(panels, [1, 2, 0, 3]), [36, 6, 64]);
    check([{ name: "panels", inputs: [x, panels], outputs: [winograd(x, w, null, { size: 4, low: [1, 1], high: [1, 1] })] }], 1);
  });
});

describe("convolution template by the kernel interpreter", () => {
  it("random shapes, on one to eight threads", () => {
    const pick = <T>(...list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    const size = (): number => 3 + Math.floor(random() * 9);
    for (let i = 0; i < 12; i++) {
      const [n, c, o] = [pick(1, 2), pick(2, 5, 17), pick(8, 16, 33, 64)];
      const channelsLast = pick(true, false);
      const [h, w] = [size(), size()];
      const groups = c % 2 === 0 && o % 16 === 0 ? pick(1, 2) : 1;
      const direct = convolution({
        x: channelsLast ? [n, h, w, c] : [n, c, h, w],
        w: [o, c / groups, 2, 3],
        bias: true,
        stride: pick(1, 2),
        padding: pick(1, 2),
        dilation: [pick(1, 2), 1],
        groups,
        channelsLast,
      });
      const tile = pick(2, 4) as TileSize;
      const [x, u, b] = [f32(n, h, w, c), f32((tile + 2) ** 2, c, o), f32(o)];
      const y = winograd(x, u, b, { size: tile, low: [1, 1], high: [1, pick(0, 1)] });
      for (const one of [direct, { name: `winograd ${tile} of ${[n, h, w, c, o]}`, inputs: [x, u, b], outputs: [relu(y)] }]) {
        const target = { ...cCodegen({ arch: "x86-64", features: pick(["avx", "avx2", "fma"], wide) }).target, parallel: pick(1, 2, 3, 8) };
        const lowered = lowerCase(one, [convTemplate, winogradTemplate], target);
        for (const g of lowered.groups) for (const k of g.kernels) verifyKernel(k, target);
        const [run] = runCases([lowered], interpretKernels);
        expect(errorOf(run!.got[0]!, run!.want[0]!), one.name).toBeLessThanOrEqual(tolerance("f32"));
      }
    }
  });
});
const wide = ["avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"];
