/** Generation: the trained model's published text, folders and their faults, aborting, and streams of text. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { backends } from "../../src/devices.js";
import { exportPie } from "../../src/export.js";
import {
  type GenerateOptions,
  type GenerationReport,
  type LanguageModel,
  loadModel,
  loadPretrained,
  modelMethods,
  TextStream,
} from "../../src/llm/index.js";
import type { Bert } from "../../src/models/index.js";
import { HostTensor, openDevice, openSafetensors, Session } from "../../src/runtime/index.js";
import { fromBytes, noGrad, tensor } from "../../src/tensor/index.js";
import { useDevice } from "../support/devices.js";
import { hasCompiler } from "../support/kernels-in-c.js";
import { withoutWebGpu } from "../support/webgpu.js";
import { makeFolder, stories } from "./folder.js";

beforeAll(() => useDevice());

/** All tokens of a generation, and its report. */
async function tokensOf(m: LanguageModel, prompt: readonly number[], options: GenerateOptions): Promise<[number[], GenerationReport]> {
  const out: number[] = [];
  const it = m.generateTokens(prompt, options);
  for (;;) {
    const next = await it.next();
    if (next.done) return [out, next.value];
    out.push(next.value);
  }
}

const trained = stories();
const noGpu =
  (await withoutWebGpu()) ??
  (process.env["TREEPIE_FULL"]
    ? undefined
    : "it takes a software driver half a minute; TREEPIE_FULL=1 runs it, and test/webgpu another generator");
if (noGpu) console.error(`the published text on webgpu skipped: ${noGpu}`);
/** Where a device is not there, the reason is printed. */
const devices = ["js", "wasm", ...(hasCompiler() ? ["c"] : []), ...(noGpu ? [] : ["webgpu"])];
describe.skipIf(!trained)("stories260K, a trained Llama", () => {
  test.each(devices)("gives its published text on %s", { timeout: 300_000 }, async (device) => {
    const m = await loadModel(trained!, { device, maxLength: 256 });
    let text = "";
    for await (const piece of m.generate("", { maxTokens: 200 })) text += piece;
    expect(text).toBe(readFileSync(join(trained!, "expected_greedy.txt"), "utf8"));
  });
  test("has transformers' logits; in bf16 they stay near", async () => {
    const golden = openSafetensors(new Uint8Array(readFileSync(join(import.meta.dirname, "../golden/models/stories260K.safetensors"))));
    const [tokens, wanted] = ["input_ids", "logits"].map((k) => golden.read(k)) as [HostTensor, HostTensor];
    const given = fromBytes(tokens.bytes, tokens.shape, { dtype: "i64" });
    const y = new Float32Array(wanted.bytes.slice().buffer);
    const largest = y.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    for (const [dtype, near] of [
      ["f32", 1e-4],
      ["bf16", 0.05 * largest],
    ] as const) {
      const { model } = await loadModel(trained!, { dtype });
      const x = (await noGrad(() => model.forward(given))
        .to("f32")
        .data()) as Float32Array;
      expect(x.reduce((m, v, i) => Math.max(m, Math.abs(v - y[i]!)), 0)).toBeLessThan(near);
    }
  });
  test("draws the same text from the same seed, and ends at once when aborted", async () => {
    const m = await loadModel(trained!, { maxLength: 64 });
    const tell = async (seed: number): Promise<string> => {
      let text = "";
      for await (const piece of m.generate("Lily", { maxTokens: 20, temperature: 1.5, topK: 40, topP: 0.95, seed })) text += piece;
      return text;
    };
    const [a, b, c] = [await tell(1), await tell(2), await tell(1)];
    expect(a).toBe(c);
    expect(a).not.toBe(b);
    const stop = new AbortController();
    const pieces: string[] = [];
    await expect(async () => {
      for await (const piece of m.generate("Once", { signal: stop.signal })) if (pieces.push(piece) === 3) stop.abort(new Error("enough"));
    }).rejects.toThrow("enough");
    expect(pieces).toHaveLength(3);
    for await (const piece of m.generate("Once", { maxTokens: 4 })) {
      await expect(m.generate("Once").next()).rejects.toThrow(/at another generation/);
      if (piece) break;
    }
    expect(await tell(1)).toBe(a);
    await expect(m.generate("Once", { maxTokens: 64 }).next()).rejects.toThrow(/do not fit into 64 positions/);
    await expect(m.generate("Once", { topP: 2 }).next()).rejects.toThrow(/topP is 2/);
  });
});

