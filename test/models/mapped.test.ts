/** Weights that stay in their files: counted, copied before they change, and not used when the file was changed. */
import { appendFileSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type LanguageModel, loadModel } from "../../src/llm/index.js";
import { HostTensor } from "../../src/runtime/index.js";
import { evaluate, memory, noGrad, tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { hasCompiler } from "../support/kernels-in-c.js";
import { makeFolder } from "./folder.js";

beforeAll(() => useDevice());

/** A Llama whose embedding is large enough to be mapped. */
function folderOf(): { folder: string; file: string; large: number; small: number } {
  const bytes = { large: 0, small: 0 };
  const folder = makeFolder("llama2", {
    change: (config, weights) => {
      config["vocab_size"] = 4096;
      const key = "model.embed_tokens.weight";
      const w = weights.get(key)!;
      const data = Buffer.concat(Array.from({ length: Math.ceil(4096 / w.shape[0]!) }, () => w.bytes));
      const [rows, width] = [4096, w.shape[1]!];
      weights.set(key, new HostTensor(w.dtype, [rows, width], new Uint8Array(data.subarray(0, (w.bytes.length / w.shape[0]!) * rows))));
      for (const x of weights.values()) bytes[x.bytes.length >= 1 << 16 ? "large" : "small"] += x.bytes.length;
    },
  });
  return { folder, file: join(folder, "model.safetensors"), ...bytes };
}
const logits = async (m: LanguageModel): Promise<Float32Array> =>
  (await noGrad(() => m.model.forward(tensor([[1, 5, 9]], { dtype: "i64" })).to("f32")).data()) as Float32Array;

describe.skipIf(!hasCompiler())("on a device that maps files", () => {
  test("large weights stay in the file, and give what copied ones give", async () => {
    const { folder, large, small } = folderOf();
    const [m, copied] = [await loadModel(folder, { device: "c" }), await loadModel(folder, { device: "js" })];
    const weights = (x: LanguageModel): unknown => ({ mapped: x.weights.mapped, copied: x.weights.copied });
    expect(large).toBeGreaterThan(0);
    expect(weights(m)).toEqual({ mapped: large, copied: small });
    expect(weights(copied)).toEqual({ mapped: 0, copied: large + small });
    const [a, b] = [await logits(m), await logits(copied)];
    expect(a.length).toBe(3 * 4096);
    expect(a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0)).toBeLessThan(0.02);
    const held = memory.report().devices.find((d) => d.device === "c")!;
    expect(held.mappedBytes).toBeGreaterThanOrEqual(large);
  });
  test("weights may be copied instead, to the same values; nothing stays mapped", async () => {
    const { folder, large, small } = folderOf();
    const [m, mapped] = [await loadModel(folder, { device: "c", weights: "copied" }), await loadModel(folder, { device: "c" })];
    expect([m.weights.mapped, m.weights.copied]).toEqual([0, large + small]);
    expect(await logits(m)).toEqual(await logits(mapped));
  });
  test("another dtype is converted once, and the file is let go", async () => {
    const { folder, large, small } = folderOf();
    const m = await loadModel(folder, { device: "c", dtype: "f16" });
    expect([m.weights.mapped, m.weights.copied]).toEqual([0, large + small]);
    await memory.collect();
    expect(m.model.dtype).toBe("f16");
    expect((await logits(m)).every(Number.isFinite)).toBe(true);
  });
  test("a weight is copied before it changes; the file stays as it is", async () => {
    const { folder, file } = folderOf();
    const before = readFileSync(file);
    const m = await loadModel(folder, { device: "c" });
    const weight = m.model.parameters().find((p) => p.shape[0] === 4096)!;
    const old = Float32Array.from((await weight.to("f32").data()) as Float32Array);
    const view = weight.detach();
    noGrad(() => weight.mul_(2));
    await evaluate(weight);
    expect(Array.from((await view.to("f32").data()) as Float32Array)).toEqual(Array.from(old, (x) => 2 * x));
    expect(readFileSync(file).equals(before)).toBe(true);
    const again = await loadModel(folder, { device: "c" });
    const same = again.model.parameters().find((p) => p.shape[0] === 4096)!;
    expect(Array.from((await same.to("f32").data()) as Float32Array)).toEqual(Array.from(old));
  });
  test("a file that was changed after it was mapped is an error; one that was replaced is not", async () => {
    const { folder, file } = folderOf();
    const m = await loadModel(folder, { device: "c" });
    const first = async (): Promise<number | undefined> => {
      for await (const token of m.generateTokens([1, 2], { maxTokens: 1, stopTokens: [] })) return token;
      return undefined;
    };
    const wanted = await first();
    const bytes = readFileSync(file);
    writeFileSync(`${file}.new`, bytes);
    renameSync(`${file}.new`, file);
    expect(await first()).toBe(wanted);

    const other = await loadModel(folder, { device: "c" });
    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    await expect(other.generateTokens([1, 2]).next()).rejects.toThrow(/model.safetensors was changed after it was opened/);
    expect(await first()).toBe(wanted);
    appendFileSync(file, "more");
    await expect(loadModel(folder, { device: "c" })).rejects.toThrow(/the last tensor ends at byte/);
    writeFileSync(file, bytes.subarray(0, bytes.length - 100));
    await expect(loadModel(folder, { device: "c" })).rejects.toThrow(/model.safetensors/);
    expect(await first()).toBe(wanted);
  });
  test("weights that do not lie at whole elements are copied", async () => {
    const { folder, file, large, small } = folderOf();
    // A header of odd length: every tensor then begins at an odd byte.
    const bytes = readFileSync(file);
    const length = Number(bytes.readBigUInt64LE(0));
    const odd = Buffer.concat([bytes.subarray(0, 8 + length), Buffer.from(" "), bytes.subarray(8 + length)]);
    odd.writeBigUInt64LE(BigInt(length + 1), 0);
    writeFileSync(file, odd);
    const m = await loadModel(folder, { device: "c" });
    expect([m.weights.mapped, m.weights.copied]).toEqual([0, large + small]);
    expect((await logits(m)).every(Number.isFinite)).toBe(true);
  });
});
