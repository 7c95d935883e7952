/** Numbers that both sides start from: made here once, kept as raw f32 files that the peers read. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type Tensor, tensor } from "#treepie";
import { benchPath } from "./folder.js";

/** One input: f32 values on disk, which each side converts to `dtype` itself, rounding to nearest. */
export interface Input {
  readonly file: string;
  readonly shape: readonly number[];
  readonly dtype: "f32" | "bf16" | "i64";
}

/** A stream of numbers in [0, 1) that depends on the seed alone. */
export function uniform(seed: number): () => number {
  let s = (seed * 0x9e3779b1 + 0x7f4a7c15) >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function made(name: string, shape: readonly number[], dtype: Input["dtype"], next: () => number): Input {
  const n = shape.reduce((a, b) => a * b, 1);
  const file = benchPath("inputs", `${name}-${shape.join("x")}.f32`);
  if (!existsSync(file) || statSync(file).size !== 4 * n) writeFileSync(file, Float32Array.from({ length: n }, next));
  return { file, shape, dtype };
}
/** Numbers of variance `scale`², evenly spread around 0. */
export function noise(seed: number, shape: readonly number[], dtype: "f32" | "bf16" = "f32", scale = 1): Input {
  const next = uniform(seed);
  return made(`noise-${seed}-${scale}`, shape, dtype, () => (2 * next() - 1) * Math.sqrt(3) * scale);
}
/** Whole numbers from 0 up to below `end`; a share of them is -100, the label that does not count. */
export function integers(seed: number, shape: readonly number[], end: number, ignored = 0): Input {
  const next = uniform(seed);
  return made(`integers-${seed}-${end}-${ignored}`, shape, "i64", () => (next() < ignored ? -100 : Math.floor(next() * end)));
}
/** Rows with a single 1. */
export function oneHot(seed: number, rows: number, columns: number): Input {
  const next = uniform(seed);
  let at = 0;
  let hot = 0;
  return made(`onehot-${seed}`, [rows, columns], "f32", () => {
    if (at % columns === 0) hot = Math.floor(next() * columns);
    return at++ % columns === hot ? 1 : 0;
  });
}

/** The values as they are stored. */
export function valuesOf(input: Input): Float32Array {
  const bytes = readFileSync(input.file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
/** The input as our tensor. */
export const tensorOf = (input: Input): Tensor => tensor(valuesOf(input), input.shape, { dtype: input.dtype });
