import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBytes } from "../../src/core/convert.js";
import type { DType } from "../../src/core/dtype.js";
import { NdArray } from "../../src/core/ndarray.js";

/** Where the recorded PyTorch calls lie, or undefined where this machine has none. */
export function corpusFolder(): string | undefined {
  const folder = process.env["TREEPIE_OPINFO"] ?? join(import.meta.dirname, "../../../shared/parity/opinfo_f32");
  return existsSync(join(folder, "_report.json")) ? folder : undefined;
}

/** One recorded call: arguments as JSON in which tensors are `{ tensor: key }`. */
export interface Call {
  readonly input: unknown;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly out: readonly unknown[];
  readonly cotangents?: readonly { readonly tensor: string }[];
  readonly grads?: readonly ({ readonly tensor: string } | null)[];
}
/** Every recorded call of one PyTorch operator, with its tensors. */
export interface Operator {
  readonly name: string;
  readonly samples: readonly Call[];
  readonly tensors: ReadonlyMap<string, NdArray>;
}

const names: Readonly<Record<string, DType>> = {
  BOOL: "bool",
  U8: "u8",
  I8: "i8",
  I16: "i16",
  I32: "i32",
  I64: "i64",
  F16: "f16",
  BF16: "bf16",
  F32: "f32",
  F64: "f64",
};
/** The tensors of a safetensors file that is known to be sound. */
export function readTensors(bytes: Uint8Array): Map<string, NdArray> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const out = new Map<string, NdArray>();
  for (const [key, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const type = names[dtype];
    if (key === "__metadata__" || !type) continue;
    const part = bytes.slice(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
    out.set(key, new NdArray(type, shape, fromBytes(type, part)));
  }
  return out;
}

/** The recorded operators, in alphabetical order. */
export function* operators(folder: string): Generator<Operator> {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".json") || file === "_report.json") continue;
    const name = file.slice(0, -5);
    const { samples } = JSON.parse(readFileSync(join(folder, file), "utf8")) as { samples: Call[] };
    yield { name, samples, tensors: readTensors(readFileSync(join(folder, `${name}.safetensors`))) };
  }
}
