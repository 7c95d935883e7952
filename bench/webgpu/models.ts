/** Rows of decoding with 16-bit weights. */
import { gpt2, gpt2Layers, llama1b } from "../cpu/checkpoint.js";
import { decodeCase, gpt2Shape, llamaShape, shapeOfGpt2 } from "../cpu/generation.js";
import type { Case } from "../row.js";
import { large, site } from "./site.js";

const of = { dtype: "bf16", site, variants: [] } as const;
const small = gpt2Layers(2);

export const models: readonly Case[] = [
  decodeCase({ ...of, name: "gpt2-2l-decode", kind: "gpt2-decode", checkpoint: small, shape: shapeOfGpt2(small, 2), prompt: 16 }),
  large(decodeCase({ ...of, name: "gpt2-6l-decode", kind: "gpt2-decode", checkpoint: gpt2, shape: gpt2Shape, prompt: 128 })),
  large(decodeCase({ ...of, name: "llama1b-decode", kind: "llama-decode", checkpoint: llama1b, shape: llamaShape, prompt: 32 })),
];
