import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Case, interpretKernels, lowerCase, random, runCases } from "../../../../test/support/groups.js";
import { compileKernels, hasCompiler } from "../../../../test/support/kernels-in-c.js";
import { cTarget } from "../../../backends/c/target.js";
import type { DType } from "../../../core/dtype.js";
import { type Dim, evaluate, variable } from "../../../core/expr.js";
import { NdArray } from "../../../core/ndarray.js";
import type { Node } from "../../../ir/node.js";
import { add, cast, dot, gelu, input, intMm, mul, permute, reshape, silu } from "../../../ops/index.js";
import { cpu } from "../../../runtime/cpu.js";
import type { Target } from "../../codegen.js";
import { kernelText } from "../../save.js";
import { verifyKernel } from "../../verify.js";
import { eachStmt } from "../../walk.js";
import { contractTemplate } from "./index.js";

/** Largest accepted error relative to the sum of magnitudes, one rounding of the dtype and a few of its accumulator. */
const tolerance: Readonly<Partial<Record<DType, number>>> = { f64: 1e-14, f32: 2e-6, bf16: 8e-3, f16: 1e-3, i32: 0, i64: 0 };

function product(
  name: string,
  m: Dim,
  n: Dim,
  k: Dim,
  options: { a?: "t"; b?: "t"; batch?: readonly number[]; dtype?: DType; dims?: Record<string, number> } = {},
): Case {
  const { batch = [], dtype = "f32" } = options;
  const swap = [...batch.map((_, i) => i), batch.length + 1, batch.length];
  const a = input({ shape: [...batch, ...(options.a ? [k, m] : [m, k])], dtype });
  const b = input({ shape: [...batch, ...(options.b ? [n, k] : [k, n])], dtype });
  const y = dot(options.a ? permute(a, swap) : a, options.b ? permute(b, swap) : b);
  return { name: `${name} ${dtype}`, inputs: [a, b], outputs: [y], ...(options.dims && { dims: options.dims }) };
}
const f32 = (...shape: Dim[]): Node => input({ shape, dtype: "f32" });

const wideFeatures = ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512bf16", "avx512vnni"];
const amxFeatures = [...wideFeatures, "amx-tile", "amx-bf16", "amx-int8"];
/** Tile instructions in plain C, for processors without them. */
const emulatedTiles = fileURLToPath(new URL("../../../../test/support/tiles.h", import.meta.url));

function check(cases: readonly Case[], target?: Target, compile?: typeof compileKernels): void {
  const lowered = cases.map((c) => lowerCase(c, [contractTemplate], target));
  // The verifier cannot yet follow rounded-up blocks of a symbolic size.
  for (const l of lowered.filter((x) => !x.case.dims)) for (const g of l.groups) for (const k of g.kernels) verifyKernel(k);
  for (const l of lowered)
    expect(
      l.groups.map((g) => g.group.kind),
      l.case.name,
    ).toContain("claimed");
  runCases(lowered, compile).forEach(({ name, got, want, dtypes }, at) => {
    const { inputs, dims = {} } = cases[at]!;
    // A sum rounded after each term is off by the root of their number; one that is rounded once, from a wider accumulator, is not.
    const terms = Math.max(...inputs.flatMap((n) => n.type.shape.map((d) => evaluate(d, dims))));
    const growth = Math.max(1, Math.sqrt(terms / 2048));
    got.forEach((g, i) => {
      const wanted = Array.from(want[i]!.data, Number);
      const scale = wanted.reduce((s, x) => Math.max(s, Math.abs(x)), 1e-30);
      const worst = Array.from(g.data, Number).reduce((s, x, j) => Math.max(s, Math.abs(x - wanted[j]!)), 0);
      const bound = tolerance[dtypes[i] as DType]!;
      expect(worst / scale, name).toBeLessThanOrEqual(dtypes[i] === "f32" ? growth * bound : bound);
    });
  });
}

