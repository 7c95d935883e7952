/** Kernel -> C. Vector extensions of GCC and clang for all lanes at once, so one printer serves AVX2, AVX-512 and NEON. */
import { bytesOf, computeDType, type DType, isFloat, isHalf, isInt } from "../../core/dtype.js";
import { InternalError, UnsupportedError } from "../../core/errors.js";
import { hi } from "../../core/expr.js";
import type { Codegen, Template } from "../../kernel/codegen.js";
import type { Dialect, Printed, Text } from "../../kernel/dialect.js";
import type { Buffer, Kernel } from "../../kernel/kernel.js";
import { print } from "../../kernel/print.js";
import { spellIndex } from "../../kernel/spell.js";
import type { ScalarOp } from "../../ops/scalar.js";
import type { KernelCode } from "../../runtime/program.js";
import { amxWords, tilePrelude, usesTiles } from "./amx.js";
import { abiVersion } from "./pool.js";
import { hasHelper, helpersFor, word } from "./prelude.js";
import { type CpuTarget, cTarget } from "./target.js";

/** The C backend's compile-time half for a processor. `claims` are the templates that its caller wants tried. */
export function cCodegen(cpu: CpuTarget, claims: readonly Template[] = []): Codegen {
  return {
    name: "c",
    key: { backend: "c", arch: cpu.arch, features: [...cpu.features].sort(), format: abiVersion },
    target: cTarget(cpu),
    prelude: (kernels) => {
      const text = kernels.map((k) => k.source).join("\n");
      return [...(usesTiles(text) ? [tilePrelude] : []), ...helpersFor(text)].join("\n");
    },
    render: (k) => print(k, c),
    claims,
  };
}

