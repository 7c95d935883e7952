/** Products by NVIDIA's cuBLASLt, called as we would call it: the algorithm is chosen by measurement, many products are one graph launch. */
import { driver } from "#treepie/backends/cuda/driver.js";
import { driverLibrary, findLibrary, type Wanted } from "#treepie/backends/cuda/libraries.js";
import { ffi, type NativeArg, type NativeFunction, type NativeType } from "#treepie/runtime/ffi.js";
import { median } from "../row.js";

const library: Wanted = { name: "cuBLASLt", files: ["libcublasLt.so.*", "libcublasLt.so"], effect: "it cannot be compared with" };

/** A matrix as memory has it, row by row; `turned`: its transpose is multiplied. */
export interface Operand {
  readonly at: bigint;
  readonly rows: number;
  readonly columns: number;
  readonly turned?: boolean;
}
/** What is done with a product before it is stored. */
export interface Epilogue {
  /** A vector that is added to each row. */
  readonly bias?: bigint;
  /** By tanh. */
  readonly gelu?: boolean;
}
/** A product that is ready to be enqueued. */
export type Product = () => void;

/** cuBLASLt on one stream of the current GPU. */
export interface Lt {
  /** y = x w; the fastest algorithm of those that the library proposes. */
  product(x: Operand, w: Operand, y: bigint, dtype: "bf16" | "f32", epilogue?: Epilogue): Product;
  alloc(bytes: number): bigint;
  /** Seconds of what `enqueue` enqueues, as one graph. */
  time(enqueue: () => void, calls: number): number;
  read(at: bigint, bytes: number): Uint8Array;
  close(): void;
}

/** Numbers of the library's header. */
const code = { bf16: 14, f32: 0, compute: 68, computeTf32: 77, turnA: 3, turnB: 4, epilogue: 7, bias: 8, workspace: 1 } as const;
const epilogues = { none: 1, bias: 4, gelu: 32 } as const;
const workspaceBytes = 64 << 20;
/** Algorithms that are tried, and bytes of a proposal: the algorithm, the workspace it wants, its state. */
const [tried, proposalBytes, algorithmBytes] = [16, 96, 64];

