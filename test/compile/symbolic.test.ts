/** One program for a range of sizes: compiled once, run at many sizes, equal to the interpreter at each. */
import { expect, test } from "vitest";
import { vjp } from "../../src/autodiff/grad.js";
import { c } from "../../src/backends/c/index.js";
import { hostFunctions } from "../../src/backends/interp/host.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { js } from "../../src/backends/js/index.js";
import { compile } from "../../src/compile/index.js";
import { fromBytes, toBytes } from "../../src/core/convert.js";
import { type Dim, evaluate, variable } from "../../src/core/expr.js";
import { byteLength, NdArray } from "../../src/core/ndarray.js";
import { roots } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import { checkArena } from "../../src/runtime/arena.js";
import { agrees } from "../conformance/agree.js";
import { leaf, transformerBlock } from "./models.js";
import { randomOf } from "./random-graph.js";

const b = variable("b", 0, 256);
const t = variable("t", 0, 256);
const sizes: readonly (readonly [number, number])[] = [
  [0, 3],
  [2, 0],
  [1, 1],
  [3, 2],
  [2, 7],
  [1, 16],
  [2, 33],
  [7, 3],
  [33, 1],
];

for (const backend of [js, c]) {
  test.skipIf(backend.unavailable() !== undefined)(
    `a transformer block and its derivative on ${backend.name}${backend.unavailable() ? ` (skipped: ${backend.unavailable()})` : ""}`,
    async () => {
      const params: Node[] = [];
      const [x, ct] = [leaf("x", [b, t, 16]), leaf("ct", [b, t, 16])];
      const y = transformerBlock(x, params, { batch: b, time: t, channels: 16, heads: 2 });
      const outputs = [y, ...(vjp([y], [ct], [x, ...params]) as Node[])];
      const graph = { inputs: [x, ct, ...params], state: [], outputs, updates: [] };
      const codegen = backend.codegen();
      const program = compile(graph, codegen);
      const device = await backend.open();
      const loaded = await device.load(program, { host: hostFunctions });
      for (const [batch, time] of sizes) {
        const values = { b: batch, t: time };
        const dims = program.dims.map((d) => values[d.name as "b" | "t"]);
        checkArena(program, dims);
        const r = randomOf(batch * 1000 + time);
        const shape = (s: readonly Dim[]): number[] => s.map((d) => evaluate(d, values));
        const feeds = new Map(graph.inputs.map((n) => [n, NdArray.of("f32", shape(n.type.shape), () => Math.fround(r.next() - 0.5))]));
        const buffers = program.buffers.map((p) =>
          p.role === "input" || p.role === "output" ? device.alloc(byteLength(p.dtype, [evaluate(p.size, values)])) : undefined,
        );
        program.inputs.forEach((p, i) => {
          const v = feeds.get(graph.inputs[i]!)!;
          if (v.data.length) device.write(buffers[p.buffer]!, 0, toBytes("f32", v.data));
        });
        await device.submit(loaded, { buffers, dims });
        const exact = interpret(roots(graph), feeds, { exact: true, dims: values });
        const own = interpret(roots(graph), feeds, { dims: values });
        for (const [i, p] of program.outputs.entries()) {
          const bytes = await device.read(buffers[p.buffer]!, 0, byteLength("f32", own[i]!.shape));
          const verdict = agrees(new NdArray("f32", own[i]!.shape, fromBytes("f32", bytes)), exact[i]!, own[i]!);
          expect(verdict.why, `batch ${batch}, time ${time}, output ${i}`).toBe("");
        }
        for (const a of buffers) if (a) device.free(a);
      }
      await device.close();
    },
  );
}