describe("a folder", () => {
  test("in shards, in another dtype", async () => {
    const folder = makeFolder("llama3", { shardBytes: 4000 });
    expect(readdirSync(folder).length).toBeGreaterThan(3);
    const m = await loadModel(folder);
    expect(m.model.dtype).toBe("bf16");
    const [whole, shards] = [await loadModel(makeFolder("llama3"), { dtype: "f32" }), await loadModel(folder, { dtype: "f32" })];
    const prompt = [3, 1, 4, 1, 5];
    const [[a, report], [b]] = [
      await tokensOf(whole, prompt, { maxTokens: 9, stopTokens: [] }),
      await tokensOf(shards, prompt, { maxTokens: 9, stopTokens: [] }),
    ];
    expect(a).toEqual(b);
    expect(report).toMatchObject({ promptTokens: 5, tokens: 9, finished: "length" });
    const [short, stopped] = await tokensOf(whole, prompt, { maxTokens: 9, stopTokens: [a[2]!] });
    expect(short).toEqual(a.slice(0, a.indexOf(a[2]!)));
    expect(stopped.finished).toBe("stop");
    await expect(m.generate("text").next()).rejects.toThrow(/no tokenizer.json/);
    const shard = readdirSync(folder).find((f) => /-00002-of/.test(f))!;
    rmSync(join(folder, shard));
    await expect(loadModel(folder)).rejects.toThrow(shard);
  });
  test("with a fault says which", async () => {
    const spoilt = (change: NonNullable<Parameters<typeof makeFolder>[1]>["change"]): Promise<LanguageModel> =>
      loadModel(makeFolder("llama2", { ...(change && { change }) }));
    await expect(spoilt((c) => (c["model_type"] = "mamba"))).rejects.toThrow(/type "mamba"; known are llama, gpt2, bert/);
    await expect(spoilt((c) => (c["hidden_size"] = "16"))).rejects.toThrow(/hidden_size must be a whole number above 0 and is "16"/);
    await expect(spoilt((c) => (c["rope_parameters"] = { rope_type: "yarn" }))).rejects.toThrow(/rope scaling "yarn"/);
    await expect(spoilt((c) => (c["intermediate_size"] = 21))).rejects.toThrow(
      /gate_proj.weight has shape \[22, 16\], the model's is \[21, 16\]/,
    );
    await expect(spoilt((_, w) => w.delete("model.norm.weight"))).rejects.toThrow(/missing weights: model.norm.weight/);
    await expect(spoilt((_, w) => w.set("model.extra", w.get("model.norm.weight")!))).rejects.toThrow(/unexpected weights: model.extra/);
    const folder = makeFolder("llama2");
    writeFileSync(join(folder, "tokenizer.json"), "{}");
    await expect(loadModel(folder)).rejects.toThrow(/tokenizer.json of .* is no tokenizer/);
    await expect(loadModel(makeFolder("bert"))).rejects.toThrow(/holds a Bert, which does not generate/);
    const { model } = await loadPretrained(makeFolder("bert"), { dtype: "f32" });
    expect((model as Bert).forward(tensor([[1, 2]], { dtype: "i64" })).shape).toEqual([1, 2, 47]);
  });
});

test.skipIf(!trained)("a conversation is written by the folder's template", async () => {
  const folder = makeFolder("llama2");
  cpSync(join(trained!, "tokenizer.json"), join(folder, "tokenizer.json"));
  const { tokenizer } = await loadPretrained(folder);
  expect(() => tokenizer!.chat([])).toThrow(/no chat template/);
  const template =
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
  writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ bos_token: { content: "<s>" }, chat_template: template }));
  const m = await loadModel(folder);
  expect(m.tokenizer.chat([{ role: "user", content: " Hello " }])).toBe("<s>[user] Hello\n[assistant]");
  expect(m.promptTokens([{ role: "user", content: "Hello" }]).filter((t) => t === 1)).toHaveLength(1);
});

test("a text is given out when its characters are whole", () => {
  const bytes = new TextEncoder().encode("aé€b");
  const stream = new TextStream({ decode: (t) => new TextDecoder().decode(Uint8Array.from(t)) }, [120]);
  expect([...bytes].map((b) => stream.push(b))).toEqual(["a", "", "é", "", "", "€", "b"]);
  stream.push(0xe2);
  expect(stream.end()).toBe("\ufffd");
});

describe.each(devices)("a program file on %s", (name) => {
  test.each(name === "c" ? ["llama3"] : ["llama3", "gpt2"])("%s: prefill and decode share the cache", async (kind) => {
    const m = await loadModel(makeFolder(kind), { dtype: "f32", device: "js", maxLength: 20 });
    const [wanted] = await tokensOf(m, [5, 6, 7], { maxTokens: 8, stopTokens: [] });
    const { methods, options } = modelMethods(m.model, 20);
    const file = join(makeFolder(kind), "model.pie");
    const backend = await backends[name]!();
    await exportPie(file, methods, { ...options, targets: [backend.codegen()] });
    const device = await openDevice(name);
    const session = await Session.open(file, { device, trust: true });
    const prompt = new HostTensor("i64", [1, 3], new Uint8Array(BigInt64Array.of(5n, 6n, 7n).buffer));
    let { next } = await session.run("prefill", { tokens: prompt });
    const got = [Number(next!.item())];
    while (got.length < 8) {
      ({ next } = await session.run("decode", { token: [got.at(-1)!], position: 2 + got.length }));
      got.push(Number(next!.item()));
    }
    expect(got).toEqual(wanted);
    await session.dispose();
    await device.close();
  });
});
