import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hostFunctions } from "../../src/backends/interp/host.js";
import { CompileError, NoProgramError, ShapeError } from "../../src/core/errors.js";
import { backends } from "../../src/devices.js";
import { compileMethod } from "../../src/export.js";
import { GPT } from "../../src/models/gpt/index.js";
import {
  HostTensor,
  openSafetensors,
  openSource,
  type Pie,
  type Program,
  readPie,
  Session,
  writePie,
  writeSafetensors,
} from "../../src/runtime/index.js";
import { noGrad, tensor } from "../../src/tensor/index.js";
import { openCheckpoint } from "../../src/train/checkpoint.js";
import { readProgress } from "../../src/train/progress.js";
import { builtPackage, runNode, treepie } from "../support/build.js";
import { useDevice } from "../support/devices.js";
import { hasCompiler } from "../support/kernels-in-c.js";
import { sampleText, tiny } from "./model.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);
const native = hasCompiler();
const compiled = native ? ["c", "js"] : ["js"];
const prompt = "interface Node7 { re";
const context = 16;

/** The checkpoint's model, read into this process. */
let model: GPT;
beforeAll(async () => {
  writeFileSync(at("text.txt"), sampleText());
  await treepie([
    "train",
    "--text",
    at("text.txt"),
    ...tiny,
    "--device",
    "js",
    "--out",
    at("run"),
    "--steps",
    "30",
    "--stop-at",
    "20",
    "--lr",
    "0.02",
  ]);
  const made = await treepie(["export", at("run"), "--target", compiled.join(), "--out", at("model.pie"), ...(native ? ["--binary"] : [])]);
  expect(made).toEqual({ code: 0, out: "", err: expect.stringContaining(`wrote ${at("model.pie")}\n`) });
  useDevice("js");
  const saved = openCheckpoint(at("run/checkpoint.safetensors"));
  model = new GPT(readProgress(saved.progress, "the checkpoint").config);
  saved.restore(model);
  saved.close();
  model.eval();
});

const eager = async (tokens: readonly number[]): Promise<Float32Array> =>
  (await noGrad(() => model.forward(tensor([...tokens], [1, tokens.length], { dtype: "i64" }))).data()) as Float32Array;
const greatest = (x: Float32Array): number => x.reduce((best, v, i) => (v > x[best]! ? i : best), 0);

/** What the model writes after `text` if it always takes the likeliest byte, by the decode method of a session. */
async function greedy(session: Session, text: string, count: number): Promise<number[]> {
  const tokens = [...Buffer.from(text)];
  const length = tokens.length + count;
  for (let position = 0; position + 1 < length; position++) {
    const { next } = await session.run("decode", {
      token: [tokens[position]!],
      position,
      temperature: 0,
      noise: new Float32Array(256).fill(0.5),
    });
    if (position + 1 >= tokens.length) tokens.push(Number(next!.item()));
  }
  return tokens.slice(-count);
}
/** A session of the full package: `trust` uses the file's programs, otherwise graphs are compiled. */
async function open(file: string, name: string, trust: boolean): Promise<Session> {
  const backend = await backends[name]!();
  const device = await backend.open();
  return Session.open(file, { device, trust, host: hostFunctions, compile: compileMethod(backend.codegen()) });
}
async function close(session: Session): Promise<void> {
  await session.dispose();
  await session.device.close();
}

