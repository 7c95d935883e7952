import { vjp } from "../../src/autodiff/grad.js";
import { interpret } from "../../src/backends/interp/interpret.js";
import { type DType, isFloat } from "../../src/core/dtype.js";
import { UnsupportedError } from "../../src/core/errors.js";
import type { NdArray } from "../../src/core/ndarray.js";
import type { Node } from "../../src/ir/node.js";
import { input } from "../../src/ops/source.js";
import type { Call, Operator } from "./corpus.js";
import { type Args, byName, type Result, table } from "./table.js";

/** What became of one recorded call. */
export type Outcome =
  | { readonly kind: "same" }
  | { readonly kind: "skip"; readonly why: string }
  | { readonly kind: "wrong"; readonly why: string };

const dtypes: Readonly<Record<string, DType>> = {
  bool: "bool",
  uint8: "u8",
  int8: "i8",
  int16: "i16",
  int32: "i32",
  int64: "i64",
  float16: "f16",
  bfloat16: "bf16",
  float32: "f32",
  float64: "f64",
};
class Skip extends Error {}

const camel = (name: string): string => name.replace(/_(\w)/g, (_, c: string) => c.toUpperCase());

/** A recorded call as nodes. */
export interface Built {
  readonly feeds: Map<Node, NdArray>;
  readonly outs: readonly Node[];
  /** Of the differentiable inputs, in order; null where there is none. */
  readonly grads: readonly (Node | null)[];
}
/** Builds a recorded call and its derivative. Throws `Skip` where it cannot be said here. */
export function build(op: Operator, call: Call): Built {
  const feeds = new Map<Node, NdArray>();
  const wanted: Node[] = [];
  const leaf = (key: string): Node => {
    const value = op.tensors.get(key);
    if (!value) throw new Skip("a dtype that is not read");
    const node = input({ shape: value.shape, dtype: value.dtype }, key);
    feeds.set(node, value);
    return node;
  };
  const convert = (v: unknown): unknown => {
    if (v === null || typeof v !== "object") return v;
    if (Array.isArray(v)) return v.map(convert);
    const o = v as Record<string, unknown>;
    if ("complex" in o || "complex_value" in o) throw new Skip("complex numbers");
    if ("tensor" in o) {
      const node = leaf(o["tensor"] as string);
      if (o["grad"]) wanted.push(node);
      return node;
    }
    if ("dtype" in o) {
      const dtype = dtypes[o["dtype"] as string];
      if (!dtype) throw new Skip(`dtype ${String(o["dtype"])}`);
      return dtype;
    }
    if ("inf" in o) return (o["inf"] as number) * Number.POSITIVE_INFINITY;
    if ("nan" in o) return Number.NaN;
    if ("memory_format" in o || "device" in o || "layout" in o) return undefined;
    if ("slice" in o || "ellipsis" in o) throw new Skip("slices are the tensor layer's");
    return Object.fromEntries(Object.entries(o).map(([k, x]) => [k, convert(x)]));
  };
  const found = table[op.name];
  if (found === undefined) throw new Skip("no entry");
  if (call.out.some((o) => typeof o === "object" && o !== null && "complex" in o)) throw new Skip("complex numbers");
  const x = convert(call.input) as Node;
  const args: Args = {
    list: call.args.map(convert),
    named: Object.fromEntries(Object.entries(call.kwargs).map(([k, v]) => [k, convert(v)])),
  };
  const result = typeof found === "function" ? found(x, args) : direct(found, x, args);
  const outs = "op" in result ? [result as Node] : (Object.values(result) as Node[]);
  // Cotangents belong to the differentiable results, which are the float ones.
  const floats = outs.filter((o) => isFloat(o.type.dtype));
  if (!call.grads || !call.cotangents || call.cotangents.length !== floats.length) return { feeds, outs, grads: [] };
  const cts = call.cotangents.map((c) => leaf(c.tensor));
  return { feeds, outs, grads: vjp(floats, cts, wanted) };
}

