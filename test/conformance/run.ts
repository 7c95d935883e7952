/** Runs many cases as one program on one device, with guard bands behind every buffer. */

import { hostFunctions } from "../../src/backends/interp/host.js";
import { compile } from "../../src/compile/index.js";
import { fromBytes, toBytes } from "../../src/core/convert.js";
import { byteLength, NdArray } from "../../src/core/ndarray.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Node } from "../../src/ir/node.js";
import { verifyGraph } from "../../src/ir/verify.js";
import type { Codegen } from "../../src/kernel/codegen.js";
import type { Allocation, Device } from "../../src/runtime/device.js";
import type { Port, Program } from "../../src/runtime/program.js";
import { readProgram, writeProgram } from "../../src/runtime/program-text.js";
import type { Case } from "./cases.js";

/** One graph of many cases. */
export function graphOf(cases: readonly Case[]): Graph {
  const updates = cases.flatMap((c) => c.updates ?? []);
  const state = updates.map((u) => u.state);
  const fed = cases.flatMap((c) => [...c.feeds.keys()]);
  return { inputs: fed.filter((x) => !state.includes(x)), state, outputs: cases.flatMap((c) => c.roots), updates };
}

/** Bytes behind each buffer that nothing may touch, and what they hold. */
const guardBytes = 64;
const guard = new Uint8Array(guardBytes).map((_, i) => 0xa5 ^ i);

/** The program as a file would give it back. */
function roundTrip(p: Program): Program {
  const blobs: Uint8Array[] = [];
  const text = JSON.stringify(writeProgram(p, (bytes) => blobs.push(bytes.slice()) - 1));
  return readProgram(JSON.parse(text), (i) => blobs[i]!, p.name);
}

/** What each case computes on the device, state last. Throws if a guard band was overwritten, or an input changed. */
export async function runCases(cases: readonly Case[], codegen: Codegen, device: Device): Promise<NdArray[][]> {
  const graph = graphOf(cases);
  verifyGraph(graph);
  const program = roundTrip(compile(graph, codegen, { name: "conformance", verify: true }));
  const loaded = await device.load(program, { host: hostFunctions });
  const owned: Allocation[] = [];
  const place = (bytes: number, contents: Uint8Array): Allocation => {
    const a = device.alloc(bytes + guardBytes);
    owned.push(a);
    if (bytes) device.write(a, 0, contents);
    device.write(a, bytes, guard);
    return a;
  };
  try {
    const buffers: (Allocation | undefined)[] = program.buffers.map(() => undefined);
    const feeds = new Map(cases.flatMap((c) => [...c.feeds]));
    const fill = (port: Port, leaf: Node): { at: Allocation; bytes: Uint8Array; name: string } => {
      const bytes = toBytes(leaf.type.dtype, feeds.get(leaf)!.data);
      const at = place(bytes.length, bytes);
      buffers[port.buffer] = at;
      return { at, bytes, name: port.name };
    };
    const inputs = program.inputs.map((port, i) => fill(port, graph.inputs[i]!));
    program.state.map((port, i) => fill(port, graph.state[i]!));
    for (const port of program.outputs) {
      if (buffers[port.buffer]) continue;
      const bytes = byteLength(port.type.dtype, port.type.shape as readonly number[]);
      // Old contents are garbage, so that an element nobody writes shows.
      buffers[port.buffer] = place(bytes, new Uint8Array(bytes).fill(0x5a));
    }
    await device.submit(loaded, { buffers, dims: [] });
    const broken: string[] = [];
    const check = async (what: string, a: Allocation, bytes: number): Promise<void> => {
      const behind = await device.read(a, bytes, guardBytes);
      if (behind.some((b, i) => b !== guard[i])) broken.push(`${what}: something was written behind its end`);
    };
    for (const { at, bytes, name } of inputs) {
      await check(name, at, bytes.length);
      const now = await device.read(at, 0, bytes.length);
      if (now.some((b, i) => b !== bytes[i])) broken.push(`${name}: an input was changed`);
    }
    const result = async ({ name, buffer, type }: Port): Promise<NdArray> => {
      const shape = type.shape as readonly number[];
      const bytes = byteLength(type.dtype, shape);
      await check(name, buffers[buffer]!, bytes);
      return new NdArray(type.dtype, shape, fromBytes(type.dtype, await device.read(buffers[buffer]!, 0, bytes)));
    };
    const out: NdArray[] = [];
    for (const port of program.outputs) out.push(await result(port));
    const after: NdArray[] = [];
    for (const port of program.state) after.push(await result(port));
    if (broken.length) throw new Error(broken.join("; "));
    const [results, states] = [out.values(), after.values()];
    const take = <T>(from: Iterator<T>): T => from.next().value as T;
    return cases.map((c) => [...c.roots.map(() => take(results)), ...(c.updates ?? []).map(() => take(states))]);
  } finally {
    await device.sync();
    for (const a of owned) device.free(a);
    loaded.unload();
  }
}

/** A case that did not run, and why. */
export interface Broken {
  readonly case: Case;
  readonly why: string;
}
/** Runs cases in batches; a batch that fails is split until the cases that break it stand alone. */
export async function runAll(
  cases: readonly Case[],
  codegen: Codegen,
  device: Device,
  batch: number,
): Promise<{ results: Map<Case, NdArray[]>; broken: Broken[] }> {
  const results = new Map<Case, NdArray[]>();
  const broken: Broken[] = [];
  const run = async (list: readonly Case[]): Promise<void> => {
    if (!list.length) return;
    try {
      const got = await runCases(list, codegen, device);
      list.forEach((c, i) => {
        results.set(c, got[i]!);
      });
    } catch (error) {
      if (list.length === 1) {
        broken.push({ case: list[0]!, why: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
        return;
      }
      const half = Math.ceil(list.length / 2);
      await run(list.slice(0, half));
      await run(list.slice(half));
    }
  };
  for (let i = 0; i < cases.length; i += batch) await run(cases.slice(i, i + batch));
  return { results, broken };
}
