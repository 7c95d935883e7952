/** Kernel -> JavaScript over typed arrays. f32 is computed in f64 and rounds where it is stored, compared or made an integer. */
import { bytesOf, computeDType, type DType, isFloat, isHalf, isWide } from "../../core/dtype.js";
import { InternalError, UnsupportedError } from "../../core/errors.js";
import { hi } from "../../core/expr.js";
import type { Codegen, Template } from "../../kernel/codegen.js";
import type { Dialect, Printed, Text } from "../../kernel/dialect.js";
import type { Buffer, Combiner, Kernel } from "../../kernel/kernel.js";
import { print } from "../../kernel/print.js";
import { spellIndex } from "../../kernel/spell.js";
import type { ScalarOp } from "../../ops/scalar.js";
import type { KernelCode } from "../../runtime/program.js";
import { prelude } from "./prelude.js";
import { jsTarget } from "./target.js";

/** The js backend's compile-time half. */
export function jsCodegen(claims: readonly Template[] = []): Codegen {
  return {
    name: "js",
    key: { backend: "js", arch: "any", features: [], format: 1 },
    target: jsTarget,
    prelude: () => prelude,
    render: (k) => print(k, js),
    claims,
  };
}

const arrays: Readonly<Record<DType, string>> = {
  bool: "Uint8Array",
  u8: "Uint8Array",
  u16: "Uint16Array",
  u32: "Uint32Array",
  u64: "BigUint64Array",
  i8: "Int8Array",
  i16: "Int16Array",
  i32: "Int32Array",
  i64: "BigInt64Array",
  f16: "Uint16Array",
  bf16: "Uint16Array",
  f32: "Float32Array",
  f64: "Float64Array",
  complex64: "Float32Array",
};
const reserved = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for function if implements import in instanceof " +
    "interface let new null package private protected public return static super switch this throw true try typeof var void while with yield async of undefined NaN Infinity Math Number " +
    "BigInt Object args dims begin end scratch " +
    Object.values(arrays).join(" ")
  ).split(" "),
);

/** An integer result wrapped to its dtype. */
function wrap(x: string, dtype: DType): string {
  switch (dtype) {
    case "i32":
      return `(${x} | 0)`;
    case "u32":
      return `(${x} >>> 0)`;
    case "i16":
      return `(${x} << 16 >> 16)`;
    case "i8":
      return `(${x} << 24 >> 24)`;
    case "u16":
      return `(${x} & 65535)`;
    case "u8":
      return `(${x} & 255)`;
    case "i64":
      return `BigInt.asIntN(64, ${x})`;
    case "u64":
      return `BigInt.asUintN(64, ${x})`;
    default:
      return x;
  }
}
/** A value as its dtype holds it, where f32 may have more bits than it should. */
const exact = (a: Text): string =>
  a.dtype === "f32" && !/^(-?[\d.e+-]+|\(-[\d.e+-]+\))$/.test(a.text) ? `Math.fround(${a.text})` : a.text;