/** The library, or why it is not here. The GPU's context must be this thread's. */
export function openLt(): Lt | string {
  const path = findLibrary(library);
  if (!path) return `${library.name} was not found`;
  const lt = ffi().load(path);
  const d = driver();
  const check = (name: string, result: unknown): void => {
    if (result !== 0) throw new Error(`${name} failed with status ${result}`);
  };
  const f = (
    of: { func(name: string, result: NativeType, args: readonly NativeType[]): NativeFunction },
    name: string,
    ...args: NativeType[]
  ) => {
    const call = of.func(name, "i32", args);
    return (...xs: readonly NativeArg[]): void => check(name, call(...xs));
  };
  const create = f(lt, "cublasLtCreate", "pointer");
  const destroy = f(lt, "cublasLtDestroy", "pointer");
  const makeDesc = f(lt, "cublasLtMatmulDescCreate", "pointer", "i32", "i32");
  const setDesc = f(lt, "cublasLtMatmulDescSetAttribute", "pointer", "i32", "pointer", "i64");
  const makeLayout = f(lt, "cublasLtMatrixLayoutCreate", "pointer", "i32", "i64", "i64", "i64");
  const makePreference = f(lt, "cublasLtMatmulPreferenceCreate", "pointer");
  const setPreference = f(lt, "cublasLtMatmulPreferenceSetAttribute", "pointer", "i32", "pointer", "i64");
  const propose = f(lt, "cublasLtMatmulAlgoGetHeuristic", ...Array<NativeType>(7).fill("pointer"), "i32", "pointer", "pointer");
  const matmul = f(lt, "cublasLtMatmul", ...Array<NativeType>(14).fill("pointer"), "i64", "pointer");
  const cuda = ffi().load(findLibrary(driverLibrary)!);
  const beginCapture = f(cuda, "cuStreamBeginCapture_v2", "pointer", "i32");
  const endCapture = f(cuda, "cuStreamEndCapture", "pointer", "pointer");

  const made = (make: (out: BigInt64Array) => void): bigint => {
    const out = new BigInt64Array(1);
    make(out);
    return out[0]!;
  };
  const handle = made((out) => create(out));
  const stream = d.made("cuStreamCreate", 1);
  const held: bigint[] = [];
  const alloc = (bytes: number): bigint => {
    const at = d.made("cuMemAlloc_v2", bytes);
    held.push(at);
    return at;
  };
  const workspace = alloc(workspaceBytes);
  const preference = made((out) => makePreference(out));
  setPreference(preference, code.workspace, new BigInt64Array([BigInt(workspaceBytes)]), 8);
  const [one, zero] = [new Float32Array([1]), new Float32Array([0])];

  const time = (enqueue: () => void, calls: number): number => {
    beginCapture(stream, 1);
    enqueue();
    const graph = made((out) => endCapture(stream, out));
    const exec = d.made("cuGraphInstantiateWithFlags", graph, 0);
    const round = (n: number): number => {
      const start = performance.now();
      for (let i = 0; i < n; i++) d.call("cuGraphLaunch", exec, stream);
      d.call("cuStreamSynchronize", stream);
      return (performance.now() - start) / 1000 / n;
    };
    round(2);
    const seconds = median(Array.from({ length: 7 }, () => round(calls)));
    d.call("cuGraphExecDestroy", exec);
    d.call("cuGraphDestroy", graph);
    return seconds;
  };
  /** The best algorithm of a shape: one choice serves all products of it. */
  const chosen = new Map<string, Uint8Array>();

  return {
    alloc,
    time,
    product(x, w, y, dtype, { bias, gelu } = {}) {
      // Its matrices go column by column, so what it multiplies are the transposes: y^T = w^T x^T.
      const type = code[dtype];
      const desc = made((out) => makeDesc(out, dtype === "f32" ? code.computeTf32 : code.compute, code.f32));
      setDesc(desc, code.turnA, new Int32Array([w.turned ? 1 : 0]), 4);
      setDesc(desc, code.turnB, new Int32Array([x.turned ? 1 : 0]), 4);
      const epilogue = (bias ? epilogues.bias : 0) | (gelu ? epilogues.gelu : 0) || epilogues.none;
      setDesc(desc, code.epilogue, new Int32Array([epilogue]), 4);
      if (bias) setDesc(desc, code.bias, new BigInt64Array([bias]), 8);
      const layout = (rows: number, columns: number): bigint => made((out) => makeLayout(out, type, columns, rows, columns));
      const [m, n] = [x.turned ? x.columns : x.rows, w.turned ? w.rows : w.columns];
      const [a, b, c] = [layout(w.rows, w.columns), layout(x.rows, x.columns), layout(m, n)];
      const run = (algorithm: Uint8Array): void =>
        matmul(handle, desc, one, w.at, a, x.at, b, zero, y, c, y, c, algorithm, workspace, workspaceBytes, stream);
      const key = JSON.stringify([m, n, x.turned, w.turned, x.rows, x.columns, dtype, epilogue]);
      let best = chosen.get(key);
      if (!best) {
        const [proposals, count] = [new Uint8Array(tried * proposalBytes), new Int32Array(1)];
        propose(handle, desc, a, b, c, c, preference, tried, proposals, count);
        const all = Array.from({ length: count[0]! }, (_, i) => proposals.slice(i * proposalBytes, i * proposalBytes + algorithmBytes));
        const timed = all.map((algorithm) => ({
          algorithm,
          seconds: time(() => {
            for (let i = 0; i < 4; i++) run(algorithm);
          }, 5),
        }));
        best = timed.sort((p, q) => p.seconds - q.seconds)[0]?.algorithm;
        if (!best) throw new Error(`cuBLASLt has no algorithm for ${key}`);
        chosen.set(key, best);
      }
      const algorithm = best;
      return () => run(algorithm);
    },
    read(at, bytes) {
      const out = new Uint8Array(bytes);
      d.call("cuMemcpyDtoHAsync_v2", out, at, bytes, stream);
      d.call("cuStreamSynchronize", stream);
      return out;
    },
    close() {
      for (const at of held) d.call("cuMemFree_v2", at);
      d.call("cuStreamDestroy_v2", stream);
      destroy(handle);
    },
  };
}