describe("one program file", () => {
  test("gives the eager model's numbers on every device, for any size in its range", async () => {
    for (const name of ["interp", ...compiled]) {
      const session = await open(at("model.pie"), name, name !== "interp");
      for (const n of [1, 7, context]) {
        const tokens = [...Buffer.from(prompt)].slice(0, n);
        const { logits } = await session.run("logits", { tokens: HostTensor.of("i64", [1, n], tokens) });
        const expected = await eager(tokens);
        expect(logits!.shape).toEqual([1, n, 256]);
        const worst = (logits!.data as Float32Array).reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0);
        expect(worst).toBeLessThan(1e-4);
      }
      await expect(
        session.run("logits", { tokens: HostTensor.of("i64", [1, context + 1], new Array(context + 1).fill(0)) }),
      ).rejects.toThrow(ShapeError);
      await close(session);
    }
  });

  test("writes what the eager model writes, on every device, with the keys and values of earlier calls as state", async () => {
    const start = prompt.slice(0, 6);
    const expected = [...Buffer.from(start)];
    while (expected.length < context) expected.push(greatest((await eager(expected)).subarray(-256)));
    for (const name of ["interp", ...compiled])
      for (const trust of name === "interp" ? [false] : [true, false]) {
        const session = await open(at("model.pie"), name, trust);
        expect({ name, trust, tokens: await greedy(session, start, context - start.length) }).toEqual({
          name,
          trust,
          tokens: expected.slice(start.length),
        });
        await close(session);
      }
  });

  test("serves two sessions on one device that do not disturb each other", async () => {
    const [a, b] = ["export declare var x", "type T = keyof Node12"];
    const device = await (await backends["js"]!()).open();
    const make = () => Session.open(at("model.pie"), { device, trust: true, methods: ["decode"] });
    const alone = await make();
    const expected = [await greedy(alone, a, 24), undefined] as [number[], number[] | undefined];
    await alone.reset();
    expected[1] = await greedy(alone, b, 24);
    const [one, two] = [await make(), await make()];
    expect(await Promise.all([greedy(one, a, 24), greedy(two, b, 24)])).toEqual(expected);
    expect((await one.readState("cache.0.key")).bytes).not.toEqual((await two.readState("cache.0.key")).bytes);
    for (const s of [alone, one, two]) await s.dispose();
    await device.close();
  });

  test("made for other processors, or with changed code, is compiled from its graph or refused", async () => {
    const expected = await open(at("model.pie"), "js", true);
    const tokens = await greedy(expected, prompt, 8);
    await close(expected);
    const other = rewritten("other.pie", (p) => ({ ...p, key: { ...p.key, features: [...p.key.features, "warp-drive"] } }));
    const changed = rewritten("changed.pie", (p) => ({ ...p, kernels: p.kernels.map((k) => ({ ...k, source: "#error ( changed" })) }));
    for (const name of compiled) {
      for (const [file, trust] of [
        [other, true],
        [changed, false],
      ] as const) {
        const session = await open(file, name, trust);
        expect(await greedy(session, prompt, 8)).toEqual(tokens);
        await close(session);
      }
      const device = await (await backends[name]!()).open();
      await expect(Session.open(other, { device, trust: true })).rejects.toThrow(NoProgramError);
      await expect(Session.open(changed, { device })).rejects.toThrow(/not trusted/);
      await expect(Session.open(changed, { device, trust: true })).rejects.toThrow(CompileError);
      await device.close();
    }
  });
});

/** The file with its text programs changed. */
function rewritten(name: string, change: (p: Program) => Program): string {
  const source = openSource(at("model.pie"));
  const pie: Pie = readPie(source);
  const state = new Map(
    [...pie.state.values()].map((s) => {
      const bytes = new HostTensor(s.dtype, s.shape, new Uint8Array(s.shape.reduce((a, b) => a * b, 4)));
      if (s.blob !== undefined) pie.readInto(s.blob, 0, bytes.bytes);
      return [s.name, bytes] as const;
    }),
  );
  const methods = [...pie.methods.values()].map((m) => ({
    ...m,
    programs: m.programs.filter((p) => typeof p.kernels[0]!.source === "string").map(change),
  }));
  writePie(at(name), { state, methods, metadata: pie.metadata });
  source.close();
  return at(name);
}