const named: Readonly<Partial<Record<ScalarOp, string>>> = {
  erf: "$erf",
  erfc: "$erfc",
  lgamma: "$lgamma",
  pow: "$pow",
  expnear: "Math.exp",
  ...Object.fromEntries(
    "sqrt exp expm1 log log2 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh"
      .split(" ")
      .map((f) => [f, `Math.${f}`]),
  ),
};
const infix: Readonly<Partial<Record<ScalarOp, string>>> = { add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^" };

function op(name: ScalarOp, dtype: DType, args: readonly Text[]): string {
  const [a, b, c] = args.map((x) => x.text);
  const from = args[0]!.dtype;
  const wide = isWide(dtype);
  switch (name) {
    case "dot2":
    case "pair":
    case "dot4":
      return unsupported("products of words");
    case "cast":
      return cast(args[0]!, computeDType(from), dtype);
    case "bitcast":
      return bitcast(exact({ ...args[0]!, dtype: computeDType(from) }), from, dtype);
    case "where":
      return `(${a} ? ${b} : ${c})`;
    case "lt":
    case "le":
    case "eq":
    case "ne": {
      const sign = { lt: "<", le: "<=", eq: "===", ne: "!==" }[name];
      return `(${exact(args[0]!)} ${sign} ${exact(args[1]!)} ? 1 : 0)`;
    }
    case "isnan":
      return isFloat(from) ? `(Number.isNaN(${a}) ? 1 : 0)` : "0";
    case "fma":
      return op("add", dtype, [{ text: op("mul", dtype, args), lanes: 1, dtype }, args[2]!]);
    default:
  }
  if (dtype === "bool") return logical(name, a!, b!);
  switch (name) {
    case "add":
    case "sub":
      return wrap(`(${a} ${infix[name]} ${b})`, dtype);
    case "mul":
      return isFloat(dtype) ? `(${a} * ${b})` : wrap(wide ? `(${a} * ${b})` : `Math.imul(${a}, ${b})`, dtype);
    case "and":
    case "or":
    case "xor":
      return dtype === "u32" ? `((${a} ${infix[name]} ${b}) >>> 0)` : `(${a} ${infix[name]} ${b})`;
    case "not":
      return wrap(`(~${a})`, dtype);
    case "neg":
      return wrap(`(-${a})`, dtype);
    case "div":
      return isFloat(dtype) ? `(${a} / ${b})` : wrap(`${wide ? "$bigdiv" : "$div"}(${a}, ${b})`, dtype);
    case "rem":
      return isFloat(dtype) ? `(${exact(args[0]!)} % ${exact(args[1]!)})` : wrap(`${wide ? "$bigrem" : "$rem"}(${a}, ${b})`, dtype);
    case "max":
    case "min":
      return isFloat(dtype) || !wide ? `Math.${name}(${a}, ${b})` : `$big${name}(${a}, ${b})`;
    case "abs":
      return isFloat(dtype) || !wide ? wrap(`Math.abs(${a})`, dtype) : wrap(`$bigabs(${a})`, dtype);
    case "shl":
    case "shr":
      return shift(name, a!, b!, dtype);
    case "mulhi":
      return `$mulhi(${a}, ${b})`;
    case "rsqrt":
      return `(1 / Math.sqrt(${a}))`;
    case "exp2":
    case "exp2near":
      return `Math.pow(2, ${a})`;
    case "floor":
    case "ceil":
    case "trunc":
      return isFloat(dtype) ? `Math.${name}(${exact(args[0]!)})` : a!;
    case "round":
      return isFloat(dtype) ? `$round(${exact(args[0]!)})` : a!;
    default:
  }
  if (name === "pow" && !isFloat(dtype))
    return wide ? wrap(`$ipow(${a}, ${b})`, dtype) : wrap(`Number(BigInt.asIntN(32, $ipow(BigInt(${a}), BigInt(${b}))))`, dtype);
  const f = named[name];
  if (!f || !isFloat(dtype)) throw new UnsupportedError(`JavaScript has no ${name} of ${dtype}; cast to a dtype that it is defined for`);
  return `${f}(${args.map((x) => x.text).join(", ")})`;
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
      return `(${a} ^ ${b})`;
    case "not":
      return `(1 - ${a})`;
    case "neg":
    case "abs":
      return a;
    default:
      throw new UnsupportedError(`JavaScript has no ${name} of bool; cast to a dtype that it is defined for`);
  }
}
function shift(name: "shl" | "shr", a: string, b: string, dtype: DType): string {
  const bits = bytesOf(dtype) * 8;
  const n = isWide(dtype) ? "n" : "";
  const far = `(${b} < 0${n} || ${b} >= ${bits}${n})`;
  if (name === "shl") return `(${far} ? 0${n} : ${wrap(`(${a} << ${b})`, dtype)})`;
  const signed = dtype.startsWith("i");
  const right = dtype === "u32" ? ">>>" : ">>";
  return `(${far} ? ${signed ? `(${a} >> ${bits - 1}${n})` : `0${n}`} : (${a} ${right} ${b}))`;
}
function cast(a: Text, from: DType, to: DType): string {
  if (isHalf(to)) return `$round_${to}(${isWide(from) ? `Number(${a.text})` : a.text})`;
  if (from === to) return from === "f32" ? exact(a) : a.text;
  if (to === "bool") return `(${from === "f32" ? exact(a) : a.text} ${isWide(from) ? "!== 0n" : "!== 0"} ? 1 : 0)`;
  if (isWide(from)) {
    if (isWide(to)) return wrap(a.text, to);
    return isFloat(to)
      ? to === "f32"
        ? `Math.fround(Number(${a.text}))`
        : `Number(${a.text})`
      : wrap(`Number(BigInt.asIntN(32, ${a.text}))`, to);
  }
  if (isWide(to)) return wrap(isFloat(from) ? `$big(${exact(a)})` : `BigInt(${a.text})`, to);
  if (isFloat(to)) return to === "f32" ? `Math.fround(${a.text})` : from === "f32" ? exact(a) : a.text;
  return wrap(isFloat(from) ? `(${exact(a)} | 0)` : a.text, to);
}
function bitcast(a: string, from: DType, to: DType): string {
  if (from === to) return a;
  if (isHalf(from)) return bitcast(`$narrow_${from}(${a})`, "u16", to);
  if (isHalf(to)) return `$widen_${to}(${bitcast(a, from, "u16")})`;
  if (bytesOf(from) !== bytesOf(to) || from === "bool" || to === "bool")
    throw new UnsupportedError(`bitcast from ${from} to ${to}: the sizes differ`);
  if (isFloat(from) && isFloat(to)) throw new InternalError(`bitcast from ${from} to ${to}`);
  return isFloat(from) || isFloat(to) ? `$bits_${from}_${to}(${a})` : wrap(a, to);
}
function literal(value: number | bigint, dtype: DType): string {
  if (isWide(dtype)) return `${BigInt(value)}n`.replace(/^-.*/, "($&)");
  const x = dtype === "f32" || isHalf(dtype) ? Math.fround(Number(value)) : Number(value);
  return Object.is(x, -0) ? "(-0)" : x < 0 ? `(${x})` : `${x}`;
}
const unsupported = (what: string): never => {
  throw new UnsupportedError(`JavaScript has no ${what}; choose a tiling without it`);
};
const half = (b: Buffer): boolean => isHalf(b.dtype);
const loadText = (b: Buffer, i: string): string => (half(b) ? `$widen_${b.dtype}(${b.name}[${i}])` : `${b.name}[${i}]`);
const storeText = (b: Buffer, i: string, v: string): string => `${b.name}[${i}] = ${half(b) ? `$narrow_${b.dtype}(${v})` : v};`;

