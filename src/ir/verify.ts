import { InternalError } from "../core/errors.js";
import { type Dim, hi, lo, variables } from "../core/expr.js";
import { showType, type TensorType } from "../core/type.js";
import { type Graph, roots, topo } from "./graph.js";
import type { Attr, Node } from "./node.js";
import { pickOp } from "./pick.js";

/** True for a leaf whose value comes from outside the graph: it has an identity, and equal ones are still two. */
export const isOutside = (n: Node): boolean => n.op.kind === "leaf" && !n.op.reference && !n.op.decompose;

/** Throws InternalError where a graph breaks an invariant: types, tuples, leaves, updates, symbolic dims. */
export function verifyGraph(g: Graph, when = "graph"): void {
  const fail = (message: string): never => {
    throw new InternalError(`${when}: ${message}`);
  };
  const leaves = new Set<Node>();
  for (const x of [...g.inputs, ...g.state]) {
    if (!isOutside(x)) fail(`${x.op.name} stands among the inputs or the state but is no input`);
    if (leaves.has(x)) fail(`an input of type ${showType(x.type)} is listed twice`);
    leaves.add(x);
  }
  const dims = new Map<string, Dim>();
  const nodes = topo(roots(g));
  const done = new Set<Node>();
  for (const n of [...g.inputs, ...g.state, ...nodes]) {
    const name = n.op.name;
    for (const x of n.inputs) if (!done.has(x)) fail(`${name} is part of a cycle`);
    done.add(n);
    if (isOutside(n) && !leaves.has(n)) fail(`an input of type ${showType(n.type)} is used but not listed`);
    for (const x of n.inputs)
      if (x.tuple && (n.op as unknown) !== pickOp) fail(`${name} reads ${x.op.name}, which has several results, without pick`);
    checkTypes(n, fail);
    for (const t of n.tuple ?? [n.type])
      for (const d of t.shape) {
        if (typeof d === "number" ? !(Number.isSafeInteger(d) && d >= 0) : !(lo(d) >= 0 && hi(d) <= Number.MAX_SAFE_INTEGER))
          fail(`${name}: ${showType(t)} has a size that can be negative or is not an integer`);
        if (typeof d !== "number") checkDims(d, dims, name, fail);
      }
    for (const a of Object.values(n.attrs)) checkAttr(a, dims, name, fail);
  }
  for (const n of g.outputs) if (n.tuple) fail(`${n.op.name} with several results is an output; pick one`);
  const updated = new Set<Node>();
  for (const { state, value } of g.updates) {
    if (!g.state.includes(state)) fail(`an update of ${showType(state.type)} is not of a listed state`);
    if (updated.has(state)) fail(`a state of type ${showType(state.type)} is updated twice`);
    updated.add(state);
    if (value.tuple || !sameType(state.type, value.type))
      fail(`a state of type ${showType(state.type)} cannot take ${showType(value.type)}`);
  }
}

function checkTypes(n: Node, fail: (m: string) => never): void {
  if ((n.op as unknown) === pickOp) {
    const t = n.inputs[0]?.tuple?.[n.attrs.index as number];
    if (!t || !sameType(t, n.type))
      fail(`pick ${n.attrs.index} of ${n.inputs[0]?.op.name} is ${t ? showType(t) : "nothing"}, not ${showType(n.type)}`);
  }
  let inferred: TensorType | readonly TensorType[];
  try {
    inferred = n.op.infer(
      n.inputs.map((x) => x.type),
      n.attrs,
    );
  } catch (e) {
    fail(`${n.op.name}: ${(e as Error).message}`);
    return;
  }
  const list: readonly TensorType[] = "dtype" in inferred ? [inferred] : inferred;
  const have = n.tuple ?? [n.type];
  if (!("dtype" in inferred) !== !!n.tuple || list.length !== have.length || list.some((t, i) => !sameType(t, have[i]!)))
    fail(`${n.op.name} has type ${have.map(showType).join(", ")}, but its inputs give ${list.map(showType).join(", ")}`);
}

function checkDims(d: Dim, into: Map<string, Dim>, name: string, fail: (m: string) => never): void {
  for (const [v, e] of variables(d)) {
    const seen = into.get(v);
    if (seen === undefined) into.set(v, e);
    else if (seen !== e) fail(`${name}: the dim ${v} has the range [${lo(e)}, ${hi(e)}] here and [${lo(seen)}, ${hi(seen)}] elsewhere`);
  }
}

function checkAttr(a: Attr, dims: Map<string, Dim>, name: string, fail: (m: string) => never): void {
  if (a === null || typeof a !== "object") {
    if (a === undefined || typeof a === "function" || typeof a === "symbol") fail(`${name}: an attribute is not plain data`);
  } else if (Array.isArray(a)) {
    for (const x of a as readonly Attr[]) checkAttr(x, dims, name, fail);
  } else if ("terms" in a) checkDims(a, dims, name, fail);
  else if ("outputs" in a) verifyGraph(a, `${name}: inner graph`);
  else fail(`${name}: an attribute is not plain data`);
}

const sameType = (a: TensorType, b: TensorType): boolean =>
  a === b || (a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((d, i) => d === b.shape[i]));
