/** `wasm-compile-gpt12`: the bytes of all kernels of a 12-layer GPT's training step, made from kernels and instantiated. */
import { wasm } from "#treepie/backends/wasm/index.js";
import { compile } from "#treepie/compile/index.js";
import type { Kernel } from "#treepie/kernel/kernel.js";
import type { KernelCode } from "#treepie/runtime/program.js";
import { gpt12 } from "../gpt12.js";
import { type Case, row } from "../row.js";
import { bars } from "./bars.js";

const name = "wasm-compile-gpt12";
export const compileGpt: Case = {
  name,
  async run() {
    const record = gpt12();
    const codegen = wasm.codegen();
    const device = await wasm.open();
    let rendering = 0;
    const render = (k: Kernel): KernelCode => {
      const since = performance.now();
      const code = codegen.render(k);
      rendering += performance.now() - since;
      return code;
    };
    const begun = performance.now();
    const program = compile(record(), { ...codegen, render });
    const compiled = performance.now();
    const loaded = await device.load(program);
    const end = performance.now();
    loaded.unload();
    await device.close();
    const bytes = program.kernels.reduce((sum, k) => sum + k.source.length, 0);
    return [
      row({ suite: "web", name, metric: "bytes made and instantiated, first time", unit: "s" }, (rendering + end - compiled) / 1000, {
        lowerIsBetter: true,
        limit: 1,
        bar: bars[name],
        note: `${program.kernels.length} distinct kernels, ${bytes} bytes; with recording and lowering ${((end - begun) / 1000).toFixed(2)} s; limit is the bound of 1 s`,
      }),
    ];
  },
};
