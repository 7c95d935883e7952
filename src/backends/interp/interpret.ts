/**
 * The reference interpreter: every op by its own `reference`, or else by its decomposition. Slow and complete; what every backend
 * is measured against.
 */
import { roundTo } from "../../core/convert.js";
import { isFloat } from "../../core/dtype.js";
import { ArgumentError, InternalError, UnsupportedError } from "../../core/errors.js";
import { type Dim, evaluate } from "../../core/expr.js";
import { NdArray } from "../../core/ndarray.js";
import { showType, type TensorType } from "../../core/type.js";
import type { Attr, Attrs, Node, ReferenceType } from "../../ir/node.js";

export interface InterpretOptions {
  /** Every float array is f64, whatever its node says: the oracle. Integers wrap all the same. */
  readonly exact?: boolean;
  /** Values of symbolic dims; those that a fed input's shape names need not be given. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Nodes that are decomposed though they have a reference, to compare the two. */
  readonly open?: (n: Node) => boolean;
}

/** Values of `roots`, given values of the leaves (or of any other nodes) in `feeds`. */
export function interpret(roots: readonly Node[], feeds: ReadonlyMap<Node, NdArray>, options: InterpretOptions = {}): NdArray[] {
  const dims = { ...bindDims(feeds), ...options.dims };
  const values = new Map<Node, readonly NdArray[]>();
  const expansions = new Map<Node, readonly Node[]>();
  const exact = options.exact ?? false;
  for (const [n, v] of feeds) values.set(n, [exact && isFloat(v.dtype) ? new NdArray("f64", v.shape, v.data) : v]);
  const stack: Node[] = [];
  const need = (wanted: readonly Node[]): boolean => {
    let ready = true;
    for (const x of wanted) {
      if (values.has(x)) continue;
      stack.push(x);
      ready = false;
    }
    return ready;
  };
  for (const root of roots) {
    need([root]);
    while (stack.length) {
      const n = stack[stack.length - 1]!;
      if (values.has(n)) {
        stack.pop();
        continue;
      }
      const parts = expansions.get(n);
      if (parts) {
        if (need(parts)) values.set(n, parts.length === 1 && !n.tuple ? values.get(parts[0]!)! : parts.map((p) => values.get(p)![0]!));
      } else if (n.op.reference && !(n.op.decompose && options.open?.(n))) {
        if (need(n.inputs)) values.set(n, apply(n, values, dims, exact));
      } else if (n.op.decompose) {
        const parts = n.op.decompose(n, n.inputs);
        expansions.set(n, "op" in parts ? [parts] : parts);
      } else if (n.op.kind === "leaf") {
        throw new ArgumentError(`interpret: ${n.op.name} ${JSON.stringify(n.attrs.name ?? "")} of type ${showType(n.type)} has no value`);
      } else {
        throw new UnsupportedError(`interpret: ${n.op.name} has neither a reference nor a decomposition`);
      }
    }
  }
  return roots.map((r) => values.get(r)![0]!);
}

/** What one op's `reference` gives for concrete inputs, rounded to the result's dtype. */
function apply(n: Node, values: ReadonlyMap<Node, readonly NdArray[]>, dims: Readonly<Record<string, number>>, exact: boolean): NdArray[] {
  const results = n.tuple ?? [n.type];
  const outs = results.map((t) => concrete(t, dims, exact));
  const inputs = n.inputs.map((x) => values.get(x)!);
  // pick is the one op that sees all results of its input.
  const args = inputs.map((v, i) => (n.inputs[i]!.tuple ? v[Number(n.attrs.index ?? 0)]! : v[0]!));
  const got = n.op.reference!(args, concreteAttrs(n.attrs, dims), outs[0]!, outs);
  const list = got instanceof NdArray ? [got] : got;
  return list.map((v, i) => {
    const out = outs[i]!;
    if (v.dtype !== out.dtype || v.shape.length !== out.shape.length || v.shape.some((d, k) => d !== out.shape[k]))
      throw new InternalError(`${n.op.name}: its reference gave ${showType(v)} where ${showType(out)} was inferred`);
    return rounded(v);
  });
}

/** Every element rounded or wrapped to the array's own dtype. */
function rounded(v: NdArray): NdArray {
  return v.dtype === "complex64" ? v : new NdArray(v.dtype, v.shape, roundTo(v.dtype, v.data));
}

const concrete = (t: TensorType, dims: Readonly<Record<string, number>>, exact: boolean): ReferenceType & { shape: readonly number[] } => ({
  shape: t.shape.map((d) => evaluate(d, dims)),
  dtype: exact && isFloat(t.dtype) ? "f64" : t.dtype,
  exact,
});
/** Attributes with their symbolic dims replaced by values. */
export function concreteAttrs(attrs: Attrs, dims: Readonly<Record<string, number>>): Attrs {
  const value = (a: Attr): Attr => {
    if (typeof a !== "object" || a === null) return a;
    if (Array.isArray(a)) return a.map(value);
    return "terms" in a ? evaluate(a as Dim, dims) : a;
  };
  return Object.fromEntries(Object.entries(attrs).map(([k, v]) => [k, value(v)]));
}
/** Symbolic dims that stand alone in the shape of a fed node, bound by its value. */
function bindDims(feeds: ReadonlyMap<Node, NdArray>): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [n, v] of feeds)
    n.type.shape.forEach((d, i) => {
      if (typeof d === "number" || d.terms.length !== 1 || d.offset !== 0 || d.terms[0]!.by !== 1) return;
      const { atom } = d.terms[0]!;
      if (atom.kind === "var") out[atom.name] = v.shape[i]!;
    });
  return out;
}
