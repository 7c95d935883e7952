/** Every scalar operation on every dtype, as kernels with their inputs, and how far results may be from exact ones. For tests of printers. */
import { type fromBytes, roundValue } from "../../src/core/convert.js";
import { bytesOf, type DType, isFloat, isInt, isWide } from "../../src/core/dtype.js";
import { add, mul, variable } from "../../src/core/expr.js";
import { definedFor, type Scalar, scalarFunction } from "../../src/kernel/interpret/scalar.js";
import { apply, at, axis, below, type Kernel, type Buffer as KernelBuffer, load, loops, store } from "../../src/kernel/kernel.js";
import { type ScalarOp, scalarOps } from "../../src/ops/scalar.js";

const dtypes: readonly DType[] = ["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64"];
const stored: readonly DType[] = [...dtypes, "f16", "bf16"];

/** Values that matter, and values from all over the range. */
function valuesOf(dtype: DType, seed: number): Scalar[] {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const out: Scalar[] = [];
  if (dtype === "bool") out.push(...Array.from({ length: 64 }, () => (random() < 0.5 ? 0 : 1)));
  else if (isInt(dtype)) {
    const bits = bytesOf(dtype) * 8;
    const low = dtype[0] === "u" ? 0n : -(1n << BigInt(bits - 1));
    const high = dtype[0] === "u" ? (1n << BigInt(bits)) - 1n : (1n << BigInt(bits - 1)) - 1n;
    for (const x of [low, low + 1n, high, high - 1n, -1n, 0n, 1n, 2n, 3n, 7n, 8n, 15n, 16n, 31n, 32n, 33n, 63n, 64n, 100n]) out.push(x);
    for (let i = 0; i < 60; i++) out.push(BigInt(Math.floor((random() - 0.5) * 2 ** Math.floor(random() * bits))));
    return out.map((x) => roundValue(dtype, x));
  } else {
    out.push(
      0,
      -0,
      1,
      -1,
      0.5,
      -0.5,
      1.5,
      2.5,
      -2.5,
      3.5,
      1e-40,
      -1e-40,
      1e-45,
      3e38,
      -3e38,
      1e10,
      -1e10,
      2 ** 31,
      -(2 ** 31),
      2 ** 63,
      2 ** 70,
      8388609,
      65504,
      65520,
      6e-8,
    );
    out.push(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 88.8, -104.5, 300, -1.9, 255.5);
    for (let i = 0; i < 40; i++) out.push((random() - 0.5) * 8);
    for (let i = 0; i < 40; i++) out.push((random() - 0.5) * 2 ** Math.floor(random() * 60 - 30));
  }
  return out.map((x) => roundValue(dtype, x));
}
/** Every value against every other. */
function grid(dtype: DType, arity: number): Scalar[][] {
  const a = valuesOf(dtype, 1);
  if (arity === 1) return [a];
  const b = valuesOf(dtype, 2);
  return [a.flatMap((x) => b.map(() => x)), a.flatMap(() => b), ...(arity === 3 ? [a.flatMap(() => b.map((x) => x))] : [])];
}

/** A global buffer. */
export const buffer = (name: string, dtype: DType, size: KernelBuffer["size"], writes = false): KernelBuffer => ({
  name,
  dtype,
  space: "global",
  size,
  ...(writes && { writes }),
});
const most = 1 << 20;
const n = variable("n", 0, most);
/** y[i] = op(x0[i], x1[i]...), some lanes at a time with a tail. */
export function mapKernel(op: ScalarOp, dtype: DType, from: readonly DType[], lanes: number): Kernel {
  const block = 4 * lanes;
  const pid = variable("pid", 0, most / block);
  const b = axis("b", 4, "loop");
  const l = axis("l", lanes, "vector");
  const i = add(mul(pid, block), mul(at(b), lanes), at(l));
  const xs = from.map((d, k) => buffer(`in${k}`, d, n));
  const y = buffer("out", dtype, n, true);
  const value = apply(op, dtype, ...xs.map((x) => load(x, i)));
  return {
    name: "map",
    buffers: [...xs, y],
    dims: [n],
    grid: most / block,
    threads: 1,
    body: loops([b, l], [{ kind: "if", test: below(i, n), body: [store(y, i, value)] }]),
  };
}

/** One operation on one dtype. */
export interface ScalarCase {
  readonly name: string;
  readonly op: ScalarOp;
  readonly dtype: DType;
  readonly from: readonly DType[];
  readonly inputs: readonly (readonly Scalar[])[];
}
/** All of them. */
export const cases: ScalarCase[] = [];
for (const op of Object.keys(scalarOps) as ScalarOp[]) {
  const { arity, bool } = scalarOps[op];
  if (op === "cast") {
    for (const a of stored)
      for (const b of stored) cases.push({ name: `cast ${a} to ${b}`, op, dtype: b, from: [a], inputs: [valuesOf(a, 1)] });
    continue;
  }
  for (const t of dtypes) {
    if (!definedFor(op, t)) continue;
    if (op === "bitcast") {
      for (const to of dtypes)
        if (to !== "bool" && bytesOf(to) === bytesOf(t))
          cases.push({ name: `bitcast ${t} to ${to}`, op, dtype: to, from: [t], inputs: [valuesOf(t, 1)] });
      continue;
    }
    const inputs = op === "where" ? [valuesOf(t, 1).map((_, i) => (i % 3) & 1), valuesOf(t, 1), valuesOf(t, 2)] : grid(t, arity);
    const from: DType[] = op === "where" ? ["bool", t, t] : Array(arity).fill(t);
    cases.push({ name: `${op} of ${t}`, op, dtype: bool ? "bool" : t, from, inputs });
  }
}

