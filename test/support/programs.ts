/** For tests: a small program written by hand, for any backend. */
import { render } from "../../src/backends/wasm/codegen.js";
import { add, ceilDiv, mul, variable } from "../../src/core/expr.js";
import { apply, at, axis, type Buffer, below, constant, type Kernel, load, loops, type Stmt, store } from "../../src/kernel/kernel.js";
import type { KernelCode, Program, TargetKey } from "../../src/runtime/program.js";

const n = variable("n", 0, 1 << 24);
const block = 4096;
const vector = { dtype: "f32", shape: [n] } as const;
const c = (name: string, body: string): string =>
  `void ${name}(void* const* args, const long long* dims, long long begin, long long end, char* scratch) {${body}}`;
const js = (name: string, body: string): string =>
  `function ${name}(args, dims, begin, end, scratch) { const f = (i) => new Float32Array(args[i].buffer, args[i].byteOffset, args[i].byteLength / 4);${body}}`;
const each = (type: string, body: string): string =>
  `for (${type} p = begin; p < end; p++) for (${type} i = p * ${block}; i < (p + 1) * ${block} && i < dims[0]; i++) { ${body} }`;

const cuda = (name: string, parameters: string, body: string): string =>
  `extern "C" __global__ void __launch_bounds__(1) ${name}(${parameters}) { const long long p = blockIdx.x; ${body} }`;
const cudaEach = (body: string): string => `for (long long i = p * ${block}; i < (p + 1) * ${block} && i < n; i++) { ${body} }`;

const wgsl = (name: string, buffers: readonly string[], dims: boolean, body: string): string =>
  `${buffers.map((b, i) => `@group(0) @binding(${i}) var<storage, ${b.endsWith("!") ? "read_write" : "read"}> ${b.replace("!", "")}: array<f32>;`).join("\n")}
${dims ? `struct Dims { n: i32 }\n@group(0) @binding(${buffers.length}) var<uniform> dims: Dims;` : ""}
@compute @workgroup_size(1) fn ${name}(@builtin(workgroup_id) group: vec3<u32>) { let p = i32(group.x); ${body} }`;
const wgslEach = (body: string): string => `for (var i = p * ${block}; i < min((p + 1) * ${block}, dims.n); i++) { ${body} }`;

const sources: Readonly<Record<string, readonly [string, string, string]>> = {
  cuda: [
    cuda("twice", "const float* x, float* t, long long n", cudaEach("t[i] = x[i] + x[i];")),
    cuda("scale", "const float* t, const float* k, float* y, long long n", cudaEach("y[i] = t[i] * k[0];")),
    cuda("count", "float* c", "c[0] += 1;"),
  ],
  webgpu: [
    wgsl("twice", ["x", "t!"], true, wgslEach("t[i] = x[i] + x[i];")),
    wgsl("scale", ["t", "k", "y!"], true, wgslEach("y[i] = t[i] * k[0];")),
    wgsl("count", ["c!"], false, "c[0] += 1.0;"),
  ],
  c: [
    c(
      "twice",
      `const float* x = args[0]; float* t = args[1]; float* s = (float*)scratch; ${each("long long", `s[i % ${block}] = x[i]; t[i] = x[i] + s[i % ${block}];`)}`,
    ),
    c("scale", `const float* t = args[0]; const float* k = args[1]; float* y = args[2]; ${each("long long", "y[i] = t[i] * k[0];")}`),
    c("count", "((float*)args[0])[0] += 1;"),
  ],
  js: [
    js(
      "twice",
      `const x = f(0), t = f(1), s = new Float32Array(scratch); ${each("let", `s[i % ${block}] = x[i]; t[i] = x[i] + s[i % ${block}];`)}`,
    ),
    js("scale", `const t = f(0), k = f(1), y = f(2); ${each("let", "y[i] = t[i] * k[0];")}`),
    js("count", "f(0)[0] += 1;"),
  ],
};

/** The same for WebAssembly, which is made of kernels. */
function inWasm(): readonly (string | Uint8Array)[] {
  const buffer = (name: string, size: Buffer["size"], writes = false): Buffer => ({ name, dtype: "f32", space: "global", size, writes });
  const [x, t, k, y, c] = [buffer("x", n), buffer("t", n, true), buffer("k", 1), buffer("y", n, true), buffer("c", 1, true)];
  const within = axis("i", block, "loop");
  const i = add(mul(variable("pid", 0, 4095), block), at(within));
  const kernel = (name: string, buffers: readonly Buffer[], body: readonly Stmt[], grid = 1): Kernel => ({
    name,
    buffers,
    dims: grid > 1 ? [n] : [],
    grid,
    threads: 1,
    body,
  });
  const each = (name: string, buffers: readonly Buffer[], body: Stmt): Kernel =>
    kernel(name, buffers, loops([within], [{ kind: "if", test: below(i, n), body: [body] }]), 4096);
  const kernels = [
    each("twice", [x, t], store(t, i, apply("add", "f32", load(x, i), load(x, i)))),
    each("scale", [t, k, y], store(y, i, apply("mul", "f32", load(t, i), load(k, 0)))),
    kernel("count", [c], [store(c, 0, apply("add", "f32", load(c, 0), constant(1, "f32")))]),
  ];
  return kernels.map((each): KernelCode["source"] => render(each, { relaxed: false }).source);
}

