/** Kernel -> WGSL. Lanes are written one by one; types narrower than 32 bits lie packed in words. */
import { bytesOf, computeDType, type DType, isFloat, isHalf, isInt } from "../../core/dtype.js";
import { UnsupportedError } from "../../core/errors.js";
import { hi } from "../../core/expr.js";
import type { Codegen, Template } from "../../kernel/codegen.js";
import { type Dialect, identifier, type Printed, type Text } from "../../kernel/dialect.js";
import type { Buffer, Kernel } from "../../kernel/kernel.js";
import { partsFor } from "../../kernel/parts.js";
import { print } from "../../kernel/print.js";
import { spellIndex } from "../../kernel/spell.js";
import { eachStmt } from "../../kernel/walk.js";
import type { ScalarOp } from "../../ops/scalar.js";
import type { KernelCode } from "../../runtime/program.js";
import { webgpuKey } from "./key.js";
import { atomicStatement, isPacked, loadWord, type Storage, storageType, storeStatement, wideLane, wideLoad } from "./packed.js";
import { parts } from "./prelude.js";
import { type WebGpuLimits, webgpuTarget } from "./target.js";

/** The WebGPU backend's compile-time half. A kernel's source is a module. */
export function webgpuCodegen(limits: WebGpuLimits = {}, claims: readonly Template[] = []): Codegen {
  const target = webgpuTarget(limits);
  return {
    name: "webgpu",
    key: webgpuKey,
    target,
    // A module is one kernel, and carries only what that kernel calls.
    prelude: () => "",
    render: (k) => {
      checkDTypes(k);
      const code = print(k, wgsl(k, target.sharedBytes));
      return { ...code, source: [...partsFor(parts, code.source as string), code.source].join("\n") };
    },
    claims,
  };
}

const reserved = new Set([
  ...(
    "alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop override requires return struct switch true var while " +
    "array atomic bool f16 f32 i32 u32 mat2x2 mat3x3 mat4x4 ptr sampler texture vec2 vec3 vec4 bitcast select abs acos asin atan atan2 ceil clamp cos cosh exp exp2 floor fma log log2 " +
    "max min pow round sign sin sinh sqrt tan tanh trunc inverseSqrt acosh asinh atanh workgroupBarrier atomicAdd atomicMax atomicMin atomicAnd atomicOr atomicLoad atomicStore " +
    "group groups local dims Dims part active asm async attribute auto await become cast catch class common compile compute_shader concept constructor crate debugger delete do dynamic_cast enum explicit " +
    "export extends extern external filter final finally friend from fxgroup get goto handle highp impl implements import inline instanceof interface layout lowp macro match mediump meta mod module move mut " +
    "mutable namespace new nil noexcept noinline of operator package packoffset pass patch pixelfragment precise precision premerge priv private protected pub public readonly ref register resource " +
    "restrict self set shared sizeof smooth snorm static std subroutine super target template this thread_local throw trait try type typedef typeid typename typeof union unless unorm unsafe use using " +
    "varying virtual volatile wgsl where with writeonly yield main i j_"
  ).split(" "),
  ...parts.keys(),
]);

/** The WGSL type of a value; small integers live in 32 bits. */
export const valueType = (dtype: DType): string => (dtype === "bool" ? "bool" : isFloat(dtype) ? "f32" : dtype[0] === "u" ? "u32" : "i32");

function checkDTypes(k: Kernel): void {
  const refuse = (dtype: DType, what: string): never => {
    throw new UnsupportedError(`kernel ${k.name}: WGSL has no ${dtype} (${what}); cast to a 32-bit type first, or use another device`);
  };
  for (const b of k.buffers) if (bytesOf(b.dtype) > 4 && b.space !== "signal") refuse(b.dtype, `buffer ${b.name}`);
}
/** A small integer wrapped to its width. */
function wrap(x: string, dtype: DType): string {
  switch (dtype) {
    case "i8":
    case "i16":
      return `((${x} << ${32 - 8 * bytesOf(dtype)}u) >> ${32 - 8 * bytesOf(dtype)}u)`;
    case "u8":
      return `(${x} & 255u)`;
    case "u16":
      return `(${x} & 65535u)`;
    default:
      return x;
  }
}
const isLiteral = (x: string): boolean => /^\(?-?\d[\w.+-]*\)?$/.test(x);
const infix: Readonly<Partial<Record<ScalarOp, string>>> = { add: "+", sub: "-", mul: "*", div: "/", and: "&", or: "|", xor: "^" };
const functions: Readonly<Partial<Record<ScalarOp, string>>> = {
  ...Object.fromEntries(
    "exp exp2 expm1 log log2 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc lgamma max min abs neg"
      .split(" ")
      .map((f) => [f, `${f}_`]),
  ),
  ...Object.fromEntries("sqrt floor ceil trunc round fma".split(" ").map((f) => [f, f])),
  exp2near: "exp2",
  rsqrt: "inverseSqrt",
  pow: "pow_f32",
  rem: "rem_f32",
};

