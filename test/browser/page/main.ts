/** What the tests of a browser run in a page, or in a Web Worker: `globalThis.tests`, or one function for each message. */
import { wasm } from "../../../src/backends/wasm/index.js";
import { webgpu } from "../../../src/backends/webgpu/index.js";
import type { DType } from "../../../src/core/dtype.js";
import "../../../src/ops/index.js";
import type { Backend } from "../../../src/kernel/codegen.js";
import { closeDevices, llm, setThreads } from "../../../src/page.js";
import { openDevice } from "../../../src/runtime/page.js";
import { allCases } from "../../conformance/cases.js";
import { judge } from "../../conformance/judge.js";
import { runAll } from "../../conformance/run.js";
import { type Failure, failures as failuresOf } from "./failures.js";
import { decode, openRunClose, type Steady } from "./steady.js";

/** What a conformance run found. */
export interface Conformance {
  readonly cases: number;
  readonly compared: number;
  readonly notCompared: number;
  readonly problems: readonly string[];
  /** What the device has above the least. */
  readonly features: readonly string[];
}
interface ConformanceOptions {
  readonly device?: "wasm" | "webgpu";
  readonly dtypes?: readonly DType[];
  readonly ops?: readonly string[];
  readonly threads?: number;
  readonly samples?: number;
  readonly derivatives?: boolean;
}
async function conformance(o: ConformanceOptions): Promise<Conformance> {
  const backend: Backend = o.device === "webgpu" ? webgpu : wasm;
  const { cases, failed } = allCases({
    ...(o.ops && { ops: o.ops }),
    ...(o.samples && { samples: o.samples }),
    ...(o.dtypes && { dtypes: new Set(o.dtypes) }),
    derivatives: o.derivatives ? ["f32"] : [],
  });
  const settings = o.threads ? { threads: o.threads } : {};
  const device = await backend.open(settings);
  const codegen = backend.codegen(settings);
  const problems = failed.map((f) => `${f.name}: ${f.why}`);
  const { results, broken } = await runAll(cases, codegen, device, 100);
  problems.push(...broken.map((b) => `${b.case.name}: ${b.why}`));
  let compared = 0;
  let notCompared = 0;
  for (const [c, got] of results) {
    const found = judge(c, got, codegen.target.ieee);
    compared += got.length;
    notCompared += found.notCompared.length;
    problems.push(...found.wrong);
  }
  await device.close();
  return { cases: cases.length, compared, notCompared, problems, features: device.key.features };
}

/** A text that a model of the server continues, and how its weights came. */
async function generate(o: { url: string; tokens: number; device?: string; threads?: number }): Promise<string> {
  if (o.threads) setThreads(o.threads);
  const model = await llm.loadModel(o.url, { maxLength: 256, ...(o.device && { device: o.device }) });
  let text = "";
  for await (const piece of model.generate("", { maxTokens: o.tokens })) text += piece;
  await closeDevices();
  return text;
}

/** Bytes of JavaScript's heap after a collection. */
async function heap(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) {
    gc!();
    await new Promise((done) => setTimeout(done, 20));
  }
  return (performance as unknown as { memory: { usedJSHeapSize: number } }).memory.usedJSHeapSize;
}
/** Repeated work on a file of the server. */
async function steady(o: { url: string; kind: "openRunClose" | "decode"; rounds: number; device?: string }): Promise<Steady> {
  const file = new Uint8Array(await (await fetch(o.url)).arrayBuffer());
  return { openRunClose, decode }[o.kind]({ file, rounds: o.rounds, open: () => openDevice(o.device ?? "wasm"), heap });
}
/** What goes wrong with a file of the server, and works after it. */
async function failures(url: string): Promise<Readonly<Record<string, Failure>>> {
  return failuresOf(new Uint8Array(await (await fetch(url)).arrayBuffer()));
}
/** Whole devices opened and closed, each of which has a memory of its own. */
async function devices(rounds: number): Promise<number> {
  for (let i = 0; i < rounds; i++) {
    const device = await openDevice("wasm");
    const a = device.alloc(1 << 16);
    device.write(a, 0, new Uint8Array(1 << 16).fill(7));
    if ((await device.read(a, 100, 1))[0] !== 7) throw new Error("what was written is not there");
    device.free(a);
    await device.close();
  }
  return rounds;
}

/** What can be asked of a page. */
export interface Tests {
  readonly conformance: typeof conformance;
  readonly generate: typeof generate;
  readonly steady: typeof steady;
  readonly devices: typeof devices;
  readonly failures: typeof failures;
}
const tests: Tests = { conformance, generate, steady, devices, failures };

const scope = globalThis as unknown as {
  tests: Tests;
  document?: unknown;
  onmessage: (e: { data: { name: keyof Tests; argument: never } }) => void;
  postMessage(message: unknown): void;
};
if (scope.document) scope.tests = tests;
else
  scope.onmessage = async ({ data }) => {
    try {
      scope.postMessage({ value: await tests[data.name](data.argument) });
    } catch (error) {
      scope.postMessage({ error: String((error as Error).stack) });
    }
  };