/** y = (x + x) * 3 by way of a temporary, and `calls` counts: three kernels, one symbolic dim, a constant and a state. */
export function tripled(key: TargetKey): Program {
  const [twice, scale, count] = (key.backend === "wasm" ? inWasm() : (sources[key.backend] ?? ["", "", ""])) as [string, string, string];
  return {
    version: 1,
    name: "tripled",
    key,
    dims: [{ name: "n", min: 0, max: 1 << 24 }],
    inputs: [{ name: "x", type: vector, buffer: 0 }],
    outputs: [{ name: "y", type: vector, buffer: 1 }],
    state: [{ name: "calls", type: { dtype: "f32", shape: [1] }, buffer: 4 }],
    buffers: [
      { role: "input", dtype: "f32", size: n },
      { role: "output", dtype: "f32", size: n },
      { role: "temp", dtype: "f32", size: n, offset: 256 },
      { role: "constant", dtype: "f32", size: 1, data: new Uint8Array(new Float32Array([3]).buffer) },
      { role: "state", dtype: "f32", size: 1 },
    ],
    arena: add(mul(n, 4), 256),
    prelude: "",
    kernels: [
      { entry: "twice", source: twice, threads: 1, sharedBytes: block * 4, writes: [false, true] },
      { entry: "scale", source: scale, threads: 1, sharedBytes: 0, writes: [false, false, true] },
      { entry: "count", source: count, threads: 1, sharedBytes: 0, writes: [true] },
    ],
    steps: [
      { kind: "launch", kernel: 0, buffers: [0, 2], dims: [n], grid: ceilDiv(n, block) },
      { kind: "launch", kernel: 1, buffers: [2, 3, 1], dims: [n], grid: ceilDiv(n, block) },
      { kind: "launch", kernel: 2, buffers: [4], dims: [], grid: 1 },
    ],
  };
}

/** A repeatable source of numbers in [0, 1). */
export function random(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
/** Bytes with a few of them changed, or cut, or grown. */
export function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const kind = next();
  const at = (): number => Math.floor(next() * bytes.length);
  if (kind < 0.15) return bytes.slice(0, at());
  if (kind < 0.2) return new Uint8Array([...bytes, ...new Uint8Array(1 + Math.floor(next() * 64))]);
  const out = bytes.slice();
  if (kind < 0.35) {
    const [from, to, count] = [at(), at(), Math.floor(next() * 64)];
    out.copyWithin(to, from, from + count);
    return out;
  }
  for (let i = 0; i < 1 + Math.floor(next() * 4); i++) {
    // Early bytes are where the lies are told.
    const place = next() < 0.7 ? Math.floor(next() * Math.min(bytes.length, 700)) : at();
    out[place] = next() < 0.5 ? 0x30 + Math.floor(next() * 10) : Math.floor(next() * 256);
  }
  return out;
}
/** JSON data with one value replaced, removed, renamed or doubled. */
export function mutateJson(root: unknown, next: () => number): unknown {
  const copy = JSON.parse(JSON.stringify(root)) as unknown;
  const places: { holder: Record<string, unknown> | unknown[]; key: string }[] = [];
  const walk = (x: unknown): void => {
    if (typeof x !== "object" || x === null) return;
    for (const key of Object.keys(x)) {
      places.push({ holder: x as Record<string, unknown>, key });
      walk((x as Record<string, unknown>)[key]);
    }
  };
  walk(copy);
  const { holder, key } = places[Math.floor(next() * places.length)]!;
  const values = [
    -1,
    0,
    1,
    2,
    3,
    7,
    64,
    0.5,
    2 ** 31,
    2 ** 53,
    1e300,
    null,
    true,
    "",
    "n",
    "x",
    "n*n*n*n*n*n",
    "n/(n-n)",
    "-n",
    "m",
    "((((",
    "1e9",
    [],
    {},
    [0],
    [1, 2, 3],
    "i64",
    "f64",
    "bool",
    "temp",
    "state",
    "output",
    "__proto__",
    "../x",
  ];
  const list = holder as Record<string, unknown>;
  if (next() < 0.15) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete list[key];
  } else if (next() < 0.1) list[`${key}x`] = list[key];
  else list[key] = values[Math.floor(next() * values.length)];
  return copy;
}
/** Runs of a fuzz test: TREEPIE_FUZZ multiplies them. */
export const fuzzRuns = (count: number): number => Math.ceil(count * Number(process.env["TREEPIE_FUZZ"] ?? 1));