function op(name: ScalarOp, dtype: DType, all: readonly Text[]): string {
  if (bytesOf(dtype) > 4 || all.some((x) => bytesOf(x.dtype) > 4))
    throw new UnsupportedError(`WGSL has no ${name} of ${all.map((x) => x.dtype).join(", ")} giving ${dtype}; cast to a 32-bit type first`);
  const constants = all.every((x) => isLiteral(x.text) || x.text === "true" || x.text === "false");
  // An expression of constants is computed by the compiler, which refuses results that are not finite.
  const args = all.map((x, i) => (constants && i === 0 && isLiteral(x.text) ? { ...x, text: `keep_${valueType(x.dtype)}(${x.text})` } : x));
  const [a, b, c] = args.map((x) => x.text);
  const from = args[0]!.dtype;
  switch (name) {
    case "dot2":
    case "pair":
    case "dot4":
      return unsupported("products of words");
    case "cast":
      return cast(a!, computeDType(from), dtype);
    case "bitcast":
      return bitcast(a!, from, dtype);
    case "where":
      return `select(${c}, ${b}, ${a})`;
    case "lt":
    case "le":
    case "eq":
    case "ne":
      return compare(name, a!, b!, from);
    case "isnan":
      return isFloat(from) ? `nan_(${a})` : `(${a} != ${a})`;
    default:
  }
  if (dtype === "bool") return logical(name, a!, b!);
  if (isFloat(dtype)) {
    const sign = infix[name];
    if (sign) return `(${a} ${sign} ${b})`;
    const f = functions[name];
    if (!f) throw new UnsupportedError(`WGSL has no ${name} of ${dtype}`);
    return `${f}(${args.map((x) => x.text).join(", ")})`;
  }
  return integer(name, dtype, a!, b!, c);
}
function integer(name: ScalarOp, dtype: DType, a: string, b: string, c: string | undefined): string {
  const t = valueType(dtype);
  const width = 8 * bytesOf(dtype);
  switch (name) {
    case "add":
    case "sub":
    case "mul":
      return wrap(`(${a} ${infix[name]} ${b})`, dtype);
    case "and":
    case "or":
    case "xor":
      return `(${a} ${infix[name]} ${b})`;
    case "fma":
      return wrap(`(${a} * ${b} + ${c})`, dtype);
    case "neg":
      return wrap(t === "u32" ? `(0u - ${a})` : `(-${a})`, dtype);
    case "not":
      return wrap(`(~${a})`, dtype);
    case "abs":
      return wrap(t === "u32" ? a : `abs(${a})`, dtype);
    case "max":
    case "min":
      return `${name}(${a}, ${b})`;
    case "div":
    case "rem":
      return wrap(`${name}_${t}(${a}, ${b})`, dtype);
    case "pow":
      return wrap(`pow_${t}(${a}, ${b})`, dtype);
    case "shl":
      return wrap(
        t === "i32" ? `bitcast<i32>(shl_(bitcast<u32>(${a}), ${b}, ${width}))` : `shl_(${a}, bitcast<i32>(${b}), ${width})`,
        dtype,
      );
    case "shr":
      return t === "i32" ? `shr_i32(${a}, ${b}, ${width})` : `shr_u32(${a}, bitcast<i32>(${b}), ${width})`;
    case "mulhi":
      if (dtype === "u32") return `mulhi_u32(${a}, ${b})`;
      break;
    case "floor":
    case "ceil":
    case "trunc":
    case "round":
      return a;
    default:
  }
  throw new UnsupportedError(`WGSL has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
}
function logical(name: ScalarOp, a: string, b: string): string {
  switch (name) {
    case "add":
    case "max":
    case "or":
      return `(${a} | ${b})`;
    case "mul":
    case "min":
    case "and":
      return `(${a} & ${b})`;
    case "sub":
    case "xor":
      return `(${a} != ${b})`;
    case "not":
      return `(!${a})`;
    case "neg":
    case "abs":
      return a;
    default:
      throw new UnsupportedError(`WGSL has no ${name} of bool; cast to a dtype that it is defined for`);
  }
}
/** Floats are compared by their bits: the compiler may take comparisons to be of numbers only. */
function compare(name: "lt" | "le" | "eq" | "ne", a: string, b: string, from: DType): string {
  if (isFloat(from)) return name === "ne" ? `(!eq_(${a}, ${b}))` : `${name}_(${a}, ${b})`;
  if (from === "bool")
    return name === "lt" ? `(!${a} & ${b})` : name === "le" ? `(!${a} | ${b})` : `(${a} ${name === "eq" ? "==" : "!="} ${b})`;
  return `(${a} ${{ lt: "<", le: "<=", eq: "==", ne: "!=" }[name]} ${b})`;
}
function cast(a: string, from: DType, to: DType): string {
  if (isHalf(to)) return `round_${to}(${cast(a, from, "f32")})`;
  if (from === to) return a;
  if (to === "bool") return from === "f32" ? `(!eq_(${a}, 0.0f))` : `(${a} != ${from[0] === "u" ? "0u" : "0"})`;
  const t = valueType(to);
  if (isFloat(from) && isInt(to)) return wrap(t === "u32" ? `bitcast<u32>(to_int(${a}))` : `to_int(${a})`, to);
  if (isInt(from) && isInt(to)) return wrap(valueType(from) === t ? a : `bitcast<${t}>(${a})`, to);
  return `${t}(${a})`;
}
function bitcast(a: string, from: DType, to: DType): string {
  if (from === to) return a;
  if (isHalf(from)) return bitcast(`narrow_${from}(${a})`, "u16", to);
  if (isHalf(to)) return `widen_${to}(${bitcast(a, from, "u16")})`;
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (to === "f32") return `from_bits(${from === "u32" ? a : `bitcast<u32>(${a})`})`;
  return wrap(`bitcast<${valueType(to)}>(${a})`, to);
}
function literal(value: number | bigint, dtype: DType): string {
  const x = Number(value);
  if (dtype === "bool") return x ? "true" : "false";
  if (bytesOf(dtype) > 4) throw new UnsupportedError(`WGSL has no ${dtype}; cast to a 32-bit type first`);
  if (isInt(dtype)) return dtype[0] === "u" ? `${x}u` : x === -(2 ** 31) ? "i32(-2147483648)" : x < 0 ? `(${x})` : `${x}`;
  const y = Math.fround(x);
  if (Number.isNaN(y)) return "not_a_number()";
  if (!Number.isFinite(y)) return y > 0 ? "infinity()" : "neg_(infinity())";
  const text = Number.isInteger(y) && Math.abs(y) < 1e15 ? y.toFixed(1) : `${y}`;
  if (Object.is(y, -0)) return "neg_(0.0f)";
  if (y !== 0 && Math.abs(y) < 2 ** -126) return `from_bits(${y < 0 ? 0x80000000 + Math.round(-y * 2 ** 149) : Math.round(y * 2 ** 149)}u)`;
  return y < 0 ? `(${text}f)` : `${text}f`;
}
const unsupported = (what: string): never => {
  throw new UnsupportedError(`WGSL has no ${what}; choose a tiling without it`);
};

/** How many threads a tree of steps covers: the next power of two. */
const covering = (n: number): number => 2 ** Math.ceil(Math.log2(n));
/** A reduction over `threads` neighbours of all, through workgroup memory. */
function combineFunction(name: string, o: string, t: string, threads: number): string {
  const merge: Readonly<Record<string, string>> = {
    add: "a + b",
    mul: "a * b",
    max: t === "f32" ? "max_(a, b)" : "max(a, b)",
    min: t === "f32" ? "min_(a, b)" : "min(a, b)",
    or: "a | b",
    and: "a & b",
  };
  return `fn ${name}(x: ${t}, tid: i32) -> ${t} {
workgroupBarrier();
part_${t}[tid] = x;
workgroupBarrier();
let at = tid % ${threads};
for (var o = ${covering(threads) / 2}; o > 0; o /= 2) {
if (at < o && at + o < ${threads}) { let a = part_${t}[tid]; let b = part_${t}[tid + o]; part_${t}[tid] = ${merge[o]}; }
workgroupBarrier();
}
return part_${t}[tid - at];
}`;
}

/** The words of WGSL for one kernel. */
function wgsl(k: Kernel, sharedBytes: number): Dialect {
  /** Buffers that atomics touch, as they are named and as they are spelled. */
  const atomics = new Set<string>();
  eachStmt(k.body, (s) => {
    if (s.kind === "atomic") atomics.add(s.buffer).add(identifier(s.buffer, reserved));
  });
  const storage = (b: Buffer): Storage => ({
    ...b,
    atomic: b.space === "global" && b.writes === true && (isPacked(b) || atomics.has(b.name)),
  });
  const combines = new Map<string, string>();
  const partTypes = new Set<string>();
  return {
    vectors: "unrolled",
    access: 16,
    conditional: false,
    reserved,
    literal,
    op: (name, dtype, args) => op(name, dtype, args),
    splat: (x) => x,
    pack: () => unsupported("vector values"),
    lane: () => unsupported("vector values"),
    insert: () => unsupported("vector values"),
    ramp: () => unsupported("vector values"),
    block: () => unsupported("statements inside expressions"),
    choose: () => unsupported("conditional expressions"),
    index: (e, name) =>
      spellIndex(e, name, {
        number: (n) => (n < 0 ? `(${n})` : `${n}`),
        div: (a, b, reach) => (reach === "any" ? `floor_div(${a}, ${b})` : `((${a}) / (${b}))`),
        mod: (a, b, reach) => (reach === "any" ? `floor_mod(${a}, ${b})` : `((${a}) % (${b}))`),
        xor: (a, b) => `((${a}) ^ (${b}))`,
        min: (a, b) => `min(${a}, ${b})`,
        max: (a, b) => `max(${a}, ${b})`,
      }),
    fromIndex: (i, dtype) =>
      // Indices have 32 bits, whatever integer they are said to be.
      dtype === "bool" ? `((${i}) != 0)` : dtype === "i64" ? `i32(${i})` : wrap(`${valueType(dtype)}(${i})`, dtype),
    clamp: (v, min, max) => {
      if (bytesOf(v.dtype) > 4 && v.dtype !== "i64") throw new UnsupportedError(`WGSL has no ${v.dtype} index; cast to i32 first`);
      const i = v.dtype === "bool" ? `i32(${v.text})` : valueType(v.dtype) === "u32" ? `i32(min(${v.text}, 0x7fffffffu))` : v.text;
      return `max(${min}, min(${max}, ${i}))`;
    },
    declare: (name, dtype, _n, value) => `let ${name}: ${valueType(dtype)} = ${value};`,
    declareIndex: (name, value) => `let ${name}: i32 = ${value};`,
    declareIndices: () => unsupported("vector values"),
    variable: (name, dtype) => `var ${name}: ${valueType(dtype)};`,
    array: (name, dtype, size) => `var ${name}: array<${valueType(dtype)}, ${size}>;`,
    assign: (to, value) => `${to} = ${value};`,
    loop: (name, count) => `for (var ${name} = 0; ${name} < ${count}; ${name}++) {`,
    branch: (test) => `if (${test}) {`,
    test: (a, o, b) => `${a} ${o} ${b}`,
    and: (tests) => tests.map((t) => (tests.length > 1 ? `(${t})` : t)).join(" && "),
    word: () => unsupported("words of narrow elements"),
    load: (b, i) => (b.space === "global" ? loadWord(storage(b), i) : `${b.name}[${i}]`),
    wide: (b, i, lanes, name) => wideLoad(storage(b), i, lanes, name),
    wideLane: (b, name, l) => wideLane(storage(b), name, l),
    store: (b, i, v, lanes) => storeStatement(storage(b), i, v, lanes),
    atomic: (o, b, i, v) =>
      atomicStatement(storage(b), o, i, v, (x, y) =>
        op(o, b.dtype, [
          { text: x, lanes: 1, dtype: b.dtype },
          { text: y, lanes: 1, dtype: b.dtype },
        ]),
      ),
    hold: (v, dtype) => (isHalf(dtype) ? `round_${dtype}(${v})` : v),
    across: (_o, x) => x,
    acrossEach: () => unsupported("native vectors"),
    overThreads: (o, x, dtype, threads) => {
      const kind = dtype === "bool" ? (({ add: "or", max: "or", mul: "and", min: "and" } as Record<string, string>)[o] ?? o) : o;
      const t = valueType(dtype);
      const name = `combine_${kind}_${t}_${threads}`;
      partTypes.add(t);
      combines.set(name, combineFunction(name, kind, t, threads));
      return wrap(`${name}(${x}, tid)`, dtype);
    },
    barrier: () => "workgroupBarrier();",
    copy: (to, at, from, i, n) =>
      `for (var c_ = 0; c_ < ${n}; c_++) { ${to.name}[${at} + c_] = ${loadWord(storage(from), `(${i} + c_)`)}; }`,
    prefetch: () => "",
    commit: () => "",
    wait: () => "",
    copyTile: () => unsupported("tile copies in the background"),
    signal: () => unsupported("signals between threads"),
    fill: () => unsupported("matrix units"),
    fetch: () => unsupported("matrix units"),
    mma: () => unsupported("matrix units"),
    spill: () => unsupported("matrix units"),
    issue: () => unsupported("matrix units"),
    settle: () => unsupported("matrix units"),
    finish: (kernel, p) => finish(kernel, p, storage, combines, partTypes, sharedBytes),
  };
}

function finish(
  k: Kernel,
  p: Printed,
  storage: (b: Buffer) => Storage,
  combines: ReadonlyMap<string, string>,
  partTypes: ReadonlySet<string>,
  sharedBytes: number,
): KernelCode {
  if (p.wide) throw new UnsupportedError(`kernel ${k.name}: an index may reach 2^31, and WGSL indices have 32 bits; split the buffer`);
  const global = k.buffers.filter((b) => b.space === "global");
  const shared = k.buffers.filter((b) => b.space === "shared");
  const bytes = shared.reduce((s, b) => s + 4 * hi(b.size), 0) + partTypes.size * 4 * k.threads;
  if (!(bytes <= sharedBytes))
    throw new UnsupportedError(
      `kernel ${k.name}: ${bytes} bytes of workgroup memory, and the device has ${sharedBytes}; choose smaller tiles`,
    );
  const lines = [
    ...global.map(
      (b, i) =>
        `@group(0) @binding(${i}) var<storage, ${b.writes ? "read_write" : "read"}> ${p.name(b.name)}: array<${storageType(storage(b))}>;`,
    ),
    ...(k.dims.length
      ? [
          `struct Dims { ${k.dims.map((d) => `${p.index(d)}: i32`).join(", ")} }`,
          `@group(0) @binding(${global.length}) var<uniform> dims: Dims;`,
        ]
      : []),
    ...shared.map((b) => `var<workgroup> ${p.name(b.name)}: array<${valueType(b.dtype)}, ${hi(b.size)}>;`),
    ...[...partTypes].map((t) => `var<workgroup> part_${t}: array<${t}, ${k.threads}>;`),
    ...combines.values(),
    `@compute @workgroup_size(${k.threads}) fn ${p.entry}(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {`,
    "let pid = i32(group.x + group.y * groups.x);",
    "let tid = i32(local);",
    ...k.dims.map((d) => `let ${p.index(d)} = dims.${p.index(d)};`),
    `if (pid >= ${p.index(k.grid)}) { return; }`,
    ...p.registers,
    ...p.body,
    "}",
  ];
  return {
    entry: p.entry,
    source: `${lines.join("\n")}\n`,
    threads: k.threads,
    sharedBytes: bytes,
    writes: global.map((b) => b.writes === true),
  };
}
