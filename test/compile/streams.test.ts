/** Memory that is streamed: results that bypass the caches, and weights that are asked for ahead. */
import { describe, expect, test } from "vitest";
import { cCodegen } from "../../src/backends/c/codegen.js";
import { cTarget } from "../../src/backends/c/target.js";
import { compile } from "../../src/compile/index.js";
import type { Node } from "../../src/ir/node.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { templates } from "../../src/kernel/templates/index.js";
import { verifyKernel } from "../../src/kernel/verify.js";
import { add, indexSelect, input, linear, matmul, mul, relu, softmax } from "../../src/ops/index.js";
import { arange, compile as compiled, evaluate, noGrad, type Tensor } from "../../src/tensor/index.js";
import { codegens } from "../replay/programs.js";
import { useDevice } from "../support/devices.js";
import { errorOf, interpretKernels, lowerCase, runCases, tolerance } from "../support/groups.js";
import { hasCompiler } from "../support/kernels-in-c.js";

const leaf = (name: string, shape: readonly number[], dtype: "f32" | "bf16" = "f32"): Node => input({ shape, dtype }, name);
const source = (inputs: readonly Node[], y: Node, codegen: Codegen = codegens["c-avx512"]!()): string =>
  compile({ inputs, state: [], outputs: [y], updates: [] }, codegen)
    .kernels.map((k) => String(k.source))
    .join("\n");

describe("results of 32 MiB and more bypass the caches", () => {
  test.each([
    ["a map", (x: Node): Node => add(mul(x, x), x)],
    ["rows", (x: Node): Node => softmax(x, 1)],
  ])("%s", (_, f) => {
    const [small, large] = [leaf("x", [1024, 1024]), leaf("x", [8192, 1024])];
    expect(source([large], f(large))).toContain("stream_f32x16(");
    expect(source([large], f(large))).toContain("stream_endx1();");
    expect(source([small], f(small))).not.toContain("stream_");
  });
  test.skipIf(!hasCompiler())("and hold the right numbers, at every position", async () => {
    useDevice("c");
    const y = arange(8192 * 1024 + 5, { dtype: "f32" })
      .mul(0.5)
      .add(1);
    await evaluate(y);
    const data = (await y.data()) as Float32Array;
    let wrong = 0;
    for (let i = 0; i < data.length; i++) if (data[i] !== Math.fround(Math.fround(i * 0.5) + 1)) wrong++;
    expect(wrong).toBe(0);
  });
});

describe("memory is asked for", () => {
  const asked = (text: string): string[] => text.match(/__builtin_prefetch\(.*\);/g) ?? [];
  test("by a large map, two pages ahead of each operand; not where a row's place is itself read", () => {
    const [x, y] = [leaf("x", [8192, 1024]), leaf("y", [8192, 1024])];
    expect(asked(source([x, y], add(mul(x, y), x)))).toEqual([
      expect.stringMatching(/in0 \+ .* \+ 2048\)\);$/),
      expect.stringMatching(/in1 \+ .* \+ 2048\)\);$/),
    ]);
    const small = leaf("x", [1024, 1024]);
    expect(asked(source([small], mul(small, small)))).toEqual([]);
    const [table, places] = [leaf("x", [50000, 1024]), input({ shape: [16384], dtype: "i64" }, "i")];
    expect(asked(source([table, places], indexSelect(table, 0, places)))).toEqual([]);
  });
  test("by the sweeps over a row that follow its first one, for the rows that follow", () => {
    const rows = leaf("x", [8192, 1024]);
    // Four lines in each turn: of the next row while sums are taken, of the one after it while results leave.
    const offsets = asked(source([rows], softmax(rows, 1))).map((t) => Number(/ \+ (\d+)\)\);$/.exec(t)![1]));
    expect(offsets).toEqual([1024, 1040, 1056, 1072, 2048, 2064, 2080, 2096]);
    // A row of 64 KiB goes to the second cache, and rows of a small matrix stay where they are.
    const long = leaf("x", [512, 16384]);
    expect(asked(source([long], softmax(long, 1))).every((t) => t.endsWith(", 0, 2);"))).toBe(true);
    expect(asked(source([long], softmax(long, 1)))).toHaveLength(8);
    const few = leaf("x", [32, 1024]);
    expect(asked(source([few], softmax(few, 1)))).toEqual([]);
  });
});

test("a vector times a large matrix asks for the rows ahead, a small one does not", () => {
  const product = (rows: number, dtype: "f32" | "bf16"): string => {
    const [x, w] = [leaf("x", [1, 2048], dtype), leaf("w", [rows, 2048], dtype)];
    return source([x, w], linear(x, w));
  };
  for (const dtype of ["f32", "bf16"] as const) {
    expect(product(32768, dtype)).toContain("__builtin_prefetch(");
    expect(product(64, dtype)).not.toContain("__builtin_prefetch(");
  }
});

