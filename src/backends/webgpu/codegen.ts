/** Kernel -> WGSL. Lanes are written one by one; types narrower than 32 bits lie packed in words. */
import { type DType, isFloat, isHalf, isWide } from "../../core/dtype.js";
import { UnsupportedError } from "../../core/errors.js";
import { bindings, chunkBytes } from "../../kernel/bindings.js";
import type { Codegen, Target, Template } from "../../kernel/codegen.js";
import type { Dialect, Printed } from "../../kernel/dialect.js";
import type { Buffer, Kernel } from "../../kernel/kernel.js";
import { partsFor } from "../../kernel/parts.js";
import { print } from "../../kernel/print.js";
import { spellIndex } from "../../kernel/spell.js";
import type { KernelCode } from "../../runtime/program.js";
import { chunkNames, readFunction } from "./chunks.js";
import { type Combine, combineFunction, combineName, partLength, partName } from "./combine.js";
import { codeKey, stepsOf, type WebGpuLimits } from "./key.js";
import { Accesses, isPacked, type Layout, plain, type Storage, sharedLength } from "./layout.js";
import { matrixDirectives, matrixTypes, matrixWords } from "./matrices.js";
import { atomicStatement, loadedType, loadWord, storageType, storeStatement, wideLane, wideLoad } from "./packed.js";
import { ownHalves, parts } from "./prelude.js";
import { isForeign, literal, op, unsupported, valueType, wrap } from "./scalar.js";
import { webgpuTarget } from "./target.js";
import { widePosition, wideType } from "./wide.js";

