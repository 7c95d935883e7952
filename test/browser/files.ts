/** Program files for tests of devices that run nothing else. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportContents } from "../../src/export.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import { modelMethods } from "../../src/llm/index.js";
import { Llama, llamaConfig } from "../../src/models/index.js";
import { encodePie, openSafetensors } from "../../src/runtime/public.js";
import { fromBytes, ones, type Tensor, zeros } from "../../src/tensor/index.js";

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

const nextMethod = (): { fn: (x: Tensor) => { y: Tensor }; inputs: { x: Tensor } } => {
  const one = ones([4]);
  return { fn: (x) => ({ y: x.add(one) }), inputs: { x: zeros([4]) } };
};
/** A file with one method, `next`: y = x + 1 of four floats. */
export async function nextFile(targets: readonly Codegen[]): Promise<Uint8Array> {
  return joined(encodePie(await exportContents({ next: nextMethod() }, { targets })));
}
/** A file with `next` and a method that takes some time, `long`: fifty products. */
export async function longFile(targets: readonly Codegen[]): Promise<Uint8Array> {
  const products = (x: Tensor): { y: Tensor } => {
    let y = x;
    for (let i = 0; i < 50; i++) y = y.matmul(x);
    return { y };
  };
  const long = { fn: products, inputs: { x: zeros([512, 512]) } };
  return joined(encodePie(await exportContents({ next: nextMethod(), long }, { targets })));
}
/** The golden Llama as `prefill` and `decode`, with 64 positions. */
export async function llamaFile(targets: readonly Codegen[]): Promise<Uint8Array> {
  const golden = openSafetensors(new Uint8Array(readFileSync(join(import.meta.dirname, "../golden/models/llama2.safetensors"))));
  const model = new Llama(llamaConfig(JSON.parse(golden.metadata["config"]!) as Record<string, unknown>));
  const prefix = "weights.";
  const weights = [...golden.tensors.keys()].filter((k) => k.startsWith(prefix));
  model.loadStateDict(
    Object.fromEntries(
      weights.map((k) => {
        const t = golden.read(k);
        return [k.slice(prefix.length), fromBytes(t.bytes, t.shape, { dtype: t.dtype })];
      }),
    ),
  );
  const { methods, options } = modelMethods(model.eval(), Math.min(64, model.context));
  return joined(encodePie(await exportContents(methods, { ...options, targets })));
}