/** How far a float may be from PyTorch's: from its own magnitude, from the largest of its array, and in any case. */
export interface Tolerance {
  readonly own: number;
  readonly largest: number;
  readonly floor: number;
}
const single: Tolerance = { own: 1e-4, largest: 2e-5, floor: 5e-6 };

/** Runs one call and its derivative through the interpreter, against what PyTorch gave. */
export function check(op: Operator, call: Call, tolerance: Tolerance = single): Outcome {
  try {
    return compare(op, call, build(op, call), tolerance);
  } catch (e) {
    if (e instanceof Skip || (e instanceof Error && e.message.startsWith("skip: ")))
      return { kind: "skip", why: e.message.replace("skip: ", "") };
    if (e instanceof UnsupportedError) return { kind: "skip", why: "unsupported" };
    return { kind: "wrong", why: e instanceof Error ? `${e.name}: ${e.message}` : String(e) };
  }
}

/** `name positional... | options...`. */
function direct(text: string, x: Node, args: Args): Result {
  const [head, tail] = text.split("|");
  const [name, ...positional] = head!.trim().split(" ");
  const f = byName[name!]!;
  const optional = tail?.trim().split(" ") ?? [];
  const names = [...positional, ...optional];
  const value = (n: string): unknown => args.named[n] ?? args.list[names.indexOf(n)];
  const options: Record<string, unknown> = {};
  for (const n of optional) if (value(n) !== undefined && value(n) !== null) options[camel(n)] = value(n);
  const list = positional.map(value);
  if (optional.length) return f(x, ...list, options);
  while (list.length && list.at(-1) === undefined) list.pop();
  return f(x, ...list);
}

function compare(op: Operator, call: Call, { feeds, outs, grads }: Built, tolerance: Tolerance): Outcome {
  if (outs.length > call.out.length) return { kind: "wrong", why: `gave ${outs.length} results, PyTorch ${call.out.length}` };
  const values = interpret(outs, feeds);
  for (const [i, e] of call.out.slice(0, outs.length).entries()) {
    if (typeof e !== "object" || e === null || !("tensor" in e)) continue;
    const want = op.tensors.get(e.tensor as string)!;
    const why = differ(values[i]!, want, tolerance);
    if (why) return { kind: "wrong", why: `result ${i}: ${why}` };
  }
  if (!call.grads) return { kind: "same" };
  if (!grads.length && call.grads.length) return { kind: "skip", why: "more results are differentiable than are compared" };
  const given = interpret(
    grads.filter((g) => g !== null),
    feeds,
  ).values();
  for (const [i, g] of grads.entries()) {
    const e = call.grads[i];
    const got = g === null ? null : given.next().value!;
    const want = e ? op.tensors.get(e.tensor)! : null;
    if (got === null || want === null) {
      const other = (got ?? want)?.data as Float64Array | undefined;
      if (other && !other.every((v) => v === 0)) return { kind: "wrong", why: `gradient ${i}: ${got ? "PyTorch gives" : "gave"} none` };
      continue;
    }
    const why = differ(got, want, tolerance);
    if (why) return { kind: "wrong", why: `gradient ${i}: ${why}` };
  }
  return { kind: "same" };
}

/** How two arrays differ, or undefined: types exactly, floats within the tolerance. */
function differ(got: NdArray, want: NdArray, { own, largest, floor }: Tolerance): string | undefined {
  if (got.dtype !== want.dtype || got.shape.join() !== want.shape.join())
    return `${got.dtype}[${got.shape}], PyTorch ${want.dtype}[${want.shape}]`;
  let scale = 0;
  for (const v of want.data) if (Number.isFinite(Number(v))) scale = Math.max(scale, Math.abs(Number(v)));
  for (let i = 0; i < want.data.length; i++) {
    const [a, b] = [Number(got.data[i]), Number(want.data[i])];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!(Math.abs(a - b) <= largest * scale + own * Math.abs(b) + floor)) return `element ${i} is ${a}, PyTorch ${b}`;
  }
  return undefined;
}
