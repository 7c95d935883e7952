import { describe, expect, test } from "vitest";
import { kernelsInWasm } from "../../../test/support/kernels-in-wasm.js";
import { cases, check, functions, inputs, mapKernel, worstOf } from "../../../test/support/scalar-cases.js";
import { fromBytes, toBytes } from "../../core/convert.js";
import { bytesOf } from "../../core/dtype.js";

describe("generated WebAssembly", () => {
  test.each([8, 1])("every operation on every dtype, %i lanes", (lanes) => {
    const run = kernelsInWasm(cases.map((c) => mapKernel(c.op, c.dtype, c.from, lanes)));
    const bad = cases.flatMap((c, i) => {
      const size = c.inputs[0]!.length;
      const given = c.inputs.map((x, k) => toBytes(c.from[k]!, x));
      const out = new Uint8Array(size * bytesOf(c.dtype));
      run[i]!([...given, out], { n: size });
      return check(c, fromBytes(c.dtype, out), "wasm");
    });
    expect(bad).toEqual([]);
  });

  test("f32 functions within 2 ulp over the whole range, scalar and vector alike", () => {
    const run = kernelsInWasm(functions.flatMap((op) => [mapKernel(op, "f32", ["f32"], 8), mapKernel(op, "f32", ["f32"], 1)]));
    functions.forEach((op, i) => {
      const x = inputs(op);
      const outs = [0, 1].map((k) => {
        const out = new Float32Array(x.length);
        run[2 * i + k]!([new Uint8Array(x.buffer), new Uint8Array(out.buffer)], { n: x.length });
        return out;
      });
      const [worst, at] = worstOf(op, x, outs[0]!);
      if (process.env.TREEPIE_DEBUG) console.log(op, worst.toFixed(2), at);
      expect(worst, `${op}(${at})`).toBeLessThanOrEqual(2);
      expect(Buffer.compare(Buffer.from(outs[0]!.buffer), Buffer.from(outs[1]!.buffer)), `${op} of 8 lanes and one`).toBe(0);
    });
  });
});