describe("the command line", () => {
  test("inspect tells what files hold", async () => {
    const [text, kernels, json, tensors, asJson] = await Promise.all([
      treepie(["inspect", at("model.pie")]),
      treepie(["inspect", at("model.pie"), "--kernels"]),
      treepie(["inspect", at("model.pie"), "--json"]),
      treepie(["inspect", at("run/checkpoint.safetensors")]),
      treepie(["inspect", at("run/checkpoint.safetensors"), "--json"]),
    ]);
    expect(text.out).toMatch(/method logits\(tokens: i64\[1, (\w+)\]\) -> logits: f32\[1, \1, 256\] {2}where \1 in \[1, 16\]/);
    expect(text.out).toMatch(/for js any format 1: \d+ steps, \d+ distinct kernels, 0 on the host, arena/);
    expect(text.out).toMatch(/state embed\.weight {2}f32 \[256, 16\] {2}16\.0 KiB/);
    expect(kernels.out).toMatch(/\[(generated|claimed)\] kernel /);
    const pie = JSON.parse(json.out) as {
      kind: string;
      methods: { name: string; programs: { target: string }[] }[];
      state: { name: string; bytes: number }[];
    };
    expect(pie.kind).toBe("pie");
    expect(pie.methods.map((m) => m.name)).toEqual(["logits", "decode"]);
    expect(pie.methods[0]!.programs).toHaveLength(native ? 3 : 1);
    expect(pie.state.find((s) => s.name === "cache.0.key")!.bytes).toBe(context * 16 * 4);
    expect(tensors.out).toMatch(/model\.embed\.weight {2}F32 \[256, 16\]/);
    expect(JSON.parse(asJson.out)).toMatchObject({ kind: "safetensors", metadata: { format: "treepie-checkpoint" } });
    expect([text, kernels, json, tensors, asJson].map((x) => [x.code, x.err])).toEqual(new Array(5).fill([0, ""]));
  });

  test("run takes and gives tensors", async () => {
    const tokens = [...Buffer.from(prompt)].slice(0, 5);
    writeSafetensors(at("in.safetensors"), new Map([["tokens", HostTensor.of("i64", [1, 5], tokens)]]));
    const common = ["run", at("model.pie"), "logits", "--device", "js"];
    const [whole, text, json, lacking] = await Promise.all([
      treepie([...common, "--input", at("in.safetensors"), "--out", at("out.safetensors"), "--trust"]),
      treepie([...common, "--input", at("in.safetensors")]),
      treepie([...common, "--input", at("in.safetensors"), "--json"]),
      treepie(common),
    ]);
    expect(whole).toEqual({ code: 0, out: "", err: "" });
    const file = openSafetensors(at("out.safetensors"));
    const expected = await eager(tokens);
    const logits = file.read("logits").data as Float32Array;
    file.close();
    for (const [i, v] of logits.entries()) expect(Math.abs(v - expected[i]!)).toBeLessThan(1e-4);
    expect(text.out).toMatch(/^logits: f32 \[1, 5, 256\] .*\(1280 elements; --out FILE writes all\)\n$/);
    expect((JSON.parse(json.out) as { logits: { data: string[] } }).logits.data.map(Number)).toEqual([...logits]);
    expect(lacking).toEqual({ code: 1, out: "", err: expect.stringMatching(/ArgumentError: logits needs the input tokens: i64\[1, /) });
  });

  test("generate needs trust for code, and otherwise compiles the graph", async () => {
    const common = ["generate", at("model.pie"), "--prompt", prompt, "--max-tokens", "12", "--temperature", "0", "--json"];
    const all = await Promise.all([
      ...compiled.map((name) => treepie([...common, "--trust", "--device", name])),
      treepie([...common, "--device", "js"]),
      treepie([...common, "--trust"], { env: { CC: "false" } }),
    ]);
    const texts = all.map((x) => (JSON.parse(x.out) as { text: string; tokens: number }).text);
    expect(new Set(texts).size).toBe(1);
    expect(all.at(-2)!.err).toMatch(
      /^treepie: .*model\.pie is not trusted \(--trust runs the code that it carries\): its graph is compiled\n$/,
    );
    // Without a compiler the file's machine code still runs.
    expect((JSON.parse(all.at(-1)!.out) as { device: string }).device).toBe(compiled[0]);
  });

  test("export compiles a program file's graphs for other targets", async () => {
    expect((await treepie(["export", at("model.pie"), "--target", "js", "--out", at("again.pie")])).code).toBe(0);
    const source = openSource(at("again.pie"));
    expect(readPie(source).keys.map((k) => k.backend)).toEqual(["js"]);
    source.close();
    const session = await open(at("again.pie"), "js", true);
    const original = await open(at("model.pie"), "js", true);
    expect(await greedy(session, prompt, 8)).toEqual(await greedy(original, prompt, 8));
    await close(session);
    await close(original);
  });
});

/** Modules of the package that a process loaded, from what V8 counted there. */
function modulesOf(coverage: string): string[] {
  const urls = readdirSync(coverage).flatMap((f) =>
    (JSON.parse(readFileSync(join(coverage, f), "utf8")) as { result: { url: string }[] }).result.map((r) => r.url),
  );
  const dist = join(builtPackage(), "dist/");
  return urls
    .filter((u) => u.startsWith("file:"))
    .map((u) => fileURLToPath(u))
    .flatMap((p) => (p.startsWith(dist) ? [p.slice(dist.length)] : [p.replace(/^.*node_modules\//, "")]));
}

test("a process with the runtime alone loads nothing of the compiler, and says what it lacks", async () => {
  for (const name of compiled) {
    const coverage = at(`coverage-${name}`);
    const main = join(builtPackage(), "dist/cli/generate-main.js");
    const child = await runNode([main, at("model.pie"), "--device", name, "--seed", "1", "--max-tokens", "5"], {
      env: { NODE_V8_COVERAGE: coverage },
    });
    expect({ code: child.code, err: child.err }).toEqual({ code: 0, err: "" });
    const modules = modulesOf(coverage);
    expect(modules).toContain("runtime/session.js");
    expect([...new Set(modules.map((m) => m.split("/")[0]))].filter((f) => f !== "koffi" && f !== "@koromix").sort()).toEqual([
      "backends",
      "cli",
      "core",
      "runtime",
    ]);
    expect(modules.some((m) => m.startsWith("koffi"))).toBe(name === "c");
    expect(new Set(modules.filter((m) => m.startsWith("backends/")).map((m) => m.split("/")[1]))).toEqual(new Set([name]));
  }
  const script = at("runtime.mjs");
  writeFileSync(
    script,
    `import { openDevice, Session } from ${JSON.stringify(join(builtPackage(), "dist/runtime/index.js"))};
const device = await openDevice("js");
const outcome = (options) => Session.open(${JSON.stringify(at("other.pie"))}, { device, ...options }).then(() => "opened", (e) => e.name + ": " + e.message);
console.log(await outcome({ trust: true }));`,
  );
  const refused = await runNode([script]);
  expect(refused.out).toMatch(
    /^NoProgramError: .*other\.pie holds no program of logits that may run on js any format 1\. Found: .*warp-drive.*treepie export .*other\.pie --target js/,
  );
});