/** The words of JavaScript. */
const js: Dialect = {
  vectors: "loop",
  access: 8,
  conditional: true,
  reserved,
  literal,
  op: (name, dtype, args) => op(name, dtype, args),
  splat: (x) => x,
  held: (x) => x,
  pack: ([x]) => x!,
  lane: (x) => x,
  insert: (_x, _l, value) => value,
  ramp: (base) => base,
  index: (e, name) =>
    spellIndex(e, name, {
      number: (n) => `${n}`,
      div: (a, b, reach) =>
        reach === "any" ? `$floordiv(${a}, ${b})` : reach === "u32" ? `((${a}) / (${b}) >>> 0)` : `Math.floor((${a}) / (${b}))`,
      mod: (a, b, reach) => (reach === "any" ? `$floormod(${a}, ${b})` : `((${a}) % (${b}))`),
      xor: (a, b) => `((${a}) ^ (${b}))`,
      min: (a, b) => `Math.min(${a}, ${b})`,
      max: (a, b) => `Math.max(${a}, ${b})`,
    }),
  fromIndex: (i, dtype) =>
    isWide(dtype)
      ? wrap(`BigInt(${i})`, dtype)
      : dtype === "bool"
        ? `((${i}) !== 0 ? 1 : 0)`
        : isFloat(dtype)
          ? `(${i})`
          : wrap(`(${i})`, dtype),
  clamp: (v, min, max) => `Math.max(${min}, Math.min(${max}, ${isWide(v.dtype) ? `Number(${v.text})` : v.text}))`,
  declare: (name, _t, _n, value) => `const ${name} = ${value};`,
  declareIndex: (name, value) => `const ${name} = ${value};`,
  declareIndices: () => unsupported("lanes"),
  variable: (name, dtype) => `let ${name} = 0${isWide(dtype) ? "n" : ""};`,
  array: (name, dtype, size) => `const ${name} = new ${dtype === "f32" ? "Float64Array" : arrays[dtype]}(${size});`,
  assign: (to, value) => `${to} = ${value};`,
  loop: (name, count) => `for (let ${name} = 0; ${name} < ${count}; ${name}++) {`,
  branch: (test) => `if (${test}) {`,
  test: (a, o, b) => `${a} ${o === "==" ? "===" : o} ${b}`,
  and: (tests) => tests.map((t) => (tests.length > 1 ? `(${t})` : t)).join(" && "),
  choose: (test, a, b) => `(${test} ? ${a} : ${b})`,
  block: () => unsupported("statements inside expressions"),
  load: loadText,
  word: () => unsupported("words of narrow elements"),
  wide: () => unsupported("lanes"),
  wideLane: () => unsupported("lanes"),
  store: (b, i, [v]) => storeText(b, i, v!),
  atomic: (o: Combiner, b, i, v) => {
    const dtype = computeDType(b.dtype);
    return `{ const $i = ${i}; ${storeText(
      b,
      "$i",
      op(o, dtype, [
        { text: loadText(b, "$i"), lanes: 1, dtype },
        { text: v, lanes: 1, dtype },
      ]),
    )} }`;
  },
  hold: (v, storage) => (isHalf(storage) ? `$round_${storage}(${v})` : v),
  across: (_o, x) => x,
  acrossEach: () => unsupported("native vectors"),
  overThreads: () => unsupported("threads inside a grid point"),
  barrier: () => "",
  copy: (to, at, from, i, n) => `${to.name}.set(${from.name}.subarray(${i}, ${i} + ${n}), ${at});`,
  prefetch: () => "",
  commit: () => "",
  wait: () => "",
  turn: () => unsupported("turned blocks of words"),
  copyTile: () => unsupported("tile copies in the background"),
  signal: () => unsupported("signals between threads"),
  fill: () => unsupported("matrix units"),
  fetch: () => unsupported("matrix units"),
  mma: () => unsupported("matrix units"),
  spill: () => unsupported("matrix units"),
  issue: () => unsupported("matrix units"),
  settle: () => unsupported("matrix units"),
  finish,
};

