/** Random graphs on devices: outputs and state agree with the interpreter, many graphs in one program. */
import { expect, test } from "vitest";
import { c } from "../../src/backends/c/index.js";
import { hostFunctions } from "../../src/backends/interp/host.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { js } from "../../src/backends/js/index.js";
import { compile } from "../../src/compile/index.js";
import { fromBytes, toBytes } from "../../src/core/convert.js";
import { byteLength, NdArray } from "../../src/core/ndarray.js";
import { roots } from "../../src/ir/graph.js";
import { printGraph } from "../../src/ir/print.js";
import type { Backend } from "../../src/kernel/codegen.js";
import { checkArena } from "../../src/runtime/arena.js";
import type { Allocation, Device } from "../../src/runtime/device.js";
import type { Port } from "../../src/runtime/program.js";
import { agrees } from "../conformance/agree.js";
import { type RandomGraph, randomGraph } from "./random-graph.js";

const runs = Number(process.env.TREEPIE_FUZZ ?? 250);
const batch = 125;
const sizeOf = (seed: number): number => 4 + (seed % 24);

/** f64 has no better oracle than itself: rounding errors may differ by some ulp of the largest magnitude. */
function near(got: NdArray, own: NdArray): { readonly ok: boolean; readonly why: string } {
  const [g, o] = [got.data as Float64Array, own.data as Float64Array];
  const largest = o.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0);
  const at = o.findIndex((x, i) => !(Object.is(g[i], x) || Math.abs(g[i]! - x) <= 1e-13 * Math.max(1, largest)));
  return { ok: at < 0, why: `element ${at} is ${g[at]}, not ${o[at]}` };
}

/** What disagrees in each graph; all of them are one program. */
async function disagreements(backend: Backend, device: Device, list: readonly RandomGraph[]): Promise<string[]> {
  const graphs = list.map((x) => x.graph);
  const graph = {
    inputs: graphs.flatMap((g) => g.inputs),
    state: graphs.flatMap((g) => g.state),
    outputs: graphs.flatMap((g) => g.outputs),
    updates: graphs.flatMap((g) => g.updates),
  };
  const codegen = backend.codegen();
  const program = compile(graph, codegen, { verify: true });
  checkArena(program, []);
  const loaded = await device.load(program, { host: hostFunctions });
  const feeds = new Map(list.flatMap((x) => [...x.feeds]));
  const buffers: (Allocation | undefined)[] = program.buffers.map(() => undefined);
  const ports: [Port, NdArray | undefined][] = [
    ...program.inputs.map((p, i): [Port, NdArray] => [p, feeds.get(graph.inputs[i]!)!]),
    ...program.state.map((p, i): [Port, NdArray] => [p, feeds.get(graph.state[i]!)!]),
    ...program.outputs.map((p): [Port, undefined] => [p, undefined]),
  ];
  for (const [p, value] of ports) {
    const a = (buffers[p.buffer] = device.alloc(byteLength(p.type.dtype, p.type.shape as readonly number[])));
    if (value?.data.length) device.write(a, 0, toBytes(value.dtype, value.data));
  }
  await device.submit(loaded, { buffers, dims: [] });
  const read = async (p: Port): Promise<NdArray> => {
    const shape = p.type.shape as readonly number[];
    const bytes = await device.read(buffers[p.buffer]!, 0, byteLength(p.type.dtype, shape));
    return new NdArray(p.type.dtype, shape, fromBytes(p.type.dtype, bytes));
  };
  const found: string[] = [];
  let [output, state] = [0, 0];
  for (const { graph: g, feeds: own } of list) {
    const [exact, rounded] = [interpret(roots(g), own, { exact: true }), interpret(roots(g), own)];
    const wrong: string[] = [];
    const compare = (what: string, got: NdArray, k: number): void => {
      const rule = agrees(got, exact[k]!, rounded[k]!, codegen.target.ieee);
      const verdict = rule.ok || got.dtype !== "f64" ? rule : near(got, rounded[k]!);
      if (!verdict.ok) wrong.push(`${what}: ${verdict.why}`);
    };
    for (let i = 0; i < g.outputs.length; i++) compare(`output ${i}`, await read(program.outputs[output++]!), i);
    for (const [i, s] of g.state.entries()) {
      const got = await read(program.state[state++]!);
      const u = g.updates.findIndex((x) => x.state === s);
      if (u >= 0) compare(`state ${i}`, got, g.outputs.length + u);
      else if (!got.data.every((x, j) => Object.is(x, own.get(s)!.data[j]))) wrong.push(`state ${i} has changed`);
    }
    found.push(wrong.join("; "));
  }
  for (const a of buffers) if (a) device.free(a);
  loaded.unload();
  return found;
}

/** The smallest start of a seed's graph that still disagrees. */
async function shrink(backend: Backend, device: Device, seed: number, first: string): Promise<string> {
  for (let size = 1; size <= sizeOf(seed); size++) {
    const x = randomGraph(seed, size);
    const why = await disagreements(backend, device, [x]).then(
      ([w]) => w,
      (e: unknown) => String(e),
    );
    if (why) return `seed ${seed}, size ${size}: ${why}\n${printGraph(x.graph)}`;
  }
  return `seed ${seed}: only together with others: ${first}`;
}

for (const backend of [js, c]) {
  test.skipIf(backend.unavailable() !== undefined)(
    `${runs} random graphs on ${backend.name}${backend.unavailable() ? ` (skipped: ${backend.unavailable()})` : ""}`,
    { timeout: 400_000 },
    async () => {
      const device = await backend.open();
      const failures: string[] = [];
      for (let from = 1; from <= runs; from += batch) {
        const seeds = Array.from({ length: Math.min(batch, runs - from + 1) }, (_, i) => from + i);
        const list = seeds.map((s) => randomGraph(s, sizeOf(s)));
        const found = await disagreements(backend, device, list).catch((e: unknown) => seeds.map(() => String(e)));
        for (const [i, why] of found.entries())
          if (why && failures.length < 5) failures.push(await shrink(backend, device, seeds[i]!, why));
      }
      await device.close();
      expect(failures.join("\n")).toBe("");
    },
  );
}
