import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fuzzRuns, mutate, mutateJson, random, tripled } from "../../test/support/programs.js";
import { openJs } from "../backends/js/device.js";
import { openNull } from "../backends/null/device.js";
import { ArgumentError, DTypeError, FormatError, NoProgramError, ShapeError, TreepieError } from "../core/errors.js";
import type { Device } from "./device.js";
import { openSource } from "./file.js";
import { align, type PieMethod, preludeBytes, readPie } from "./pie.js";
import { encodePie, writePie } from "./pie-write.js";
import type { Program, TargetKey } from "./program.js";
import { Session } from "./session.js";
import { HostTensor } from "./tensor.js";

const key = (backend: string, features: string[] = []): TargetKey => ({ backend, arch: "any", features, format: 1 });
const methodOf = (...programs: Program[]): PieMethod => {
  const p = programs[0] ?? tripled(key("js"));
  const ports = (list: Program["inputs"]) => list.map(({ name, type }) => ({ name, type }));
  return {
    name: "triple",
    dims: p.dims,
    inputs: ports(p.inputs),
    outputs: ports(p.outputs),
    state: ["calls"],
    graph: "the graph",
    programs,
  };
};
const state = new Map([["calls", HostTensor.of("f32", [1], [100])]]);
const fileOf = (...programs: Program[]): Uint8Array =>
  new Uint8Array(Buffer.concat(encodePie({ state, methods: [methodOf(...programs)], metadata: { about: "a test" } })));
const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a session on a .pie file", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openJs(undefined, { guard: true });
  });
  afterAll(async () => {
    await device.sync();
    await device.close();
    expect(device.counters.bytes).toBe(0);
  });

  test("what is written is what is read", () => {
    const path = join(folder, "a.pie");
    const programs = [tripled(key("js")), tripled(key("c", ["avx2"]))];
    writePie(path, { producer: "test", state, methods: [methodOf(...programs)], metadata: { about: "a test" } });
    const source = openSource(path);
    const pie = readPie(source);
    expect(pie.methods.get("triple")!.programs).toEqual(programs);
    expect(pie.methods.get("triple")!.graph).toBe("the graph");
    expect(pie.metadata).toEqual({ about: "a test" });
    expect(pie.keys).toEqual(programs.map((p) => p.key));
    source.close();
  });

  test("runs methods by name, keeps state between calls, and gives everything back", async () => {
    const path = join(folder, "b.pie");
    writePie(path, { state, methods: [methodOf(tripled(key("js")))] });
    const before = device.counters.bytes;
    const session = await Session.open(path, { device, trust: true });
    expect(session.methods).toEqual(["triple"]);
    for (const n of [0, 1, 5, 5000]) {
      const x = Float32Array.from({ length: n }, (_, i) => i);
      expect((await session.run("triple", { x }))["y"]!.data).toEqual(x.map((v) => v * 6));
      expect(session.runSync("triple", { x })["y"]!.shape).toEqual([n]);
    }
    expect((await session.readState("calls")).item()).toBe(108);
    session.writeState("calls", HostTensor.of("f32", [1], [7]));
    const all = await Promise.all([1, 2, 3].map((v) => session.run("triple", { x: [v] })));
    expect(all.map((r) => r["y"]!.item())).toEqual([6, 12, 18]);
    expect((await session.readState("calls")).item()).toBe(10);
    await session.reset();
    expect((await session.readState("calls")).item()).toBe(100);
    await session.dispose();
    expect(device.counters.bytes).toBeLessThanOrEqual(before + 20_480 * 2);
    await expect(session.run("triple", { x: [1] })).rejects.toThrow(/disposed/);
  });

  test("wrong calls are typed errors that name the input", async () => {
    const session = await Session.open(fileOf(tripled(key("js"))), { device, trust: true });
    const run = (inputs: Record<string, HostTensor | number>) => session.run("triple", inputs);
    await expect(session.run("nope")).rejects.toThrow(ArgumentError);
    await expect(run({})).rejects.toThrow(/needs the input x: f32\[n: 0\.\.16777216\]/);
    await expect(run({ x: HostTensor.of("f32", [1], [1]), z: 1 })).rejects.toThrow(/no input z/);
    await expect(run({ x: HostTensor.of("f64", [1], [1]) })).rejects.toThrow(DTypeError);
    await expect(run({ x: HostTensor.of("f32", [1, 1], [1]) })).rejects.toThrow(ShapeError);
    await expect(run({ x: 1 })).rejects.toThrow(/x takes shape \[n\] and was given \[\]/);
    expect(() => session.writeState("calls", HostTensor.of("f32", [2], [1, 2]))).toThrow(ShapeError);
    await session.dispose();
  });

  test("code runs only where the file is trusted", async () => {
    const file = fileOf(tripled(key("js")));
    await expect(Session.open(file, { device })).rejects.toThrow(NoProgramError);
    await expect(Session.open(file, { device })).rejects.toThrow(/not trusted: pass trust: true/);
    const pin = createHash("sha256").update(file).digest("hex");
    const session = await Session.open(file, { device, trust: pin });
    expect((await session.run("triple", { x: [2] }))["y"]!.item()).toBe(12);
    await session.dispose();
    await expect(Session.open(file, { device, trust: pin.replace(/^./, (c) => (c === "0" ? "1" : "0")) })).rejects.toThrow(
      /not the pinned/,
    );
    await expect(Session.open(file, { device, trust: "yes" })).rejects.toThrow(ArgumentError);
    // The compiler's program is used instead of the file's.
    const graphs: string[] = [];
    const compile = (m: PieMethod): Program => {
      graphs.push(m.graph);
      return tripled(key("js"));
    };
    const own = await Session.open(file, { device, compile });
    expect(graphs).toEqual(["the graph"]);
    expect((await own.run("triple", { x: [3] }))["y"]!.item()).toBe(18);
    await own.dispose();
  });

  test("changed code does not run: its hash gives it away, and a new hash needs new trust", async () => {
    const file = fileOf(tripled(key("js")));
    const at = Buffer.from(file).indexOf("f(0)[0] += 1");
    const changed = file.slice();
    changed[at + 11] = "9".charCodeAt(0);
    await expect(Session.open(changed, { device, trust: true })).rejects.toThrow(/damaged/);
    const rebuilt = rebuild(
      file,
      (header) => header,
      (text) => text.replace("f(0)[0] += 1", "f(0)[0] += 9"),
    );
    await expect(Session.open(rebuilt, { device })).rejects.toThrow(NoProgramError);
    await expect(Session.open(rebuilt, { device, trust: createHash("sha256").update(file).digest("hex") })).rejects.toThrow(FormatError);
  });

  test("a file made for other features compiles from its graph, or names what it has and what would help", async () => {
    const file = fileOf(tripled(key("js", ["warp-drive"])), tripled(key("c", ["avx2"])));
    const failure = await Session.open(file, { device, trust: true }).catch((e: Error) => e);
    expect(failure).toBeInstanceOf(NoProgramError);
    expect((failure as Error).message).toMatch(/js any \(warp-drive\) format 1; c any \(avx2\) format 1.*treepie export .* --target js/);
    const session = await Session.open(file, { device, trust: true, compile: () => tripled(key("js")) });
    expect((await session.run("triple", { x: [1] }))["y"]!.item()).toBe(6);
    await session.dispose();
    const other = { ...tripled(key("js")), outputs: [] };
    await expect(Session.open(file, { device, compile: () => other })).rejects.toThrow(TreepieError);
  });

  test("an abort before or during opening is honoured", async () => {
    const signal = AbortSignal.abort(new Error("stop"));
    await expect(Session.open(fileOf(tripled(key("js"))), { device, trust: true, signal })).rejects.toThrow("stop");
    const session = await Session.open(fileOf(tripled(key("js"))), { device, trust: true });
    await expect(session.run("triple", { x: [1] }, { signal })).rejects.toThrow("stop");
    await session.dispose();
  });
});