function finish(k: Kernel, p: Printed): KernelCode {
  const global = k.buffers.filter((b) => b.space === "global");
  let bytes = 0;
  const shared = k.buffers
    .filter((b) => b.space === "shared")
    .map((b) => {
      const size = hi(b.size);
      if (!Number.isFinite(size)) throw new UnsupportedError(`kernel ${k.name}: scratch ${b.name} has no upper bound; give its dims one`);
      const line = `const ${p.name(b.name)} = new ${arrays[b.dtype]}(scratch, ${bytes}, ${size});`;
      bytes += Math.ceil((size * bytesOf(b.dtype)) / 64) * 64;
      return line;
    });
  const lines = [
    `function ${p.entry}(args, dims, begin, end, scratch) {`,
    ...global.map((b, i) => {
      const view = arrays[b.dtype];
      return `const ${p.name(b.name)} = new ${view}(args[${i}].buffer, args[${i}].byteOffset, Math.floor(args[${i}].byteLength / ${bytesOf(b.dtype)}));`;
    }),
    ...shared,
    ...k.dims.map((d, i) => `const ${p.index(d)} = dims[${i}];`),
    ...p.registers,
    "for (let pid = begin; pid < end; pid++) {",
    ...p.body,
    "}",
    "}",
  ];
  return { entry: p.entry, source: `${lines.join("\n")}\n`, threads: 1, sharedBytes: bytes, writes: global.map((b) => b.writes === true) };
}