describe("a vector times a matrix whose rows are its inputs", () => {
  const product = (cols: number, dtype: "f32" | "bf16"): string => {
    const [x, w] = [leaf("x", [1, 2048], dtype), leaf("w", [2048, cols], dtype)];
    return source([x, w], matmul(x, w));
  };
  test("reads whole rows of what no cache holds, into the second cache", () => {
    for (const dtype of ["f32", "bf16"] as const) {
      // The widest sums that the nearest cache holds, and wider ones.
      expect(product(3072, dtype)).toContain(", 0, 2);");
      expect(product(30720, dtype)).not.toContain(", 0, 2);");
      expect(product(64, dtype)).not.toContain("__builtin_prefetch(");
    }
  });
  test.skipIf(!hasCompiler()).each([
    [1024, 1024],
    [1531, 1045],
  ])("has the right numbers: %d x %d", async (rows, cols) => {
    const run = async (name: string): Promise<number[][]> => {
      useDevice(name);
      const grid = (n: number): Tensor => arange(n, { dtype: "f32" }).remainder(16).sub(7).mul(0.125);
      const [x, w] = [grid(rows), grid(rows * cols).reshape([rows, cols])];
      const state = arange(cols, { dtype: "f32" }).mul(0.5);
      await evaluate(x, w, state);
      const step = compiled((a: Tensor, b: Tensor): Tensor => {
        const y = a.reshape([1, rows]).matmul(b).reshape([cols]).add(state).relu();
        state.copy_(y);
        return y.mul(2);
      });
      const out: number[][] = [];
      for (let i = 0; i < 2; i++) out.push([...((await noGrad(() => step(x, w)).data()) as Float32Array)]);
      for (const dtype of ["bf16", "f16"] as const)
        out.push([...((await x.to(dtype).reshape([1, rows]).matmul(w.to(dtype)).data()) as Float32Array)]);
      return out;
    };
    expect(await run("c")).toEqual(await run("interp"));
  });
});

describe("where a core reads several rows far from each other faster than one that it asks for", () => {
  const wide = ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512bf16"];
  const codegen = (features: readonly string[]): Codegen => cCodegen({ arch: "x86-64", features, parallel: 8 }, templates);
  const [rowsText, wholeText] = [
    (c: Codegen): string => {
      const [x, w] = [leaf("x", [1, 2048], "bf16"), leaf("w", [32768, 2048], "bf16")];
      return source([x, w], linear(x, w), c);
    },
    (c: Codegen): string => {
      const [x, w] = [leaf("x", [1, 2048], "bf16"), leaf("w", [2048, 3072], "bf16")];
      return source([x, w], matmul(x, w), c);
    },
  ];
  test("nothing is asked for, and the rows of a sweep are parts of the matrix apart", () => {
    const tiles = codegen([...wide, "amx-tile", "amx-bf16"]);
    for (const text of [rowsText, wholeText]) {
      expect(text(tiles)).toContain("__builtin_prefetch(");
      expect(text(codegen(wide))).not.toContain("__builtin_prefetch(");
    }
    // A quarter of 32,768 rows of 2,048; a quarter of 128 rows of 3,072, which are one of 16 chunks.
    for (const i of [1, 2, 3]) {
      expect(rowsText(codegen(wide))).toContain(` + ${i * 8192 * 2048}`);
      expect(wholeText(codegen(wide))).toContain(` + ${i * 32 * 3072}`);
    }
  });
  test.each([64, 67, 33])("all rows have the right numbers: %d", (rows) => {
    // Caches so small that matrices of a few thousand elements lie in memory.
    const target = { ...cTarget({ arch: "x86-64", features: wide, parallel: 2 }), caches: [32 << 10, 1 << 10] };
    const [x, v, w, u, z] = [
      leaf("x", [1, 300]),
      leaf("v", [rows, 300]),
      leaf("w", [rows, 300]),
      leaf("u", [10 * rows + 3, 300]),
      leaf("z", [1, 10 * rows + 3]),
    ];
    const cases = [
      { name: "one matrix", inputs: [x, w], outputs: [linear(x, w)] },
      { name: "two matrices that meet", inputs: [x, v, w], outputs: [mul(relu(linear(x, v)), linear(x, w))] },
      { name: "rows that are swept three times", inputs: [u], outputs: [softmax(u, 1)] },
      { name: "rows that are inputs", inputs: [z, u], outputs: [matmul(z, u)] },
    ];
    const list = cases.map((c) => lowerCase(c, templates, target));
    for (const l of list) for (const g of l.groups) for (const k of g.kernels) verifyKernel(k, target);
    for (const r of runCases(list, interpretKernels))
      for (const [i, got] of r.got.entries())
        expect(errorOf(got, r.want[i]!), `${r.name} of ${rows}`).toBeLessThanOrEqual(tolerance(r.dtypes[i]!));
  });
});