/** The WebGPU backend's compile-time half. A kernel's source is a module. `own` are limits below those of all devices, for tests. */
export function webgpuCodegen(limits: WebGpuLimits = {}, claims: readonly Template[] = [], own: Partial<Target> = {}): Codegen {
  const steps = stepsOf(limits);
  const target = { ...webgpuTarget(steps), ...own };
  return {
    name: "webgpu",
    key: codeKey(steps),
    target,
    // A module is one kernel, and carries only what that kernel calls.
    prelude: () => "",
    render: (k) => {
      checkDTypes(k);
      // How buffers are declared depends on every access: the first text is for counting those.
      const found = new Accesses(target.packed);
      print(
        k,
        wgsl(k, found, () => plain, { ...target, sharedBytes: Number.POSITIVE_INFINITY }, steps.subgroup),
      );
      const code = print(
        k,
        wgsl(k, new Accesses(target.packed), (b) => found.layout(b), target, steps.subgroup),
      );
      const body = code.source as string;
      const text = [...partsFor(target.packed?.has("f16") ? parts : ownHalves, body), body];
      return { ...code, source: [...directives(text.join("\n")), ...text].join("\n") };
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
  ...ownHalves.keys(),
]);

function checkDTypes(k: Kernel): void {
  const refuse = (dtype: DType, what: string): never => {
    throw new UnsupportedError(`kernel ${k.name}: WGSL has no ${dtype} (${what}); cast to a 32-bit type first, or use another device`);
  };
  for (const b of k.buffers) if (isForeign(b.dtype) && b.space !== "signal") refuse(b.dtype, `buffer ${b.name}`);
}
/** What comes first in a module. Warps take branches as a whole, which the compiler cannot know. */
const directives = (text: string): readonly string[] => [
  ...(/\bf16\b/.test(text) ? ["enable f16;"] : []),
  ...(text.includes("subgroupMatrix") ? matrixDirectives : []),
  ...(text.includes("subgroupShuffle") ? ["enable subgroups;", "diagnostic(off, subgroup_uniformity);"] : []),
];
/** Whether a text is a power of two; a signed division by one is a shift only where nothing is negative. */
const power = (text: string): boolean => /^\d+$/.test(text) && Number.isInteger(Math.log2(Number(text)));

/** The words of WGSL for one kernel. */
function wgsl(k: Kernel, found: Accesses, layout: (b: Buffer) => Layout, target: Target, subgroup: number | undefined): Dialect {
  const chunk = chunkBytes(target);
  const storage = (b: Buffer): Storage => {
    const all = b.space === "global" ? bindings(b.size, b.dtype, target) : 1;
    const { first, count } = b.window ?? { first: all > 1 ? 0 : undefined, count: all };
    return {
      ...b,
      ...layout(b),
      chunks: count,
      first,
      chunkBytes: chunk,
      packed: isPacked(b, target.packed),
    };
  };
  const matrices = matrixTypes(k);
  const combines = new Map<string, Combine>();
  return {
    vectors: "unrolled",
    access: 16,
    conditional: false,
    reserved,
    literal,
    op: (name, dtype, args) => op(name, dtype, args),
    splat: (x) => x,
    held: (x) => x,
    pack: () => unsupported("vector values"),
    lane: () => unsupported("vector values"),
    insert: () => unsupported("vector values"),
    ramp: () => unsupported("vector values"),
    block: () => unsupported("statements inside expressions"),
    choose: () => unsupported("conditional expressions"),
    index: (e, name) =>
      spellIndex(e, name, {
        number: (n) => (n < 0 ? `(${n})` : `${n}`),
        div: (a, b, reach) =>
          reach === "any" ? `floor_div(${a}, ${b})` : power(b) ? `((${a}) >> ${Math.log2(Number(b))}u)` : `((${a}) / (${b}))`,
        mod: (a, b, reach) => (reach === "any" ? `floor_mod(${a}, ${b})` : power(b) ? `((${a}) & ${Number(b) - 1})` : `((${a}) % (${b}))`),
        xor: (a, b) => `((${a}) ^ (${b}))`,
        min: (a, b) => `min(${a}, ${b})`,
        max: (a, b) => `max(${a}, ${b})`,
      }),
    // Indices have 32 bits.
    fromIndex: (i, dtype) =>
      dtype === "bool" ? `((${i}) != 0)` : isWide(dtype) ? `wide_of_i32(${i})` : wrap(`${valueType(dtype)}(${i})`, dtype),
    clamp: (v, min, max) => {
      if (isFloat(v.dtype)) throw new UnsupportedError(`WGSL has no ${v.dtype} index; cast to i32 first`);
      const word = (): string => (valueType(v.dtype) === "u32" ? `i32(min(${v.text}, 0x7fffffffu))` : v.text);
      const i = isWide(v.dtype) ? widePosition(v.text, v.dtype) : v.dtype === "bool" ? `i32(${v.text})` : word();
      return `max(${min}, min(${max}, ${i}))`;
    },
    declare: (name, dtype, _n, value) => `let ${name}: ${valueType(dtype)} = ${value};`,
    declareIndex: (name, value) => `let ${name}: i32 = ${value};`,
    declareIndices: () => unsupported("vector values"),
    variable: (name, dtype) => `var ${name}: ${matrices.get(name.slice(0, name.lastIndexOf("_"))) ?? valueType(dtype)};`,
    array: (name, dtype, size) => `var ${name}: array<${valueType(dtype)}, ${size}>;`,
    assign: (to, value) => `${to} = ${value};`,
    loop: (name, count) => `for (var ${name} = 0; ${name} < ${count}; ${name}++) {`,
    branch: (test) => `if (${test}) {`,
    test: (a, o, b) => `${a} ${o} ${b}`,
    and: (tests) => tests.map((t) => (tests.length > 1 ? `(${t})` : t)).join(" && "),
    word: () => unsupported("words of narrow elements"),
    load: (b, i) => {
      found.load(b, 1);
      return b.space === "reg" ? `${b.name}[${i}]` : loadWord(storage(b), i);
    },
    wide: (b, i, lanes, name) => {
      found.load(b, lanes);
      return wideLoad(storage(b), i, lanes, name);
    },
    wideLane: (b, name, l) => wideLane(storage(b), name, l),
    store: (b, i, v, lanes) => {
      found.store(b, lanes);
      return storeStatement(storage(b), i, v, lanes);
    },
    atomic: (o, b, i, v) => {
      found.atomic(b);
      return atomicStatement(storage(b), o, i, v, (x, y) =>
        op(o, b.dtype, [
          { text: x, lanes: 1, dtype: b.dtype },
          { text: y, lanes: 1, dtype: b.dtype },
        ]),
      );
    },
    hold: (v, dtype) => (isHalf(dtype) ? `round_${dtype}(${v})` : v),
    across: (_o, x) => x,
    acrossEach: () => unsupported("native vectors"),
    overThreads: (o, x, dtype, threads) => {
      const kind = dtype === "bool" ? (({ add: "or", max: "or", mul: "and", min: "and" } as Record<string, string>)[o] ?? o) : o;
      const c: Combine = { op: kind, dtype, threads, all: k.threads, subgroup };
      combines.set(combineName(c), c);
      return wrap(`${combineName(c)}(${x}, tid)`, dtype);
    },
    barrier: () => "workgroupBarrier();",
    copy: (to, at, from, i, n) => {
      found.store(to, 1);
      found.load(from, 1);
      return `for (var c_ = 0; c_ < ${n}; c_++) { ${storeStatement(storage(to), `${at} + c_`, [loadWord(storage(from), `(${i} + c_)`)], 1)} }`;
    },
    prefetch: () => "",
    commit: () => "",
    wait: () => "",
    turn: () => unsupported("turned blocks of words"),
    copyTile: () => unsupported("tile copies in the background"),
    signal: () => unsupported("signals between threads"),
    ...matrixWords(matrices, found, storage),
    issue: () => unsupported("matrix units"),
    settle: () => unsupported("matrix units"),
    finish: (kernel, p) => finish(kernel, p, storage, [...combines.values()], target),
  };
}

function finish(k: Kernel, p: Printed, storage: (b: Buffer) => Storage, combines: readonly Combine[], target: Target): KernelCode {
  if (p.wide) throw new UnsupportedError(`kernel ${k.name}: an index may reach 2^31, and WGSL indices have 32 bits; split the buffer`);
  // As the text names them.
  const declared = (space: Buffer["space"]): readonly Storage[] =>
    k.buffers.filter((b) => b.space === space).map((b) => storage({ ...b, name: p.name(b.name) }));
  const [global, shared] = [declared("global"), declared("shared")];
  const parted = new Map<string, { readonly type: string; readonly length: number }>();
  for (const c of combines) {
    const [part, length] = [partName(c.dtype), partLength(c)];
    if (length > (parted.get(part)?.length ?? 0)) parted.set(part, { type: valueType(c.dtype), length });
  }
  const sized = (type: string): number => (type === wideType ? 8 : 4);
  const bytes =
    shared.reduce((s, b) => s + sized(valueType(b.dtype)) * b.width * sharedLength(b), 0) +
    [...parted.values()].reduce((s, { type, length }) => s + sized(type) * length, 0);
  if (!(bytes <= target.sharedBytes))
    throw new UnsupportedError(
      `kernel ${k.name}: ${bytes} bytes of workgroup memory, and the device has ${target.sharedBytes}; choose smaller tiles`,
    );
  const bound = global.flatMap((b) => chunkNames(b).map((name) => ({ name, b })));
  if (bound.length > target.maxBuffers)
    throw new UnsupportedError(
      `kernel ${k.name}: its ${global.length} buffers take ${bound.length} bindings of at most ${target.maxBinding} bytes, and the device has ${target.maxBuffers}; split the largest tensor, or use narrower elements`,
    );
  const reads = (b: Storage): boolean => p.body.some((line) => line.includes(`${b.name}__at(`));
  const lines = [
    ...bound.map(
      ({ name, b }, i) => `@group(0) @binding(${i}) var<storage, ${b.writes ? "read_write" : "read"}> ${name}: array<${storageType(b)}>;`,
    ),
    ...global.filter((b) => b.chunks > 1 && reads(b)).map((b) => readFunction(b, loadedType(b))),
    ...(k.dims.length
      ? [
          `struct Dims { ${k.dims.map((d) => `${p.index(d)}: i32`).join(", ")} }`,
          `@group(0) @binding(${bound.length}) var<uniform> dims: Dims;`,
        ]
      : []),
    ...shared.map((b) => `var<workgroup> ${b.name}: array<${storageType(b)}, ${sharedLength(b)}>;`),
    ...[...parted].map(([part, { type, length }]) => `var<workgroup> ${part}: array<${type}, ${length}>;`),
    ...combines.map(combineFunction),
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
    ...(global.some((b) => b.first !== undefined) && {
      chunks: {
        bytes: global[0]!.chunkBytes,
        of: global.map((b) => b.chunks),
        ...(global.some((b) => b.window) && { from: global.map((b) => b.first ?? null) }),
      },
    }),
  };
}