const reserved = new Set(
  (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed sizeof static struct switch typedef " +
    "union unsigned void volatile while asm typeof args dims begin end scratch main abs exp log pow sin cos tan floor ceil round trunc sqrt fma erf erfc tanh y0 y1 yn j0 j1 jn " +
    "bool true false linux unix NULL"
  ).split(" "),
);
const infix: Readonly<Partial<Record<ScalarOp, string>>> = { add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^" };
const on = (name: string, lanes: number): string => `${name}x${lanes}`;
const call = (name: string, lanes: number, args: readonly string[]): string => {
  if (!hasHelper(name)) throw new UnsupportedError(`C has no ${name.replace("_", " of ")}; cast to a dtype that it is defined for`);
  return `${on(name, lanes)}(${args.join(", ")})`;
};

/** A scalar operation on one lane or many. Small integers wrap at every operation. */
function op(name: ScalarOp, dtype: DType, args: readonly Text[], lanes: number): string {
  const texts = args.map((a) => a.text);
  const from = args[0]!.dtype;
  const [a, b] = texts;
  switch (name) {
    case "cast":
      return cast(a!, computeDType(from), dtype, lanes);
    case "bitcast":
      return bitcast(a!, from, dtype, lanes);
    case "where":
      return call(`sel_${computeDType(dtype)}`, lanes, texts);
    case "lt":
    case "le":
    case "eq":
    case "ne":
      return call(`${name}_${from}`, lanes, texts);
    case "pair":
      throw new UnsupportedError("C has no words of computed half floats; choose a tiling without them");
    case "expnear":
      return call(`exp_${dtype}`, lanes, texts);
    case "exp2near":
      return call(`exp2_${dtype}`, lanes, texts);
    case "isnan":
      return from === "bool" ? op("xor", "bool", [args[0]!, args[0]!], lanes) : call(`isnan_${from}`, lanes, texts);
    case "neg":
      return dtype === "bool" ? a! : `((${on(dtype, lanes)})-${a})`;
    case "not":
      return dtype === "bool" ? call("not_bool", lanes, texts) : `((${on(dtype, lanes)})~${a})`;
    case "div":
      if (isFloat(dtype)) return `(${a} / ${b})`;
      break;
    case "add":
    case "max":
      if (dtype === "bool") return `(${a} | ${b})`;
      break;
    case "mul":
    case "min":
      if (dtype === "bool") return `(${a} & ${b})`;
      break;
    case "sub":
      if (dtype === "bool") return `(${a} ^ ${b})`;
      break;
    case "abs":
      if (dtype === "bool") return a!;
      break;
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      if (!isFloat(dtype)) return a!;
      break;
  }
  const sign = infix[name];
  if (!sign) return call(`${name}_${dtype}`, lanes, texts);
  if (isFloat(dtype) && "&|^".includes(sign)) throw new InternalError(`${name} of ${dtype}`);
  const text = `(${a} ${sign} ${b})`;
  return lanes === 1 && isInt(dtype) && bytesOf(dtype) < 4 ? `((${on(dtype, 1)})${text})` : text;
}
function cast(a: string, from: DType, to: DType, lanes: number): string {
  if (isHalf(to)) return call(`round_${to}`, lanes, [cast(a, from, "f32", lanes)]);
  return from === to ? a : call(`cast_${from}_${to}`, lanes, [a]);
}
function bitcast(a: string, from: DType, to: DType, lanes: number): string {
  if (from === to) return a;
  if (isHalf(from)) return bitcast(call(`narrow_${from}`, lanes, [a]), "u16", to, lanes);
  if (isHalf(to)) return call(`widen_${to}`, lanes, [bitcast(a, from, "u16", lanes)]);
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (isFloat(from) || isFloat(to)) return call(`bits_${from}_${to}`, lanes, [a]);
  return `((${on(to, lanes)})${a})`;
}

const quoted = (x: number): string => (Number.isInteger(x) && Math.abs(x) < 1e15 ? (Object.is(x, -0) ? "-0.0" : x.toFixed(1)) : `${x}`);
/** A number of a dtype. */
function literal(value: number | bigint, dtype: DType): string {
  switch (dtype) {
    case "bool":
      return Number(value) ? "1" : "0";
    case "i64":
      return BigInt(value) === -(2n ** 63n) ? "(-9223372036854775807ll - 1)" : `${value}ll`;
    case "u64":
      return `${value}ull`;
    case "u32":
      return `${value}u`;
    case "i32":
      return Number(value) === -(2 ** 31) ? "(-2147483647 - 1)" : Number(value) < 0 ? `(${value})` : `${value}`;
    case "u8":
    case "u16":
    case "i8":
    case "i16":
      return `((${on(dtype, 1)})${value})`;
    case "f64": {
      const x = Number(value);
      return Number.isNaN(x)
        ? `__builtin_nan("")`
        : Number.isFinite(x)
          ? x < 0 || Object.is(x, -0)
            ? `(${quoted(x)})`
            : quoted(x)
          : `(${x < 0 ? "-" : ""}__builtin_inf())`;
    }
    default: {
      const x = Math.fround(Number(value));
      return Number.isNaN(x)
        ? `__builtin_nanf("")`
        : Number.isFinite(x)
          ? x < 0 || Object.is(x, -0)
            ? `(${quoted(x)}f)`
            : `${quoted(x)}f`
          : `(${x < 0 ? "-" : ""}__builtin_inff())`;
    }
  }
}
const unsupported = (what: string): never => {
  throw new UnsupportedError(`C has no ${what}; choose a tiling without it`);
};

/** The words of C. */
const c: Dialect = {
  vectors: "native",
  access: 64,
  conditional: true,
  reserved,
  literal,
  op,
  splat: (x, dtype, lanes) => on(`splat_${dtype}`, lanes) + `(${x})`,
  held: (x, dtype, lanes) => (hasHelper(`held_${dtype}`) ? call(`held_${dtype}`, lanes, [x]) : x),
  pack: (lanes, dtype) =>
    dtype === "bool"
      ? `(${on("i32", lanes.length)}){${lanes.map((x) => `-(${x} != 0)`).join(", ")}}`
      : `(${on(dtype, lanes.length)}){${lanes.join(", ")}}`,
  lane: (x, l, dtype, lanes) => (dtype === "bool" ? `(-(${laneOf(x, l, "i32", lanes)}))` : laneOf(x, l, dtype, lanes)),
  insert: (x, l, v, dtype, lanes) => `${on(`insert_${dtype}`, lanes)}(${x}, ${l}, ${v})`,
  ramp: (base, step, dtype, lanes) =>
    dtype === "bool" ? `(${on("ramp_i32", lanes)}(${base}, ${step}) != 0)` : `${on(`ramp_${dtype}`, lanes)}(${base}, ${step})`,
  index: (e, name) =>
    spellIndex(e, name, {
      number: (n) => (Math.abs(n) < 2 ** 31 ? `${n}` : `${n}ll`),
      div: (a, b, small) =>
        small === "u32" ? `(i64x1)((u32x1)(${a}) / (u32x1)(${b}))` : small === "u64" ? `((${a}) / (${b}))` : `floordiv_i64x1(${a}, ${b})`,
      mod: (a, b, small) =>
        small === "u32" ? `(i64x1)((u32x1)(${a}) % (u32x1)(${b}))` : small === "u64" ? `((${a}) % (${b}))` : `floormod_i64x1(${a}, ${b})`,
      xor: (a, b) => `((${a}) ^ (${b}))`,
      min: (a, b) => `least_i64x1(${a}, ${b})`,
      max: (a, b) => `most_i64x1(${a}, ${b})`,
    }),
  fromIndex: (i, dtype) => (dtype === "bool" ? `((${i}) != 0)` : `((${word[dtype]})(${i}))`),
  clamp: (v, min, max) => `most_i64x1(${min}, least_i64x1(${max}, ${cast(v.text, v.dtype, "i64", 1)}))`,
  declare: (name, dtype, lanes, value) => `const ${on(dtype, lanes)} ${name} = ${value};`,
  declareIndex: (name, value) => `const i64x1 ${name} = ${value};`,
  declareIndices: (name, values) => [`const i64x1 ${name}[${values.length}] = {${values.join(", ")}};`],
  variable: (name, dtype, lanes) => `${on(dtype, lanes)} ${name};`,
  array: (name, dtype, size) => `${word[dtype]} ${name}[${size}];`,
  assign: (to, value) => `${to} = ${value};`,
  loop: (name, count) => `for (i64x1 ${name} = 0; ${name} < ${count}; ${name}++) {`,
  branch: (test) => `if (${test}) {`,
  test: (a, o, b) => `${a} ${o} ${b}`,
  and: (tests) => tests.map((t) => (tests.length > 1 ? `(${t})` : t)).join(" && "),
  choose: (test, a, b) => `(${test} ? ${a} : ${b})`,
  block: (lines, result) => `({ ${lines.join(" ")} ${result}; })`,
  load: (b, i, lanes) =>
    lanes === 1 && !["f16", "bf16", "bool"].includes(b.dtype) ? `${b.name}[${i}]` : `${on(`load_${b.dtype}`, lanes)}(${b.name} + ${i})`,
  word: (b, i, lanes) => `${on("word_u32", lanes)}(${b.name} + ${i})`,
  wide: () => unsupported("unrolled lanes"),
  wideLane: () => unsupported("unrolled lanes"),
  store: (b, i, [value], lanes, stream) => {
    const v = unrounded(value!, b.dtype, lanes);
    return stream && [16, 32, 64].includes(lanes * bytesOf(b.dtype)) && b.dtype !== "bool"
      ? `${on(`stream_${b.dtype}`, lanes)}(${b.name} + ${i}, ${v});`
      : lanes === 1 && !["f16", "bf16", "bool"].includes(b.dtype)
        ? `${b.name}[${i}] = ${v};`
        : `${on(`store_${b.dtype}`, lanes)}(${b.name} + ${i}, ${v});`;
  },
  atomic: (o, b, i, v) => `${call(`atomic_${o}_${b.dtype}`, 1, [`${b.name} + ${i}`, v])};`,
  hold: (v, storage, lanes) => (isHalf(storage) ? call(`round_${storage}`, lanes, [v]) : v),
  across: (o, x, dtype, lanes) => call(`across_${o}_${dtype}`, lanes, [x]),
  acrossEach: (o, xs, dtype, lanes) =>
    o === "add" && dtype === "f32" && xs.length === 4 && lanes >= 4
      ? call("sums_f32", lanes, xs)
      : `(${on(dtype, xs.length)}){${xs.map((x) => call(`across_${o}_${dtype}`, lanes, [x])).join(", ")}}`,
  overThreads: () => unsupported("threads inside a grid point"),
  barrier: () => "",
  copy: (to, at, from, i, n) => `__builtin_memcpy(${to.name} + ${at}, ${from.name} + ${i}, ${n * bytesOf(to.dtype)});`,
  prefetch: (b, i, second) => `__builtin_prefetch(${b.name} + ${i}${second ? ", 0, 2" : ""});`,
  commit: () => "",
  wait: () => "",
  turn: (to, at, toStride, from, i, fromStride, rows) =>
    `${on("turn_u32", 16)}(${to.name} + ${at}, (${toStride}) * ${bytesOf(to.dtype)}, ${from.name} + ${i}, (${fromStride}) * ${bytesOf(from.dtype)}, ${rows});`,
  copyTile: () => unsupported("tile copies in the background"),
  signal: () => unsupported("signals between threads"),
  ...amxWords,
  finish,
};
/** What is rounded to a half float on its way into a buffer of them: the store rounds it, and the same way. */
function unrounded(text: string, dtype: DType, lanes: number): string {
  const head = isHalf(dtype) ? `${on(`round_${dtype}`, lanes)}(` : "";
  if (!head || !text.startsWith(head)) return text;
  let depth = 1;
  for (let i = head.length; i < text.length - 1; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return text;
  }
  return text.slice(head.length, -1);
}
/** A constant lane, or a running one of a copy: the vector itself stays in its register. */
const laneOf = (x: string, l: number | string, dtype: string, lanes: number): string =>
  typeof l === "number" ? `(${x})[${l}]` : `((const ${on(dtype, 1)}*)(const ${on(dtype, lanes)}[1]){${x}})[${l}]`;

/** Byte offsets of the shared buffers in the scratch of one thread. Large ones start on pages of their own, 64 bytes apart in the cache. */
function scratch(k: Kernel): { readonly lines: string[]; readonly bytes: number } {
  let bytes = 0;
  const lines: string[] = [];
  for (const b of k.buffers.filter((x) => x.space === "shared")) {
    const size = hi(b.size) * bytesOf(b.dtype);
    if (!Number.isFinite(size)) throw new UnsupportedError(`kernel ${k.name}: scratch ${b.name} has no upper bound; give its dims one`);
    lines.push(`${word[b.dtype]}* restrict const ${b.name} = (${word[b.dtype]}*)(scratch + ${bytes});`);
    bytes += size < 4096 ? Math.ceil(size / 64) * 64 : Math.ceil((size + 64) / 4096) * 4096 + 64;
  }
  return { lines, bytes };
}
function finish(k: Kernel, p: Printed): KernelCode {
  const renamed = { ...k, buffers: k.buffers.map((b): Buffer => ({ ...b, name: p.name(b.name) })) };
  const global = renamed.buffers.filter((b) => b.space === "global");
  const shared = scratch(renamed);
  const lines = [
    `void ${p.entry}(void* const* args, const i64x1* dims, i64x1 begin, i64x1 end, char* scratch) {`,
    ...global.map((b, i) => `${b.writes ? "" : "const "}${word[b.dtype]}* const ${b.name} = args[${i}];`),
    ...shared.lines,
    ...k.dims.map((d, i) => `const i64x1 ${p.index(d)} = dims[${i}];`),
    ...p.registers,
    ...(p.body.some(usesTiles) ? ["configure_tiles();"] : []),
    "for (i64x1 pid = begin; pid < end; pid++) {",
    ...p.body,
    "}",
    ...(p.body.some((l) => /\bstream_/.test(l)) ? ["stream_endx1();"] : []),
    "}",
  ];
  return {
    entry: p.entry,
    source: `${lines.join("\n")}\n`,
    threads: 1,
    sharedBytes: shared.bytes,
    writes: global.map((b) => b.writes === true),
  };
}
