/** For tests: renders kernels as WebAssembly and calls them on plain bytes, without a device. */
import { webAssembly } from "../../src/backends/wasm/api.js";
import { withoutSharing } from "../../src/backends/wasm/asm/module.js";
import { render } from "../../src/backends/wasm/codegen.js";
import { engine } from "../../src/backends/wasm/engine.js";
import { evaluate } from "../../src/core/expr.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import type { RunKernel } from "./kernels-in-c.js";

const guard = 64;

/** Kernels as functions on copies of the buffers in one memory; bytes around a buffer must stay as they are. */
export function kernelsInWasm(kernels: readonly Kernel[], relaxed = false): RunKernel[] {
  const memory = new webAssembly.Memory({ initial: 1, maximum: 65536 });
  return kernels.map((k) => {
    const code = render(k, { relaxed });
    const module = new webAssembly.Module(withoutSharing(code.source as Uint8Array));
    const { k: run } = new webAssembly.Instance(module, { m: { memory }, f: engine() }).exports;
    return (buffers, dims = {}) => {
      let end = 4096;
      const at = buffers.map((b) => {
        const here = end + guard;
        end = Math.ceil((here + b.length + guard) / 64) * 64;
        return here;
      });
      const scratch = end;
      const bytes = scratch + Number(code.sharedBytes) + guard;
      if (bytes > memory.buffer.byteLength) memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / 65536));
      const all = new Uint8Array(memory.buffer);
      all.fill(0xa5);
      new Uint32Array(memory.buffer).set([...at, ...k.dims.map((d) => evaluate(d, dims))]);
      buffers.forEach((b, i) => {
        all.set(b, at[i]);
      });
      run!(0, 0, evaluate(k.grid, dims), scratch);
      buffers.forEach((b, i) => {
        const [from, to] = [at[i]!, at[i]! + b.length];
        if ([...all.subarray(from - guard, from), ...all.subarray(to, to + guard)].some((x) => x !== 0xa5))
          throw new Error(`kernel ${k.name} wrote outside buffer ${i}`);
        b.set(all.subarray(from, to));
      });
      if (all.subarray(scratch + Number(code.sharedBytes)).some((x) => x !== 0xa5))
        throw new Error(`kernel ${k.name} wrote beyond its scratch`);
    };
  });
}
