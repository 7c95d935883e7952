/** Kernel -> CUDA C++ for NVRTC. Lanes are written one by one, with wide loads and stores where alignment is proved. */

import { bytesOf, computeDType, type DType, isFloat, isHalf, isInt } from "../../core/dtype.js";
import { UnsupportedError } from "../../core/errors.js";
import { hi } from "../../core/expr.js";
import { roundUp } from "../../core/numbers.js";
import type { Codegen, Template } from "../../kernel/codegen.js";
import { awaits } from "../../kernel/dependency.js";
import type { Dialect, Printed, Text } from "../../kernel/dialect.js";
import type { Buffer, Kernel, Stmt } from "../../kernel/kernel.js";
import { partsFor } from "../../kernel/parts.js";
import { print } from "../../kernel/print.js";
import { spellIndex } from "../../kernel/spell.js";
import { eachStmt } from "../../kernel/walk.js";
import type { ScalarOp } from "../../ops/scalar.js";
import type { KernelCode } from "../../runtime/program.js";
import { cudaKey } from "./key.js";
import { parts, word } from "./prelude.js";
import { type CudaTarget, cudaTarget } from "./target.js";
import { unitWords } from "./units.js";

/** The CUDA backend's compile-time half for a GPU. */
export function cudaCodegen(gpu: CudaTarget, claims: readonly Template[] = []): Codegen {
  const target = cudaTarget(gpu);
  return {
    name: "cuda",
    key: cudaKey(gpu.sm),
    target,
    prelude: (kernels) => partsFor(parts, kernels.map((k) => k.source).join("\n")).join("\n"),
    render(k) {
      const code = print(k, cuda);
      if (hi(code.sharedBytes) > target.sharedBytes)
        throw new UnsupportedError(
          `kernel ${k.name}: ${code.sharedBytes} bytes of shared memory, and the GPU has ${target.sharedBytes} for a block; choose smaller tiles`,
        );
      return code;
    },
    claims,
  };
}

const reserved = new Set([
  ...(
    "alignas alignof and asm auto bitand bitor bool break case catch char class compl const constexpr continue decltype default delete do double else enum explicit export extern false " +
    "float for friend goto if inline int long mutable namespace new noexcept not nullptr operator or private protected public register return short signed sizeof static struct switch " +
    "template this throw true try typedef typeid typename union unsigned using virtual void volatile while xor threadIdx blockIdx blockDim gridDim warpSize smem ix main " +
    "abs exp log pow sin cos tan floor ceil round trunc sqrt fma erf erfc tanh max min y0 y1 yn j0 j1 jn fabs fmod memcpy half"
  ).split(" "),
  ...parts.keys(),
]);

