/** Random kernels for tests: loops, lanes, tests, registers, gathers. Every index is in bounds by construction. */
import { computeDType, type DType, isFloat } from "../../src/core/dtype.js";
import { add, type Dim, div, hi, lo, mod, mul, sub, variable } from "../../src/core/expr.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  constant,
  indexValue,
  type Kernel,
  load,
  ref,
  type Stmt,
  store,
  type Test,
  type Value,
} from "../../src/kernel/kernel.js";

/** Numbers in [0, 1) from a seed. */
function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) ^ (state & 255)) / 2 ** 24;
  };
}

const inputs: readonly DType[] = ["f32", "f32", "f64", "bf16", "f16", "i32", "u8", "i64", "bool"];

/** A kernel of the seed, its symbolic dim `n` to be bound to at most 40. Its results are exact: small integers in every dtype. */
export function randomKernel(seed: number): Kernel {
  const random = randomNumbers(seed);
  const pick = <T>(xs: readonly T[]): T => xs[Math.floor(random() * xs.length)]!;
  const upTo = (k: number): number => Math.floor(random() * k);
  const n = variable("n", 0, 40);
  const width = 64;
  const buffers: Buffer[] = inputs.map((dtype, i) => ({ name: `in${i}x`, dtype, space: "global", size: 4 * width }));
  const outs: Buffer[] = (["f32", "i32", "f16", "bool", "i64"] as const).map((dtype, i) => ({
    name: `out${i}x`,
    dtype,
    space: "global",
    size: 8 * width,
    writes: true,
  }));
  const acc: Buffer = { name: "acc", dtype: "f32", space: "reg", size: 64 };
  const sum: Buffer = { name: "sum", dtype: "f32", space: "reg", size: 4 };
  const kept: Buffer = { name: "kept", dtype: "f32", space: "shared", size: 2 * width };
  const pid = variable("pid", 0, 1);
  let names = 0;

  /** An index in [0, size) made of what is in scope. */
  const index = (size: number, scope: readonly Dim[]): Dim => {
    const some = scope
      .filter(() => random() < 0.6)
      .map((d) => mul(random() < 0.15 ? div(d, 1 + upTo(4)) : d, random() < 0.7 ? 1 : 1 + upTo(3)));
    let e = add(upTo(4), ...some);
    if (random() < 0.15) e = sub(size - 1, e);
    if (lo(e) >= 0 && hi(e) < size) return e;
    return mod(e, size);
  };
  const forms = new Map<Dim, { readonly by: number; readonly turned: boolean }>();
  /** Where lanes may read and write: each has places of its own, so their order does not matter. */
  const own = (size: number, scope: readonly Dim[], lane: Dim | undefined): Dim => {
    if (lane === undefined) return index(size, scope);
    const others = scope.filter((d) => d !== lane);
    let form = forms.get(lane);
    if (!form) forms.set(lane, (form = { by: pick([1, 1, 1, 2]), turned: random() < 0.2 }));
    const { by, turned } = form;
    const start = mul(index(size / (16 * by), others), 16 * by);
    return add(start, turned ? sub(16 * by - 1, mul(lane, by)) : mul(lane, by));
  };
  const test = (scope: readonly Dim[]): Test =>
    random() < 0.85
      ? below(index(width, scope), random() < 0.5 ? 1 + upTo(width) : add(n, upTo(8)))
      : { a: index(8, scope), op: "==", b: upTo(8) };
  const made = (v: Value, to: DType): Value => (computeDType(v.dtype) === computeDType(to) ? v : apply("cast", computeDType(to), v));
  const small = (v: Value): Value =>
    isFloat(v.dtype) ? apply("max", v.dtype, apply("min", v.dtype, v, constant(8, v.dtype)), constant(-8, v.dtype)) : v;
  const value = (depth: number, scope: readonly Dim[], lets: readonly Value[]): Value => {
    const roll = depth <= 0 ? random() * 0.45 : random();
    if (roll < 0.25) {
      const b = pick(buffers);
      return load(b, index(4 * width, scope));
    }
    if (roll < 0.3) return constant(upTo(5) - 2, "f32");
    if (roll < 0.37) return indexValue(index(32, scope), pick(["f32", "i32", "i64"]));
    if (roll < 0.45) return lets.length ? pick(lets) : constant(1, "i32");
    const a = value(depth - 1, scope, lets);
    const t = computeDType(a.dtype);
    if (roll < 0.55) {
      const b = made(value(depth - 1, scope, lets), t);
      return { kind: "select", dtype: t, tests: Array.from({ length: 1 + upTo(2) }, () => test(scope)), then: a, else: b };
    }
    if (roll < 0.62) return apply("cast", pick(["f32", "i32", "i64", "bool", "f16", "bf16", "u8", "i8"]), a);
    const b = made(value(depth - 1, scope, lets), t);
    if (roll < 0.7) return apply(pick(["lt", "le", "eq", "ne"]), "bool", a, b);
    if (roll < 0.78) return apply("where", t, made(value(depth - 1, scope, lets), "bool"), a, b);
    return t === "bool" ? apply(pick(["and", "or", "xor"]), t, a, b) : small(apply(pick(["add", "sub", "mul", "max", "min"]), t, a, b));
  };

  const block = (depth: number, scope: readonly Dim[], outerLets: readonly Value[], lane: Dim | undefined): Stmt[] => {
    const body: Stmt[] = [];
    let lets = outerLets;
    let inner = scope;
    const vector = lane !== undefined;
    for (let k = 1 + upTo(3); k > 0; k--) {
      const roll = random();
      if (roll < 0.3 && depth > 0) {
        const kind = pick<Axis["kind"]>(vector ? ["loop", "unroll"] : ["loop", "unroll", "vector", "vector"]);
        const size: Dim = kind === "vector" ? pick([4, 8, 16, 3]) : kind === "unroll" ? 1 + upTo(3) : random() < 0.4 ? n : 1 + upTo(4);
        const a = axis(`i${names++}z`, size, kind);
        body.push({ kind: "for", axis: a, body: block(depth - 1, [...inner, at(a)], lets, kind === "vector" ? at(a) : lane) });
      } else if (roll < 0.42 && depth > 0) {
        const otherwise = random() < 0.5 ? { else: block(depth - 1, inner, lets, lane) } : {};
        body.push({ kind: "if", test: test(inner), body: block(depth - 1, inner, lets, lane), ...otherwise });
      } else if (roll < 0.5) {
        const name = `v${names++}z`;
        const v = value(2, inner, lets);
        body.push({ kind: "let", name, value: v });
        lets = [...lets, { kind: "ref", dtype: computeDType(v.dtype), name }];
      } else if (roll < 0.57) {
        const name = `g${names++}z`;
        const most = random() < 0.5 ? 20 : add(n, 3);
        body.push({ kind: "letIndex", name, value: apply("cast", pick(["i32", "i64"]), value(1, inner, lets)), min: 0, max: most });
        inner = [...inner, variable(name, 0, hi(most))];
      } else if (roll < 0.64) body.push(store(acc, own(64, inner, lane), made(value(2, inner, lets), "f32")));
      else if (roll < 0.7) body.push(store(kept, own(2 * width, inner, lane), made(value(2, inner, lets), "f32")));
      else if (roll < 0.76 && !vector) {
        const axes = [axis(`c${names++}z`, 1 + upTo(3), "unroll"), axis(`c${names++}z`, pick([4, 8, 3]), "vector")];
        const v = made(value(1, [...inner, ...axes.map(at)], lets), "f32");
        body.push({ kind: "combine", op: pick(["add", "max", "min"]), axes, threads: 1, value: v, into: ref(sum, upTo(4)) });
      } else if (roll < 0.8)
        body.push({
          kind: "atomic",
          op: "add",
          buffer: "out4x",
          index: index(8 * width, inner),
          value: made(value(2, inner, lets), "i64"),
        });
      else {
        const b = pick(outs.slice(0, 4));
        const held: Value =
          random() < 0.3 ? load(pick([acc, kept]), own(64, inner, lane)) : random() < 0.2 ? load(sum, upTo(4)) : value(3, inner, lets);
        body.push(store(b, own(8 * width, inner, lane), made(held, b.dtype)));
      }
    }
    return body;
  };
  const clear = (b: Buffer): Stmt => {
    const a = axis(`z${names++}z`, b.size, b.space === "reg" ? "unroll" : "loop");
    return { kind: "for", axis: a, body: [store(b, at(a), constant(0, "f32"))] };
  };
  const body = [clear(acc), clear(sum), clear(kept), ...block(4, [pid], [], undefined), ...block(4, [pid], [], undefined)];
  return { name: "random", buffers: [...buffers, ...outs, acc, sum, kept], dims: [n], grid: 2, threads: 1, body };
}

/** Contents for the buffers of a random kernel: small whole numbers. */
export function randomContents(k: Kernel, seed: number): number[][] {
  const random = randomNumbers(seed);
  return k.buffers
    .filter((b) => b.space === "global")
    .map((b) =>
      Array.from({ length: hi(b.size) }, () =>
        b.dtype === "bool" ? Math.floor(random() * 2) : b.dtype[0] === "u" ? Math.floor(random() * 9) : Math.floor(random() * 17) - 8,
      ),
    );
}