/** Takes a file apart, changes its header or its programs, and puts it together with right lengths and hashes. */
function rebuild(
  file: Uint8Array,
  changeHeader: (header: Record<string, unknown>) => unknown,
  changeProgram: (text: string) => string,
): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset);
  const length = Number(view.getBigUint64(16, true));
  const header = JSON.parse(Buffer.from(file.subarray(preludeBytes, preludeBytes + length)).toString()) as {
    blobs: { offset: number; bytes: number; sha256: string }[];
    methods: { programs: number[] }[];
  };
  const begin = align(preludeBytes + length);
  const programs = new Set(header.methods.flatMap((m) => m.programs));
  let end = 0;
  const blobs = header.blobs.map((b, i) => {
    let bytes: Uint8Array = file.slice(begin + b.offset, begin + b.offset + b.bytes);
    if (programs.has(i)) bytes = Buffer.from(changeProgram(Buffer.from(bytes).toString()));
    const offset = align(end);
    end = offset + bytes.length;
    header.blobs[i] = { offset, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
    return { offset, bytes };
  });
  const text = Buffer.from(JSON.stringify(changeHeader(header)));
  const out = new Uint8Array(align(preludeBytes + text.length) + end);
  out.set(file.subarray(0, preludeBytes));
  new DataView(out.buffer).setBigUint64(16, BigInt(text.length), true);
  out.set(text, preludeBytes);
  for (const b of blobs) out.set(b.bytes, align(preludeBytes + text.length) + b.offset);
  return out;
}

test("mutated .pie files are refused with nothing allocated, or run within their buffers", async () => {
  const device = await openNull(undefined, {});
  const program: Program = {
    ...tripled(key("null")),
    steps: [
      ...tripled(key("null")).steps,
      {
        kind: "host",
        call: "neg",
        payload: "{}",
        inputs: [1],
        outputs: [2],
        inputTypes: [tripled(key("js")).inputs[0]!.type],
        outputTypes: [tripled(key("js")).inputs[0]!.type],
      },
    ],
  };
  const original = fileOf(program);
  const next = random(11);
  const runs = fuzzRuns(10_000);
  let refused = 0;
  for (let i = 0; i < runs; i++) {
    const kind = next();
    const file =
      kind < 0.4
        ? mutate(original, next)
        : rebuild(
            original,
            (h) => (kind < 0.65 ? mutateJson(h, next) : h),
            (t) => (kind < 0.65 ? t : JSON.stringify(mutateJson(JSON.parse(t), next))),
          );
    const held = device.counters.bytes;
    try {
      const session = await Session.open(file, { device });
      try {
        const { inputs } = session.program("triple");
        await session.run(
          "triple",
          Object.fromEntries(
            inputs.map((p) => [
              p.name,
              HostTensor.of(
                p.type.dtype,
                p.type.shape.map(() => 1),
                [1],
              ),
            ]),
          ),
        );
      } finally {
        await session.dispose();
      }
    } catch (error) {
      if (!(error instanceof TreepieError)) throw error;
      refused++;
    }
    if (device.counters.bytes !== held) await device.sync();
    if (device.counters.bytes > held) throw new Error(`file ${i} left ${device.counters.bytes - held} bytes`);
  }
  expect(refused).toBeGreaterThan(runs / 2);
  await device.close();
});
