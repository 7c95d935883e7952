/** Generated products against a library's: the same program on two devices, of which one has kernels only and the other the library's calls. */
import { basename } from "node:path";
import { type Blas, findBlas, openBlas } from "#treepie/backends/c/blas.js";
import { here } from "#treepie/backends/c/cc.js";
import { withBlas } from "#treepie/backends/c/claims/products.js";
import { cCodegen } from "#treepie/backends/c/codegen.js";
import { type Library, openC } from "#treepie/backends/c/device.js";
import { compile } from "#treepie/compile/index.js";
import { fromBytes, toBytes } from "#treepie/core/convert.js";
import { byteLength } from "#treepie/core/ndarray.js";
import type { Node } from "#treepie/ir/node.js";
import * as o from "#treepie/ops/index.js";
import { cpu } from "#treepie/runtime/cpu.js";
import type { Device } from "#treepie/runtime/device.js";
import type { Program } from "#treepie/runtime/program.js";
import { type Case, median, row } from "../row.js";
import { uniform } from "./inputs.js";

type DType = "f32" | "f64" | "bf16";
interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Milliseconds of a turn, and turns. */
const [turn, turns] = [60, 15];
/** The greatest difference between both results, as a part of the largest magnitude. */
const allowed = { f32: 1e-5, f64: 1e-13, bf16: 0.01 } as const;

/** A loaded program on a device of its own. */
async function side(
  program: Program,
  library: Library | "none",
): Promise<{ run(): Promise<void>; values(): Promise<ArrayLike<number>>; close(): Promise<void> }> {
  const device: Device = await openC(undefined, {}, library);
  const loaded = await device.load(program);
  const buffers = program.buffers.map((b) => {
    const next = uniform(b.role.length);
    const count = b.size as number;
    const at = device.alloc(byteLength(b.dtype, [count]));
    if (b.role === "input")
      device.write(
        at,
        0,
        toBytes(
          b.dtype,
          Float64Array.from({ length: count }, () => 2 * next() - 1),
        ),
      );
    return at;
  });
  const out = program.outputs[0]!.buffer;
  return {
    run: () => device.submit(loaded, { buffers, dims: [] }),
    values: async () =>
      fromBytes(program.buffers[out]!.dtype, await device.read(buffers[out]!, 0, buffers[out]!.bytes)) as ArrayLike<number>,
    close: () => device.close(),
  };
}

function product(name: string, dtype: DType, { m, n, k }: Sizes, bias?: true): Case {
  return {
    name,
    async run() {
      const leaf = (shape: readonly number[]): Node => o.input({ shape: [...shape], dtype }, `x${shape}`);
      const inputs = bias ? [leaf([m, k]), leaf([n, k]), leaf([n])] : [leaf([m, k]), leaf([k, n])];
      const root = bias ? o.linear(inputs[0]!, inputs[1]!, inputs[2]!) : o.matmul(inputs[0]!, inputs[1]!);
      const codegen = cCodegen({ ...here(), parallel: cpu().cores, caches: cpu().caches, products: true }, withBlas);
      const program = compile({ inputs, state: [], outputs: [root], updates: [] }, codegen);
      const file = findBlas();
      const opened = file && openBlas(file);
      const missing = opened === undefined ? "a library of BLAS" : typeof opened === "string" ? opened : lacks(opened, dtype);
      const sides = [
        await side(program, "none"),
        ...(missing ? [] : [await side(program, { ...file!, margin: Number.POSITIVE_INFINITY })]),
      ];
      try {
        const times = sides.map((): number[] => []);
        for (const s of sides) await s.run();
        const [mine, other] = await Promise.all(sides.map((s) => s.values()));
        if (other) differ(name, dtype, mine!, other);
        for (let t = 0; t < turns; t++)
          for (const [i, s] of sides.entries()) {
            await s.run();
            const begun = performance.now();
            let calls = 0;
            for (; performance.now() - begun < turn; calls++) await s.run();
            times[i]!.push((performance.now() - begun) / 1000 / calls);
          }
        const rates = times.map((list) => (2 * m * n * k) / 1e9 / median(list));
        return [
          row(
            { suite: "cpu", name, metric: `generated kernel, ${m} x ${k} x ${n}${bias ? ", w turned, with bias" : ""}`, unit: "GFLOP/s" },
            rates[0]!,
            {
              peers: rates.slice(1).map((value) => ({ name: basename(String(file!.identity[0])), value })),
              missing: missing ? [missing] : [],
            },
          ),
        ];
      } finally {
        for (const s of sides) await s.close();
      }
    },
  };
}
const lacks = (library: Blas, dtype: DType): string | undefined =>
  library.products.has(dtype) ? undefined : `the library has no products of ${dtype}`;
function differ(name: string, dtype: DType, a: ArrayLike<number>, b: ArrayLike<number>): void {
  let [off, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    off = Math.max(off, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  if (!(off <= allowed[dtype] * largest)) throw new Error(`${name}: results differ by ${off} where the largest is ${largest}`);
}

const square = (n: number): Sizes => ({ m: n, n, k: n });
/** What the c device chooses between where a library is installed. */
export const blas: readonly Case[] = [
  ...[512, 1024, 2048].map((n) => product(`blas-${n}-f32`, "f32", square(n))),
  ...[1024, 2048].map((n) => product(`blas-${n}-f64`, "f64", square(n))),
  ...[1024, 2048].map((n) => product(`blas-${n}-bf16`, "bf16", square(n))),
  product("blas-linear-f32", "f32", { m: 512, n: 3072, k: 768 }, true),
];
