/** Our side of a contest. */
import { compile, evaluate, noGrad, type Tensor } from "#treepie";
import type { Runner } from "./contest.js";

/** Values of tensors, one after another. */
export async function joined(tensors: readonly Tensor[]): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (const t of tensors) parts.push((await t.to("f32").data()) as Float32Array);
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** A function without state as one program; what it closes over stays as it is. */
export function pure(f: (...args: Tensor[]) => Tensor, args: readonly Tensor[]): Runner {
  const g = compile(f);
  const once = async (): Promise<Tensor> => {
    const y = noGrad(() => g(...args));
    await evaluate(y);
    return y;
  };
  return {
    values: async () => {
      (await once()).dispose();
      return joined([await once()]);
    },
    async run(calls) {
      // One result at a time, as at the peers: two that take turns are half as much memory again, which no cache holds.
      for (let i = 0; i < calls; i++) (await once()).dispose();
    },
  };
}
/** Steps that change state; each gives its loss, which is waited for. `values` are those of the first steps. */
export const stepper = (step: () => Tensor, first: number): Runner => ({
  async values() {
    const losses: number[] = [];
    for (let i = 0; i < first; i++) losses.push(await step().item());
    return Float32Array.from(losses);
  },
  async run(calls) {
    for (let i = 0; i < calls; i++) await step().item();
  },
});
