import { expect, test } from "vitest";
import { cudaCodegen } from "../backends/cuda/codegen.js";
import type { Node } from "../ir/node.js";
import { templates } from "../kernel/templates/index.js";
import * as o from "../ops/index.js";
import { layerNorm } from "../ops/norm.js";
import { input } from "../ops/source.js";
import type { Program } from "../runtime/program.js";
import { compile } from "./index.js";

const leaf = (shape: readonly number[]): Node => input({ shape, dtype: "bf16" }, "x");
/** Two products of one row, as in decoding: 4 MiB of weights each, the second narrow and long. */
function token(sm: number, wide = 1024): Program {
  const [x, up, down] = [leaf([1, wide]), leaf([2048, wide]), leaf([1024, 2048])];
  const product = (a: Node, w: Node): Node => o.matmul(a, o.transpose(w, 0, 1));
  const y = product(o.silu(product(x, up)), down);
  return compile({ inputs: [x, up, down], state: [], outputs: [y], updates: [] }, cudaCodegen({ sm, multiprocessors: 132 }, templates), {
    verify: true,
  });
}
/** What each launch asks for: the program's buffer, and the bytes that its grid points ask for together. */
const asked = (p: Program): unknown[] =>
  p.steps.map((s) => {
    if (s.kind !== "launch") return undefined;
    const { source, entry } = p.kernels[s.kernel]!;
    const names = String(source)
      .slice(String(source).indexOf(`${entry}(`))
      .split(")")[0]!
      .split(",")
      .map((x) => x.split(" ").at(-1)!);
    return [...String(source).matchAll(/if \(tid < (\d+)\) {\nask_for_all\((\w+) .*?, (\d+)\);/g)].map(([, threads, name, bytes]) => [
      s.buffers[names.indexOf(name!)],
      Number(bytes) * Number(threads) * Number(s.grid),
    ]);
  });

test("a product asks for the next product's first weights as it ends, and for its own as it begins where it does not copy them", () => {
  const p = token(90);
  expect(p.inputs.map((x) => x.buffer)).toEqual([0, 1, 2]);
  expect(asked(p)).toEqual([[[2, 2 << 20]], []]);
  // Columns that are no whole turns.
  expect(asked(token(90, 1088))).toEqual([
    [
      [1, 1 << 20],
      [2, 2 << 20],
    ],
    [],
  ]);
  expect(asked(token(80))).toEqual([[], []]);
});

test("a long row asks for the row that its multiprocessor takes next", () => {
  const rows = (columns: number): string => {
    const [x, w] = [leaf([600, columns]), leaf([columns])];
    const y = layerNorm(x, [columns], w, w);
    const p = compile({ inputs: [x, w], state: [], outputs: [y], updates: [] }, cudaCodegen({ sm: 90, multiprocessors: 132 }, templates), {
      verify: true,
    });
    return p.kernels.map((k) => String(k.source)).join("\n");
  };
  expect(rows(32768)).toContain(`if (tid < 1) {\nif ((pid + 132) < 600) {\nask_for_all(in0 + (32768 * pid + ${132 * 32768}), 65536);`);
  expect(rows(4096)).not.toContain("ask_for_all");
});