/** The word of a value; bool is 0 or 1 in an int. */
const valueWord = (dtype: DType): string => (dtype === "bool" ? "int" : word[computeDType(dtype)]);
const infix: Readonly<Partial<Record<ScalarOp, string>>> = { add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^" };
const compare = { lt: "<", le: "<=", eq: "==", ne: "!=" } as const;

function op(name: ScalarOp, dtype: DType, args: readonly Text[]): string {
  const [a, b, c] = args.map((x) => x.text);
  const from = args[0]!.dtype;
  const f = dtype === "f32" ? "f" : "";
  switch (name) {
    case "dot2":
    case "dot4":
      throw new UnsupportedError("CUDA has no products of words; choose a tiling without them");
    case "pair":
      return `narrow2_${from}(${unrounded(a!, from)}, ${unrounded(b!, from)})`;
    case "expnear":
    case "exp2near":
      return `${name}_(${a})`;
    case "cast":
      return cast(a!, computeDType(from), dtype);
    case "bitcast":
      return bitcast(a!, from, dtype);
    case "where":
      return `(${a} ? ${b} : ${c})`;
    case "lt":
    case "le":
    case "eq":
    case "ne":
      return `(${a} ${compare[name]} ${b})`;
    case "isnan":
      return isFloat(from) ? `(${a} != ${a})` : "0";
    case "neg":
      return dtype === "bool" ? a! : `((${valueWord(dtype)})-${a})`;
    case "not":
      return dtype === "bool" ? `(!${a})` : `((${valueWord(dtype)})~${a})`;
    case "fma":
      return isFloat(dtype) ? `fma${f}(${a}, ${b}, ${c})` : `((${valueWord(dtype)})(${a} * ${b} + ${c}))`;
    case "max":
    case "min":
      return dtype === "bool" ? `(${a} ${name === "max" ? "|" : "&"} ${b})` : `${name}_<${valueWord(dtype)}>(${a}, ${b})`;
    case "mulhi":
      return dtype === "u32" ? `__umulhi(${a}, ${b})` : `__mulhi(${a}, ${b})`;
    case "round":
      return isFloat(dtype) ? `rint${f}(${a})` : a!;
    case "floor":
    case "ceil":
    case "trunc":
      return isFloat(dtype) ? `${name}${f}(${a})` : a!;
    case "abs":
      return isFloat(dtype) ? `fabs${f}(${a})` : dtype[0] === "i" ? `abs_<${valueWord(dtype)}>(${a})` : a!;
    case "rem":
      return isFloat(dtype) ? `fmod${f}(${a}, ${b})` : `rem_<${valueWord(dtype)}>(${a}, ${b})`;
    case "div":
      return isFloat(dtype) ? `(${a} / ${b})` : `div_<${valueWord(dtype)}>(${a}, ${b})`;
    case "pow":
      if (!isFloat(dtype)) return `pow_<${valueWord(dtype)}>(${a}, ${b})`;
      break;
    case "shl":
    case "shr":
      return `${name}_<${valueWord(dtype)}>(${a}, ${b})`;
    case "add":
    case "mul":
      if (dtype === "bool") return `(${a} ${name === "add" ? "|" : "&"} ${b})`;
      break;
    case "sub":
      if (dtype === "bool") return `(${a} ^ ${b})`;
      break;
    default:
  }
  const sign = infix[name];
  if (sign) return isInt(dtype) && bytesOf(dtype) < 4 ? `((${valueWord(dtype)})(${a} ${sign} ${b}))` : `(${a} ${sign} ${b})`;
  if (!isFloat(dtype)) throw new UnsupportedError(`CUDA has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
  return `${name}${f}(${args.map((x) => x.text).join(", ")})`;
}
function cast(a: string, from: DType, to: DType): string {
  if (isHalf(to)) return `widen_${to}(narrow_${to}(${cast(a, from, "f32")}))`;
  if (from === to) return a;
  if (to === "bool") return `(${a} != 0)`;
  if (isFloat(from) && isInt(to)) return `to_int<${valueWord(to)}>(${a})`;
  return `((${valueWord(to)})${a})`;
}
function bitcast(a: string, from: DType, to: DType): string {
  if (from === to) return a;
  if (isHalf(from)) return bitcast(`narrow_${from}(${a})`, "u16", to);
  if (isHalf(to)) return `widen_${to}(${bitcast(a, from, "u16")})`;
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (from === "f32") return `((${valueWord(to)})__float_as_int(${a}))`;
  if (to === "f32") return `__int_as_float((int)${a})`;
  if (from === "f64") return `((${valueWord(to)})__double_as_longlong(${a}))`;
  if (to === "f64") return `__longlong_as_double((i64)${a})`;
  return `((${valueWord(to)})${a})`;
}
const quoted = (x: number): string => (Number.isInteger(x) && Math.abs(x) < 1e15 ? (Object.is(x, -0) ? "-0.0" : x.toFixed(1)) : `${x}`);
function literal(value: number | bigint, dtype: DType): string {
  const x = Number(value);
  switch (dtype) {
    case "bool":
      return x ? "1" : "0";
    case "i64":
      return BigInt(value) === -(2n ** 63n) ? "(-9223372036854775807ll - 1)" : `${value}ll`;
    case "u64":
      return `${value}ull`;
    case "u32":
      return `${value}u`;
    case "i32":
      return x === -(2 ** 31) ? "(-2147483647 - 1)" : x < 0 ? `(${x})` : `${x}`;
    case "u8":
    case "u16":
    case "i8":
    case "i16":
      return `((${word[dtype]})${value})`;
    case "f64":
      if (Number.isNaN(x)) return "((double)not_a_number)";
      return Number.isFinite(x) ? (x < 0 || Object.is(x, -0) ? `(${quoted(x)})` : quoted(x)) : `(${x < 0 ? "-" : ""}(double)infinity)`;
    default: {
      const y = Math.fround(x);
      if (Number.isNaN(y)) return "not_a_number";
      return Number.isFinite(y) ? (y < 0 || Object.is(y, -0) ? `(${quoted(y)}f)` : `${quoted(y)}f`) : `(${y < 0 ? "-" : ""}infinity)`;
    }
  }
}
const half = (dtype: DType): boolean => isHalf(dtype);
const pair = (v: readonly string[], f: (a: string, b: string) => string): string[] =>
  Array.from({ length: v.length / 2 }, (_, i) => f(v[2 * i]!, v[2 * i + 1]!));
/** What a half float is stored from: rounding to it twice is rounding once. */
function unrounded(text: string, dtype: DType): string {
  const start = `widen_${dtype}(narrow_${dtype}(`;
  if (!text.startsWith(start) || !text.endsWith("))")) return text;
  const inner = text.slice(start.length, -2);
  let depth = 0;
  for (const c of inner) {
    depth += c === "(" ? 1 : c === ")" ? -1 : 0;
    if (depth < 0) return text;
  }
  return inner;
}
const native = (): never => {
  throw new UnsupportedError("CUDA has no vector values");
};

/** Whether threads give registers to others: as many as fit one block are then theirs from the start. */
function movesRegisters(body: readonly Stmt[]): boolean {
  let found = false;
  eachStmt(body, (s) => {
    found ||= s.kind === "registers";
  });
  return found;
}

/** The words of CUDA C++. */
const cuda: Dialect = {
  vectors: "unrolled",
  access: 16,
  conditional: true,
  reserved,
  literal,
  op: (name, dtype, args) => op(name, dtype, args),
  splat: (x) => x,
  held: (x) => x,
  pack: native,
  lane: native,
  insert: native,
  ramp: native,
  block: native,
  index: (e, name) =>
    spellIndex(e, name, {
      number: (n) => (Math.abs(n) < 2 ** 31 ? `${n}` : `${n}ll`),
      div: (a, b, reach) =>
        reach === "u32" ? `(ix)((u32)(${a}) / (u32)(${b}))` : reach === "u64" ? `((${a}) / (${b}))` : `floor_div<ix>(${a}, ${b})`,
      mod: (a, b, reach) =>
        reach === "u32" ? `(ix)((u32)(${a}) % (u32)(${b}))` : reach === "u64" ? `((${a}) % (${b}))` : `floor_mod<ix>(${a}, ${b})`,
      xor: (a, b) => `((${a}) ^ (${b}))`,
      min: (a, b) => `least<ix>(${a}, ${b})`,
      max: (a, b) => `most<ix>(${a}, ${b})`,
    }),
  fromIndex: (i, dtype) => (dtype === "bool" ? `((${i}) != 0)` : `((${word[dtype]})(${i}))`),
  clamp: (v, min, max) => `(ix)most<i64>(${min}, least<i64>(${max}, ${cast(v.text, v.dtype, "i64")}))`,
  declare: (name, dtype, _lanes, value) => `const ${valueWord(dtype)} ${name} = ${value};`,
  declareIndex: (name, value) => `const ix ${name} = ${value};`,
  declareIndices: native,
  variable: (name, dtype) => `${valueWord(dtype)} ${name};`,
  array: (name, dtype, size) => `${word[dtype]} ${name}[${size}];`,
  assign: (to, value) => `${to} = ${value};`,
  loop: (name, count) => `#pragma unroll 1\nfor (ix ${name} = 0; ${name} < ${count}; ${name}++) {`,
  branch: (test) => `if (${test}) {`,
  test: (a, o, b) => `${a} ${o} ${b}`,
  and: (tests) => tests.map((t) => (tests.length > 1 ? `(${t})` : t)).join(" && "),
  choose: (test, a, b) => `(${test} ? ${a} : ${b})`,
  word: () => {
    throw new UnsupportedError("CUDA has no words of narrow elements; choose a tiling without them");
  },
  load: (b, i) => (half(b.dtype) ? `widen_${b.dtype}(${b.name}[${i}])` : `${b.name}[${i}]`),
  wide: (b, i, lanes, name) =>
    `const vec<${word[b.dtype]}, ${lanes}> ${name} = *(const vec<${word[b.dtype]}, ${lanes}>*)(${b.name} + ${i});`,
  wideLane: (b, name, l) => (half(b.dtype) ? `widen_${b.dtype}(${name}.v[${l}])` : `${name}.v[${l}]`),
  store: (b, i, values, lanes) => {
    const v = half(b.dtype) ? values.map((x) => unrounded(x, b.dtype)) : values;
    if (lanes === 1) return `${b.name}[${i}] = ${half(b.dtype) ? `narrow_${b.dtype}(${v[0]})` : v[0]};`;
    if (half(b.dtype) && lanes % 2 === 0)
      return `*(vec<u32, ${lanes / 2}>*)(${b.name} + ${i}) = {{${pair(v, (x, y) => `narrow2_${b.dtype}(${x}, ${y})`).join(", ")}}};`;
    return `*(vec<${word[b.dtype]}, ${lanes}>*)(${b.name} + ${i}) = {{${v.map((x) => (bytesOf(b.dtype) < 4 ? `(${word[b.dtype]})${x}` : x)).join(", ")}}};`;
  },
  atomic: (o, b, i, v) => {
    if (bytesOf(b.dtype) < 4) throw new UnsupportedError(`CUDA has no atomics on ${b.dtype}; gather in f32 or i32 first`);
    if (o === "add") return b.dtype === "i64" ? `atomic_add_i64(${b.name} + ${i}, ${v});` : `atomic_add(${b.name} + ${i}, ${v});`;
    return `atomic_<op_${o}>(${b.name} + ${i}, ${v});`;
  },
  hold: (v, storage) => (half(storage) ? `widen_${storage}(narrow_${storage}(${v}))` : v),
  across: (_o, x) => x,
  acrossEach: () => {
    throw new UnsupportedError("CUDA has no native vectors");
  },
  overThreads: (o, x, dtype, threads, all) => {
    const kind = { bool: { add: "or", max: "or", mul: "and", min: "and" } as Record<string, string> }[dtype as "bool"]?.[o] ?? o;
    const value = isInt(dtype) && bytesOf(dtype) < 4 ? `((int)${x})` : x;
    const how = threads <= 32 && Number.isInteger(Math.log2(threads)) ? "warp" : threads % 32 === 0 && all % 32 === 0 ? "block" : "group";
    const text = `${how}_combine<op_${kind}, ${threads}, ${all}>(${value})`;
    return isInt(dtype) && bytesOf(dtype) < 4 ? `((${word[dtype]})${text})` : text;
  },
  barrier: (warp) => (warp ? "__syncwarp();" : "__syncthreads();"),
  copy: (to, at, from, i, n) => {
    const bytes = n * bytesOf(to.dtype);
    return bytes === 4 || bytes === 8 || bytes === 16
      ? `copy_${bytes}(${to.name} + ${at}, ${from.name} + ${i});`
      : `copy_each(${to.name} + ${at}, ${from.name} + ${i}, ${n});`;
  },
  prefetch: (b, i, _second, count) =>
    count > 1 ? `ask_for_all(${b.name} + ${i}, ${count * bytesOf(b.dtype)});` : `ask_for(${b.name} + ${i});`,
  commit: () => 'asm volatile("cp.async.commit_group;");',
  wait: (pending) => `landed<${pending}>();`,
  dependency: (o) => (o === "await" ? "await_dependencies();" : "release_dependents();"),
  turn: () => {
    throw new UnsupportedError("CUDA has no turned blocks of words; choose a tiling without them");
  },
  copyTile: (to, at, from, row, column, signal) => `copy_tile(${to.name} + ${at}, &${from.name}_map, ${column}, ${row}, ${signal});`,
  registerCount: (change, count) => `asm volatile("setmaxnreg.${change === "more" ? "inc" : "dec"}.sync.aligned.u32 ${count};");`,
  signal: (o, on, amount) => `signal_${o}(${on}${o === "arrive" ? "" : `, ${amount}`});`,
  ...unitWords,
  finish,
};

/** Where shared buffers lie in dynamic shared memory. */
function sharedLayout(k: Kernel, name: (n: string) => string): { readonly lines: string[]; readonly bytes: number } {
  let bytes = 0;
  const place = (b: Buffer, type: string, size: number, align: number): string => {
    const n = hi(b.size);
    if (!Number.isFinite(n)) throw new UnsupportedError(`kernel ${k.name}: shared buffer ${b.name} has no upper bound; give its dims one`);
    bytes = roundUp(bytes, align);
    const line = `${type}* const ${name(b.name)} = (${type}*)(smem + ${bytes});`;
    bytes += n * size;
    return line;
  };
  const units = k.buffers.some((b) => b.space === "signal") || usesSharedUnits(k.body);
  const lines = [
    ...k.buffers.filter((b) => b.space === "shared").map((b) => place(b, word[b.dtype], bytesOf(b.dtype), units ? 1024 : 16)),
    ...k.buffers.filter((b) => b.space === "signal").map((b) => place(b, "u64", 8, 8)),
  ];
  return { lines, bytes };
}
const usesSharedUnits = (body: readonly Stmt[]): boolean =>
  body.some(
    (s) =>
      (s.kind === "mma" && s.unit.operands === "shared") ||
      ("body" in s && usesSharedUnits(s.body)) ||
      (s.kind === "if" && s.else !== undefined && usesSharedUnits(s.else)),
  );
/** The tile descriptors that a launch makes: which buffer, and its box. */
function tilesOf(k: Kernel): { readonly name: string; readonly box: readonly [number, number]; readonly columns: number }[] {
  const found = new Map<string, { readonly box: readonly [number, number]; readonly columns: number }>();
  const walk = (body: readonly Stmt[]): void => {
    for (const s of body) {
      if (s.kind === "copyTile") found.set(s.from, { box: s.box, columns: s.columns });
      if ("body" in s) walk(s.body);
      if ("else" in s && s.else) walk(s.else);
    }
  };
  walk(k.body);
  return [...found].map(([name, t]) => ({ name, ...t }));
}

function finish(k: Kernel, p: Printed): KernelCode {
  const global = k.buffers.filter((b) => b.space === "global");
  const shared = sharedLayout(k, p.name);
  const tiles = tilesOf(k);
  // A point of the next launch fits a multiprocessor beside one that is still at work.
  const early = awaits(k.body);
  // Buffers do not overlap where one is written: what is written in place is one buffer. To a compiler that means that reads may go in front of
  // an await, which holds for what is fixed alone.
  const params = [
    ...global.map((b) => `${b.writes ? "" : "const "}${word[b.dtype]}* ${early && !b.fixed ? "" : "__restrict__ "}${p.name(b.name)}`),
    ...tiles.map((t) => `const __grid_constant__ tile_map ${p.name(t.name)}_map`),
    ...k.dims.map((d) => `i64 ${p.index(d)}_size`),
  ];
  const body = usesSharedUnits(k.body) ? p.body.map((l) => l.replace(/^landed</, "landed_for_units<")) : p.body;
  const lines = [
    `extern "C" __global__ void __launch_bounds__(${k.threads}${early ? ", 2" : movesRegisters(k.body) ? ", 1" : ""}) ${p.entry}(${params.join(", ")}) {`,
    `typedef ${p.wide ? "i64" : "int"} ix;`,
    ...(shared.bytes ? ["extern __shared__ __align__(1024) unsigned char smem[];"] : []),
    ...shared.lines,
    ...k.dims.map((d) => `const ix ${p.index(d)} = ${p.index(d)}_size;`),
    "const ix pid = blockIdx.x;",
    ...(k.threads > 1 ? ["const int tid = threadIdx.x;"] : ["const int tid = 0;"]),
    ...p.registers,
    ...body,
    "}",
  ];
  return {
    entry: p.entry,
    source: `${lines.join("\n")}\n`,
    threads: k.threads,
    sharedBytes: shared.bytes,
    writes: global.map((b) => b.writes === true),
    ...(early && { early: global.map((b) => b.fixed === true) }),
    ...(tiles.length && { tiles: tiles.map(({ name, ...t }) => ({ buffer: global.findIndex((b) => b.name === name), ...t })) }),
  };
}