const ordered = (x: number, view: DataView): bigint => {
  view.setFloat64(0, x);
  const b = view.getBigInt64(0);
  return b < 0n ? -(b & 0x7fffffffffffffffn) : b;
};
const view = new DataView(new ArrayBuffer(8));
/** Distance in units of the last place of the dtype. */
export function ulps(a: number, b: number, dtype: DType): number {
  if (Object.is(a, b) || (a === 0 && b === 0) || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
  if (dtype === "f64")
    return Number(ordered(a, view) - ordered(b, view) < 0n ? ordered(b, view) - ordered(a, view) : ordered(a, view) - ordered(b, view));
  const scale = Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(Math.max(Math.abs(a), Math.abs(b)))) - 23));
  return Math.abs(a - b) / scale;
}
/** How far from the exact result a function may be, in ulp. */
const allowed = (op: ScalarOp, dtype: DType): number => {
  if (!isFloat(dtype)) return 0;
  if (dtype === "f64" && ["erf", "erfc", "lgamma"].includes(op)) return 1e4; // the oracle itself cancels near 1
  if (["exp", "exp2", "log", "log2", "tanh", "erf", "sin", "cos", "rsqrt"].includes(op)) return dtype === "f32" ? 2 : 3;
  if (
    [
      "add",
      "sub",
      "mul",
      "div",
      "sqrt",
      "max",
      "min",
      "neg",
      "abs",
      "floor",
      "ceil",
      "trunc",
      "round",
      "where",
      "cast",
      "bitcast",
    ].includes(op)
  )
    return 0;
  return op === "fma" ? 1e300 : 4;
};
const skip = (c: ScalarCase, a: Scalar): boolean => {
  if (c.op === "lgamma") return Number(a) < 0 && Math.abs(Number(a)) > 1e6; // between the poles
  return c.op === "fma" && isFloat(c.dtype); // the oracle rounds twice
};

/** What is wrong with the results of a case. */
export function check(c: ScalarCase, out: ReturnType<typeof fromBytes>, where: string): string[] {
  const bad: string[] = [];
  // Functions are compared with the exact value, f32 ones included.
  const exact = scalarFunction(c.op, c.dtype === "f32" && c.op !== "cast" && c.op !== "bitcast" ? "f64" : c.dtype, c.from);
  for (let i = 0; i < c.inputs[0]!.length; i++) {
    const args = c.inputs.map((x) => x[i]!);
    if (skip(c, args[0]!)) continue;
    const want = exact(args[0]!, args[1]!, args[2]!);
    const got = out[i]!;
    const ok = isFloat(c.dtype)
      ? ulps(
          Number(got),
          c.dtype === "f32" && allowed(c.op, c.dtype) === 0 ? Math.fround(Number(want)) : overflow(Number(want), c.dtype),
          c.dtype,
        ) <= allowed(c.op, c.dtype)
      : got === (isWide(c.dtype) ? want : Number(want));
    if (!ok && bad.length < 3) bad.push(`${where} ${c.name}(${args.join(", ")}) = ${got}, not ${want}`);
  }
  return bad;
}
/** An exact value that f32 has no room for. */
const overflow = (x: number, dtype: DType): number =>
  dtype === "f32" && Math.abs(x) > 3.4028235677973366e38 ? Math.sign(x) * Number.POSITIVE_INFINITY : x;

/** Functions of f32 that printers have polynomials for, or instructions. */
export const functions = ["exp", "exp2", "log", "log2", "tanh", "erf", "sin", "cos", "rsqrt", "sqrt"] as const;
/** Every exponent and sign, and many values where the function is used. */
export const inputs = (op: string): Float32Array => {
  const out = new Float32Array(1 << 16);
  const bits = new Uint32Array(out.buffer);
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const range = { exp: 105, exp2: 150, log: 4, log2: 4, tanh: 10, erf: 5, sin: 1e5, cos: 1e5, rsqrt: 4, sqrt: 4 }[op]!;
  for (let i = 0; i < out.length; i++)
    if (i % 4 === 0) bits[i] = (random() * 2 ** 32) >>> 0;
    else out[i] = (random() - (op === "log" || op === "log2" ? 0 : 0.5)) * 2 * (i % 4 === 1 ? 1.2 : range);
  return out;
};
/** The largest error of a function's results in ulp, and where. */
export function worstOf(op: ScalarOp, x: Float32Array, y: Float32Array): readonly [ulp: number, at: number] {
  let worst = 0;
  let at = 0;
  const exact = scalarFunction(op, "f64", ["f64"]);
  y.forEach((got, k) => {
    const want = overflow(Number(exact(x[k]!, 0, 0)), "f32");
    const e = ulps(got, want, "f32");
    if (e > worst) [worst, at] = [e, x[k]!];
  });
  return [worst, at];
}
