/** `wasm-gpt2-6l-decode-f32`: tokens of one generation on wasm and on our own c, in turn. */
import { closeDevices, llm } from "#treepie";
import { checkpointFolder, gpt2 } from "../cpu/checkpoint.js";
import { type Case, median, row } from "../row.js";
import { bars } from "./bars.js";

const name = "wasm-gpt2-6l-decode-f32";
const [prompt, tokens, rounds] = [128, 32, 3];

export const decode: Case = {
  name,
  async run() {
    const folder = checkpointFolder(gpt2);
    const given = Array.from({ length: prompt }, (_, i) => (i * 7919) % 50257);
    const sides: { readonly model: llm.LanguageModel; readonly rates: number[]; readonly text: string[] }[] = [];
    try {
      for (const device of ["wasm", "c"]) {
        const model = await llm.loadModel(folder, { device, dtype: "f32", weights: "copied", maxLength: 256 });
        sides.push({ model, rates: [], text: [] });
      }
      for (let i = 0; i <= rounds; i++)
        for (const s of sides) {
          const out: number[] = [];
          const it = s.model.generateTokens(given, { maxTokens: tokens });
          for (;;) {
            const next = await it.next();
            if (next.done) {
              if (i > 0) s.rates.push((next.value.tokens - 1) / next.value.decodeSeconds);
              break;
            }
            out.push(next.value);
          }
          s.text.push(out.join());
        }
      const [ours, c] = sides.map((s) => median(s.rates)) as [number, number];
      if (new Set(sides.flatMap((s) => s.text)).size !== 1) throw new Error("wasm and c generate different tokens");
      const head = { suite: "web", name, metric: `greedy decoding after ${prompt} tokens`, unit: "tokens/s" };
      return [row(head, ours, { peers: [{ name: "our c", value: c }], bar: bars[name] })];
    } finally {
      await closeDevices();
    }
  },
};
