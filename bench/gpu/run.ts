/** One graph on the GPU, run many times on the same buffers: what is timed is the program and nothing else. */
import { cuda } from "#treepie/backends/cuda/index.js";
import { compile } from "#treepie/compile/index.js";
import { fromBytes } from "#treepie/core/convert.js";
import { bytesOf, type DType } from "#treepie/core/dtype.js";
import type { Node } from "#treepie/ir/node.js";
import type { Backend, Codegen } from "#treepie/kernel/codegen.js";
import * as o from "#treepie/ops/index.js";
import type { Allocation, Device } from "#treepie/runtime/device.js";
import { median } from "../row.js";

/** The GPU and what it was measured to do. */
export interface Bench {
  readonly device: Device;
  readonly codegen: Codegen;
  /** Bytes read and written a second by a copy of 1 GiB: the driver's own, or a kernel's where that is said to be faster. */
  readonly copy: number;
}

/** An input that `noise` makes, times `scale`. */
export interface Drawn {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly scale?: number;
}

/** A GPU that graphs are timed on, opened once. */
export interface Ground {
  bench(): Promise<Bench>;
  /** Compiles `f` for inputs of the shapes, and makes them; with `kernels` no library computes attention. */
  load(f: (...x: Node[]) => Node | readonly Node[], inputs: readonly Drawn[], kernels?: "kernels"): Promise<Timed>;
  close(): Promise<void>;
}
/** How a ground is measured. */
export interface GroundOptions {
  /** Bytes of a copy that is long enough to measure. */
  readonly bytes?: number;
  /** A driver may copy through an engine that is slower than memory: a kernel that reads and writes as much is timed too. */
  readonly kernel?: boolean;
}
/** The ground of a backend's device. */
export function groundOf(backend: Backend, options: GroundOptions = {}): Ground {
  let opened: Promise<Bench> | undefined;
  const bench = (): Promise<Bench> => {
    opened ??= open(backend, options);
    return opened;
  };
  return {
    bench,
    async load(f, inputs, kernels) {
      const opened = await bench();
      return loadOn(kernels ? { ...opened, codegen: withoutAttention(opened.codegen) } : opened, f, inputs);
    },
    async close() {
      if (opened) await (await opened).device.close();
      opened = undefined;
    },
  };
}
/** The GPU through CUDA. */
export const { bench, load, close: closeBench }: Ground = groundOf(cuda);

async function open(backend: Backend, { bytes = 1 << 30, kernel }: GroundOptions): Promise<Bench> {
  const device = await backend.open();
  const [a, b] = [device.alloc(bytes), device.alloc(bytes)];
  const seconds = await timed(async (calls) => {
    for (let i = 0; i < calls; i++) device.copy(a, b, bytes);
    await device.sync();
  }, 20);
  device.free(a);
  device.free(b);
  const driver: Bench = { device, codegen: backend.codegen(), copy: (2 * bytes) / seconds };
  if (!kernel) return driver;
  const t = await loadOn(driver, (x) => o.neg(x!), [{ shape: [bytes / 4], dtype: "f32" }]);
  const inKernel = await t.time(20);
  t.close();
  return { ...driver, copy: Math.max(driver.copy, (2 * bytes) / inKernel) };
}
/** Median seconds of a call, over rounds of `calls` calls after a warm-up. */
async function timed(run: (calls: number) => Promise<void>, calls: number, rounds = 7): Promise<number> {
  await run(2);
  const seconds: number[] = [];
  for (let r = 0; r < rounds; r++) {
    const start = performance.now();
    await run(calls);
    seconds.push((performance.now() - start) / 1000 / calls);
  }
  return median(seconds);
}

/** Random-looking values in [-2, 2), made on the device from positions. */
const noise = ({ shape, dtype, scale = 1 }: Drawn, seed: number): Node => {
  const n = shape.reduce((a, b) => a * b, 1);
  const at = o.cast(o.remainder(o.iota(n, "i64"), 16_769_023), "f32");
  const x = o.sub(o.mul(o.frac(o.mul(o.add(at, seed * 7919), 0.618033988)), 4 * scale), 2 * scale);
  return o.reshape(o.cast(x, dtype), shape);
};

/** A graph, ready to run on inputs that `noise` made. */
export interface Timed {
  /** Seconds of a run. */
  time(calls: number): Promise<number>;
  /** `count` elements of an input, or of an output (-1 is the first, -2 the second), from a position on. */
  values(which: number, at: number, count: number): Promise<ArrayLike<number>>;
  /** Kernels of a run. */
  readonly kernels: number;
  readonly inputs: readonly Allocation[];
  close(): void;
}

/** For a device that has no library of attention. */
function withoutAttention(codegen: Codegen): Codegen {
  const { attention: _, ...target } = codegen.target;
  return { ...codegen, target };
}

type Load = Parameters<Ground["load"]>;
async function loadOn({ device, codegen }: Bench, f: Load[0], inputs: Load[1]): Promise<Timed> {
  const size = (x: { shape: readonly number[]; dtype: DType }): number => x.shape.reduce((a, b) => a * b, 1) * bytesOf(x.dtype);
  const placed: Allocation[] = [];
  for (const [i, x] of inputs.entries()) {
    const p = compile({ inputs: [], state: [], outputs: [noise(x, i + 1)], updates: [] }, codegen, { name: "noise" });
    const loaded = await device.load(p);
    const a = device.alloc(size(x));
    await device.submit(loaded, { buffers: p.buffers.map((b) => (b.role === "output" ? a : undefined)), dims: [] });
    loaded.unload();
    placed.push(a);
  }
  const leaves = inputs.map((x, i) => o.input(x, `x${i}`));
  const results = f(...leaves);
  const roots = "op" in results ? [results] : results;
  const program = compile({ inputs: leaves, state: [], outputs: [...roots], updates: [] }, codegen, { name: "row" });
  const loaded = await device.load(program);
  const outs = roots.map((r) => device.alloc(size({ shape: r.type.shape as readonly number[], dtype: r.type.dtype })));
  const buffers: (Allocation | undefined)[] = program.buffers.map(() => undefined);
  program.inputs.forEach((port, i) => {
    buffers[port.buffer] = placed[i];
  });
  program.outputs.forEach((port, i) => {
    buffers[port.buffer] = outs[i];
  });
  const call = { buffers, dims: [] };
  return {
    kernels: program.steps.length,
    inputs: placed,
    time: (calls) =>
      timed(async (n) => {
        const runs: Promise<void>[] = [];
        for (let i = 0; i < n; i++) runs.push(device.submit(loaded, call));
        await Promise.all(runs);
      }, calls),
    async values(which, at, count) {
      const dtype = which < 0 ? roots[-1 - which]!.type.dtype : inputs[which]!.dtype;
      const each = bytesOf(dtype);
      return fromBytes(
        dtype,
        await device.read(which < 0 ? outs[-1 - which]! : placed[which]!, at * each, count * each),
      ) as ArrayLike<number>;
    },
    close() {
      loaded.unload();
      for (const a of [...placed, ...outs]) device.free(a);
    },
  };
}