describe.skipIf(!hasCompiler())("matmul template in C", () => {
  it("any layout and any size, whole tiles or not", () => {
    const sizes = [
      [2, 2, 1],
      [5, 7, 9],
      [13, 50, 33],
      [64, 64, 64],
      [100, 33, 70],
      [3, 200, 5],
      [130, 17, 1100],
    ] as const;
    check(
      sizes.flatMap(([m, n, k]) => [
        product(`nn ${m}x${n}x${k}`, m, n, k),
        product(`nt ${m}x${n}x${k}`, m, n, k, { b: "t" }),
        product(`tn ${m}x${n}x${k}`, m, n, k, { a: "t" }),
      ]),
    );
  });
  it("every dtype, with batches", () => {
    check(
      (["f64", "bf16", "f16", "i32", "i64"] as const).map((dtype) => product("batched 2x3", 13, 20, 17, { batch: [2, 3], b: "t", dtype })),
    );
  });
  it("symbolic sizes, empty ones too", () => {
    const [m, n, k] = [variable("M", 0, 512), variable("N", 0, 512), variable("K", 0, 4096)];
    const cases = [0, 1, 2, 3, 7, 16, 33, 128, 256].map((size) => product(`M=${size}`, m, 40, 24, { b: "t", dims: { M: size } }));
    const all = [
      [5, 0, 3],
      [4, 6, 0],
      [1, 1, 1],
      [33, 65, 600],
      [12, 32, 1100],
    ] as const;
    check([...cases, ...all.map(([M, N, K]) => product(`${M}x${N}x${K}`, m, n, k, { dims: { M, N, K } }))]);
  });
  it("prologue, bias, activation, residual and two outputs in one kernel", () => {
    const [x, w, bias, residual] = [f32(6, 20, 24), f32(40, 24), f32(40), f32(6, 20, 40)];
    const product_ = reshape(dot(reshape(gelu(x), [120, 24]), permute(w, [1, 0])), [6, 20, 40]);
    const hidden = add(product_, bias);
    const c: Case = { name: "fused", inputs: [x, w, bias, residual], outputs: [add(gelu(hidden), residual), mul(hidden, hidden)] };
    const { groups } = lowerCase(c, [contractTemplate]);
    expect(groups.filter((g) => g.group.kind === "claimed")).toHaveLength(1);
    check([c]);
  });
  it("an inner dim in blocks keeps its partial sums apart from what it writes", () => {
    const [a, b, r] = [f32(30, 2100), f32(2100, 50), f32(30, 50)];
    check([{ name: "blocks + residual", inputs: [a, b, r], outputs: [add(dot(a, b), r)] }]);
  });
  it("narrow operands in words, packed or not, odd sizes too", () => {
    const sizes = [
      [40, 70, 64],
      [13, 33, 31],
      [100, 50, 2100],
      [3, 40, 96],
      [7, 90, 70],
      [32, 100, 66],
    ] as const;
    check(
      sizes.flatMap(([m, n, k]) => [
        product(`nn ${m}x${n}x${k}`, m, n, k, { dtype: "bf16" }),
        product(`nt ${m}x${n}x${k}`, m, n, k, { b: "t", dtype: "bf16" }),
        product(`tn ${m}x${n}x${k}`, m, n, k, { a: "t", dtype: "bf16" }),
      ]),
    );
    const rows = variable("M", 0, 4096);
    check([0, 1, 5, 40].map((M) => product(`M=${M}`, rows, 48, 64, { b: "t", dtype: "bf16", dims: { M } })));
  });
  it("heads of an attention side by side as the left operand: read where they lie, in words", () => {
    const heads = (m: Dim, h: number, d: number, n: number, dims?: Record<string, number>): Case => {
      const [x, w] = [input({ shape: [h, m, d], dtype: "bf16" }), input({ shape: [h * d, n], dtype: "bf16" })];
      const rows = reshape(permute(x, [1, 0, 2]), [m, h * d]);
      return { name: `${h} heads of ${d} by ${n}`, inputs: [x, w], outputs: [dot(rows, w)], ...(dims && { dims }) };
    };
    const rows = variable("M", 1, 256);
    const cases = [heads(60, 3, 16, 64), heads(60, 4, 5, 64), ...[1, 40, 256].map((M) => heads(rows, 4, 16, 64, { M }))];
    check(cases);
    const staged = (c: Case): boolean =>
      lowerCase(c, [contractTemplate], here).groups[0]!.kernels[0]!.buffers.some((b) => b.name.startsWith("aStage"));
    const here = cTarget({ arch: "x86-64", features: ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512bf16"] });
    // Words of an odd head would hold elements of two heads.
    expect([heads(60, 3, 16, 64), heads(60, 3, 5, 64), heads(60, 3, 6, 64)].map(staged)).toEqual([false, true, false]);
  });
  it("an epilogue that reads several tensors goes over the rows of whole strips", () => {
    const updated = (m: Dim, n: Dim, k: number, dims?: Record<string, number>): Case => {
      const [a, b, p, q] = [f32(k, m), f32(k, n), f32(m, n), f32(m, n)];
      const y = dot(permute(a, [1, 0]), b);
      const mean = add(mul(p, 0.9), mul(y, 0.1));
      return { name: `${k}`, inputs: [a, b, p, q], outputs: [mean, add(mul(q, 0.99), mul(mean, y))], ...(dims && { dims }) };
    };
    const cases = [
      updated(13, 1050, 33),
      updated(100, 1024, 70),
      updated(70, 1033, 64),
      updated(variable("m", 1, 300), 1048, 40, { m: 131 }),
    ];
    for (const c of cases)
      for (const g of lowerCase(c, [contractTemplate]).groups)
        for (const k of g.kernels) expect(k.buffers.map((b) => b.name)).toContain("partial");
    check(cases);
  });
  it("far rows and far operands of the epilogue are asked for once a line", () => {
    const here = cTarget({ arch: "x86-64", features: ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512bf16"] });
    /** Sizes of the buffers that each prefetch names. */
    const asked = (c: Case): Dim[] => {
      const [k] = lowerCase(c, [contractTemplate], here).groups[0]!.kernels;
      verifyKernel(k!);
      const sizes: Dim[] = [];
      eachStmt(k!.body, (s) => {
        if (s.kind === "prefetch") sizes.push(k!.buffers.find((b) => b.name === s.buffer)!.size);
      });
      return sizes;
    };
    // 2 MiB of rows that are read where they lie, and half of that.
    expect(asked(product("far", 32, 1024, 1024, { b: "t", dtype: "bf16" }))).toEqual([1024 * 1024]);
    expect(asked(product("near", 32, 512, 1024, { b: "t", dtype: "bf16" }))).toEqual([]);
    const [x, w, r] = [f32(1024, 64), f32(64, 1000), f32(1024, 1000)];
    expect(asked({ name: "residual", inputs: [x, w, r], outputs: [add(dot(x, w), r)] })).toEqual([1024 * 1000]);
  });
  it("few rows by many columns: lanes along k, and the transposed product, with prologue and epilogue", () => {
    const few = (m: number, n: number, k: number, dtype: DType): Case => {
      const [x, w, bias, residual] = [[m, k], [n, k], [n], [m, n]].map((shape) => input({ shape, dtype })) as [Node, Node, Node, Node];
      const y = add(dot(x, permute(w, [1, 0])), bias);
      return { name: `${m}x${n}x${k} ${dtype}`, inputs: [x, w, bias, residual], outputs: [add(gelu(y), residual), y] };
    };
    check([2, 8, 33].flatMap((m) => (["f32", "bf16"] as const).flatMap((d) => [few(m, 70, 160, d), few(m, 48, 5000, d)])));
  });
  it("products that meet in an epilogue: accumulators of all of them in one tile", () => {
    const gated = (name: string, m: number, n: number, k: number, dtype: DType, act: (x: Node) => Node, bias = false): Case => {
      const [x, g, u, b] = [[m, k], [n, k], [n, k], [n]].map((shape) => input({ shape, dtype })) as [Node, Node, Node, Node];
      const [gate, up] = [dot(x, permute(g, [1, 0])), dot(x, permute(u, [1, 0]))];
      const inputs = [x, g, u, ...(bias ? [b] : [])];
      return { name: `${name} ${m}x${n}x${k} ${dtype}`, inputs, outputs: [mul(act(bias ? add(gate, b) : gate), up)] };
    };
    const sizes = [
      [2, 48, 160],
      [5, 70, 64],
      [33, 40, 96],
      [64, 96, 1100],
    ] as const;
    const cases = sizes.flatMap(([m, n, k]) =>
      (["f32", "bf16"] as const).flatMap((d) => [gated("silu", m, n, k, d, silu), gated("gelu", m, n, k, d, gelu, true)]),
    );
    // The right operand shared; three products; results that also leave; operands that lie differently; computed ones; other dtypes.
    const [a, b, c] = [f32(40, 24), f32(40, 24), f32(40, 24)];
    const [w, v, t] = [f32(24, 56), f32(24, 56), f32(56, 24)];
    const [p, q] = [dot(a, w), dot(a, v)];
    const more: readonly Case[] = [
      { name: "right shared", inputs: [a, b, w], outputs: [mul(dot(a, w), gelu(dot(b, w)))] },
      { name: "three", inputs: [a, b, c, w], outputs: [add(mul(dot(a, w), dot(b, w)), dot(c, w))] },
      { name: "all leave", inputs: [a, w, v], outputs: [p, q, mul(silu(p), q)] },
      { name: "laid out differently", inputs: [a, w, t], outputs: [mul(dot(a, w), dot(a, permute(t, [1, 0])))] },
      { name: "computed", inputs: [a, w, v], outputs: [mul(dot(mul(a, a), w), dot(mul(a, a), add(v, v)))] },
    ];
    const whole = (["f64", "i32"] as const).map((dtype): Case => {
      const [x, y, z] = [input({ shape: [3, 13, 20], dtype }), input({ shape: [3, 20, 17], dtype }), input({ shape: [3, 20, 17], dtype })];
      return { name: `batches ${dtype}`, inputs: [x, y, z], outputs: [mul(dot(x, y), dot(x, z))] };
    });
    const all = [...cases, ...more, ...whole];
    for (const one of all)
      expect(
        lowerCase(one).groups.map((g) => g.kernels.length),
        one.name,
      ).toEqual([1]);
    check(all);
  });
  it("i8 to i32, exactly: four products an instruction", () => {
    const whole = (node: Node, shape: readonly number[]): NdArray =>
      NdArray.of(node.type.dtype, shape, () => Math.floor(random() * 256) - 128);
    const narrow = (m: number, n: number, k: number, layout: "nn" | "nt" | "tn"): Case => {
      const a = input({ shape: layout === "tn" ? [k, m] : [m, k], dtype: "i8" });
      const b = input({ shape: layout === "nt" ? [n, k] : [k, n], dtype: "i8" });
      const y = intMm(layout === "tn" ? permute(a, [1, 0]) : a, layout === "nt" ? permute(b, [1, 0]) : b);
      return { name: `${layout} ${m}x${n}x${k}`, inputs: [a, b], outputs: [y, mul(cast(y, "f32"), 0.5)], fill: whole };
    };
    const sizes = [
      [2, 48, 160],
      [5, 70, 63],
      [40, 33, 130],
      [20, 40, 5000],
      [3, 20, 5001],
    ] as const;
    const cases = sizes.flatMap(([m, n, k]) => (["nn", "nt", "tn"] as const).map((layout) => narrow(m, n, k, layout)));
    const target = cTarget({ arch: "x86-64", features: ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512vnni"], parallel: 2 });
    const dots = (c: Case): number =>
      lowerCase(c, [contractTemplate], target).groups.flatMap((g) => g.kernels.map((k) => kernelText(k).match(/dot4/g)?.length ?? 0))[0]!;
    for (const c of cases) expect(dots(c), c.name).toBeGreaterThan(0);
    check(cases);
    check(
      cases.map((c) => ({ ...c, name: `${c.name} in words` })),
      target,
    );
  });
  it("tiles of Intel's matrix unit: by the kernel interpreter, and in C with tiles in memory", { timeout: 300_000 }, () => {
    const target = cTarget({ arch: "x86-64", features: amxFeatures, parallel: 2, caches: [32 << 10, 1 << 20] });
    const whole = (node: Node, shape: readonly number[]): NdArray =>
      NdArray.of(node.type.dtype, shape, () => Math.floor(random() * 256) - 128);
    const narrow = (m: number, n: number, k: number): Case => {
      const [a, b] = [input({ shape: [m, k], dtype: "i8" }), input({ shape: [n, k], dtype: "i8" })];
      return { name: `i8 ${m}x${n}x${k}`, inputs: [a, b], outputs: [intMm(a, permute(b, [1, 0]))], fill: whole };
    };
    const [x, w, bias] = [
      input({ shape: [2, 40, 64], dtype: "bf16" }),
      input({ shape: [50, 64], dtype: "bf16" }),
      input({ shape: [50], dtype: "bf16" }),
    ];
    const [v, y, flat] = [input({ shape: [50, 64], dtype: "bf16" }), input({ shape: [64, 80], dtype: "bf16" }), reshape(x, [80, 64])];
    const rows = variable("M", 16, 512);
    const cases: readonly Case[] = [
      product("nt 64x64x96", 64, 64, 96, { b: "t", dtype: "bf16" }),
      product("nn 33x70x64", 33, 70, 64, { dtype: "bf16" }),
      product("tn 20x40x32", 20, 40, 32, { a: "t", dtype: "bf16" }),
      product("nt 16x300x64", 16, 300, 64, { b: "t", dtype: "bf16" }),
      product("tn 50x72x64", 50, 72, 64, { a: "t", dtype: "bf16" }),
      product("nt 40x48x1696", 40, 48, 1696, { b: "t", dtype: "bf16" }),
      product("nn 33x70x45, k ends within a tile", 33, 70, 45, { dtype: "bf16" }),
      product("nt 20x50x61", 20, 50, 61, { b: "t", dtype: "bf16" }),
      product("tn 40x48x70", 40, 48, 70, { a: "t", dtype: "bf16" }),
      product("tt 17x33x1030", 17, 33, 1030, { a: "t", b: "t", dtype: "bf16" }),
      narrow(20, 40, 99),
      product("tn 40x48x1600", 40, 48, 1600, { a: "t", dtype: "bf16" }),
      product("symbolic", rows, 40, 64, { b: "t", dtype: "bf16", dims: { M: 37 } }),
      {
        name: "prologue and epilogue",
        inputs: [x, w, bias],
        outputs: [add(gelu(dot(reshape(add(x, x), [80, 64]), permute(w, [1, 0]))), bias)],
      },
      { name: "two products", inputs: [x, w, v], outputs: [mul(silu(dot(flat, permute(w, [1, 0]))), dot(flat, permute(v, [1, 0])))] },
      { name: "two on the left", inputs: [w, v, y], outputs: [mul(dot(w, y), dot(v, y))] },
      narrow(40, 70, 128),
      narrow(16, 32, 64),
    ];
    for (const c of cases)
      expect(
        lowerCase(c, [contractTemplate], target).groups.flatMap((g) => g.kernels.map((k) => kernelText(k).includes('"mma"'))),
        c.name,
      ).toContain(true);
    check(cases, target, interpretKernels);
    const kernels = cases.flatMap((c) => lowerCase(c, [contractTemplate], target).groups.flatMap((g) => g.kernels));
    if (hasCompiler() && cpu().arch === "x86-64") expect(compileKernels(kernels, amxFeatures)).toHaveLength(kernels.length);
    // Around the tiles stand vectors, which only such a processor has.
    if (hasCompiler() && wideFeatures.every((f) => cpu().features.includes(f)))
      check(cases, target, (kernels) => compileKernels(kernels, amxFeatures, ["-include", emulatedTiles]));
  });
  it("rows along k are transposed in registers: ends of rows and of k, words, batches", { timeout: 120_000 }, () => {
    const target: Target = { ...cTarget({ arch: "x86-64", features: wideFeatures, parallel: 2 }), dots: new Set<DType>() };
    const turning = (c: Case, t: Target): number =>
      lowerCase(c, [contractTemplate], t).groups.flatMap((g) => g.kernels.map((k) => kernelText(k).match(/"turn"/g)?.length ?? 0))[0]!;
    const plain = [
      product("nn 30x640x1024", 30, 640, 1024),
      product("nt 33x70x530", 33, 70, 530, { b: "t" }),
      product("nt 20x40x70", 20, 40, 70, { b: "t", batch: [2] }),
    ];
    for (const c of plain) expect(turning(c, target), c.name).toBeGreaterThan(0);
    check(plain.slice(1), target, interpretKernels);
    check(plain, target);
    const words = [
      product("nt 33x70x530", 33, 70, 530, { b: "t", dtype: "bf16" }),
      product("nn 30x640x2048", 30, 640, 2048, { dtype: "bf16" }),
      product("nt 33x70x575", 33, 70, 575, { b: "t", dtype: "bf16" }),
    ];
    const inWords = { ...target, dots: new Set<DType>(["bf16"]) };
    for (const c of words) expect(turning(c, inWords), c.name).toBeGreaterThan(0);
    check(words.slice(0, 1), inWords, interpretKernels);
    check(words, inWords);
  });
  it("operands that are widened as they are read are no bytes to be moved: rows along k of half floats in an f32 product", () => {
    const target = cTarget({ arch: "x86-64", features: wideFeatures, parallel: 2 });
    const widened = (left: DType, right: DType): Case => {
      const [a, b] = [input({ shape: [40, 96], dtype: left }), input({ shape: [70, 96], dtype: right })];
      return { name: `${left} and ${right}`, inputs: [a, b], outputs: [dot(cast(a, "f32"), permute(cast(b, "f32"), [1, 0]))] };
    };
    const cases = [widened("f32", "bf16"), widened("bf16", "f32"), widened("bf16", "bf16"), widened("f16", "f16")];
    check(cases, target, interpretKernels);
    check(cases, target);
  });
  it("rows of a panel that fill no vector are stored whole, over the beginning of the next", { timeout: 120_000 }, () => {
    const target: Target = { ...cTarget({ arch: "x86-64", features: wideFeatures, parallel: 2 }), dots: new Set<DType>(["bf16"]) };
    const cases = [
      product("tn 300x400x24", 300, 400, 24, { a: "t" }),
      product("tn 309x400x31", 309, 400, 31, { a: "t", dtype: "bf16" }),
      product("tn 205x200x20", 205, 200, 20, { a: "t", dtype: "bf16", batch: [2] }),
    ];
    for (const c of cases) {
      const lanes = new Set<Dim>();
      for (const { kernels } of lowerCase(c, [contractTemplate], target).groups)
        for (const k of kernels) eachStmt(k.body, (s) => s.kind === "for" && s.axis.name === "la" && lanes.add(s.axis.size));
      expect([...lanes], c.name).toEqual([16, expect.toBeOneOf([1, 2, 4, 8])]);
    }
    check(cases, target, interpretKernels);
    check(cases, target);
  });
  it("products without a common operand stay apart", () => {
    const [a, b, w, v] = [f32(40, 24), f32(40, 24), f32(24, 56), f32(24, 56)];
    const { groups } = lowerCase({ name: "apart", inputs: [a, b, w, v], outputs: [mul(dot(a, w), dot(b, v))] });
    expect(groups.map((g) => g.group.name)).toEqual(["dot", "dot_mul"]);
    expect(groups.flatMap((g) => g.group.why).join()).toContain("the products have no operand in common");
  });
});
