/** Folders with faults and generations that end early: each has its own error, and the models that were loaded before go on. */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { ArgumentError, FileError, FormatError, ShapeError, type TreepieError, UnsupportedError } from "../../src/core/errors.js";
import { type LanguageModel, loadModel } from "../../src/llm/index.js";
import { HostTensor } from "../../src/runtime/index.js";
import { useDevice } from "../support/devices.js";
import { makeFolder } from "./folder.js";

let good: LanguageModel;
let wanted: number[];
beforeAll(async () => {
  useDevice();
  good = await loadModel(makeFolder("llama3"), { dtype: "f32", maxLength: 24 });
  wanted = await six();
});
async function six(): Promise<number[]> {
  const out: number[] = [];
  for await (const token of good.generateTokens([3, 1, 4], { maxTokens: 6, stopTokens: [] })) out.push(token);
  return out;
}

type Change = NonNullable<NonNullable<Parameters<typeof makeFolder>[1]>["change"]>;
const spoilt = (change: Change) => (): string => makeFolder("llama3", { change });
const withFile = (name: string, text: string) => (): string => {
  const folder = makeFolder("llama3");
  writeFileSync(join(folder, name), text);
  return folder;
};
function withoutShard(): string {
  const folder = makeFolder("llama3", { shardBytes: 4000 });
  rmSync(join(folder, readdirSync(folder).find((f) => /-00002-of/.test(f))!));
  return folder;
}
const faults: readonly (readonly [string, () => string, new (message: string) => TreepieError, RegExp])[] = [
  ["a missing shard", withoutShard, FileError, /has no model-00002-of-\d+\.safetensors, which its/],
  [
    "a wrong shape",
    spoilt((_, w) => w.set("model.norm.weight", new HostTensor("bf16", [3], new Uint8Array(6)))),
    ShapeError,
    /wrong shapes: model\.norm\.weight has shape \[3\], the model's is \[\d+\]/,
  ],
  ["an unknown architecture", spoilt((c) => (c["model_type"] = "mamba")), UnsupportedError, /type "mamba"; known are llama, gpt2, bert/],
  ["no architecture", spoilt((c) => delete c["model_type"]), UnsupportedError, /type null/],
  ["a missing weight", spoilt((_, w) => w.delete("model.norm.weight")), ArgumentError, /missing weights: model\.norm\.weight/],
  [
    "an unexpected weight",
    spoilt((_, w) => w.set("model.extra.weight", new HostTensor("bf16", [1], new Uint8Array(2)))),
    ArgumentError,
    /unexpected weights: model\.extra\.weight/,
  ],
  ["a config that is not JSON", withFile("config.json", "{"), FormatError, /config\.json/],
  ["a tokenizer that is not JSON", withFile("tokenizer.json", "[1,"), FormatError, /tokenizer\.json/],
  [
    "a tokenizer of no known kind",
    withFile("tokenizer.json", '{"model": {"type": "Guess"}}'),
    FormatError,
    /tokenizer\.json of .* is no tokenizer/,
  ],
];
test.each(faults)("a folder with %s", async (_, folder, type, message) => {
  const error = await loadModel(folder()).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(type);
  expect((error as Error).message).toMatch(message);
  expect(await six()).toEqual(wanted);
});

test("a prompt that does not fit, and an answer that does not", async () => {
  const tokens = (n: number): number[] => Array.from({ length: n }, () => 1);
  for (const [prompt, maxTokens] of [
    [tokens(25), undefined],
    [tokens(20), 6],
  ] as const) {
    const error = await good
      .generateTokens(prompt, maxTokens === undefined ? {} : { maxTokens })
      .next()
      .then(
        () => undefined,
        (e: unknown) => e,
      );
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(/do not fit into 24 positions; shorten them, or load the model with a greater maxLength/);
  }
  expect(await six()).toEqual(wanted);
  const whole: number[] = [];
  for await (const token of good.generateTokens(tokens(20), { maxTokens: 5, stopTokens: [] })) whole.push(token);
  expect(whole).toHaveLength(5);
});
test("an abort before, in the middle, and a consumer that leaves", async () => {
  const stop = new AbortController();
  const got: number[] = [];
  await expect(async () => {
    for await (const token of good.generateTokens([3, 1, 4], { maxTokens: 6, stopTokens: [], signal: stop.signal }))
      if (got.push(token) === 2) stop.abort(new Error("enough"));
  }).rejects.toThrow("enough");
  expect(got).toEqual(wanted.slice(0, 2));
  await expect(good.generateTokens([3, 1, 4], { signal: stop.signal }).next()).rejects.toThrow("enough");
  for await (const token of good.generateTokens([3, 1, 4], { maxTokens: 6, stopTokens: [] })) {
    expect(token).toBe(wanted[0]);
    break;
  }
  expect(await six()).toEqual(wanted);
});
