import type { DType } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import type { NdArray } from "../core/ndarray.js";
import type { TensorType } from "../core/type.js";
import type { Graph } from "./graph.js";

/** Plain data that configures an op. One canonical writer (attrs.ts) hashes, prints, compares and saves it. */
export type Attr = number | bigint | string | boolean | null | Dim | DType | Graph | readonly Attr[];
export type Attrs = { readonly [name: string]: Attr };

/**
 * A value in the SSA graph: immutable, made by `make`. Recording does not intern; a Graph does (graph.ts).
 * A node with several results has `tuple`; only `pick` may read it, and `type` is then its first result's.
 */
export interface Node<A extends Attrs = Attrs> {
  readonly op: Op<readonly Node[], A>;
  readonly inputs: readonly Node[];
  readonly attrs: A;
  readonly type: TensorType;
  readonly tuple?: readonly TensorType[];
}

/** One type or value for each input of an op. */
export type Each<I extends readonly unknown[], T> = { readonly [K in keyof I]: T };

export type OpKind = "leaf" | "elementwise" | "reduce" | "movement" | "scan" | "composite" | "opaque";

/**
 * Where an element of a movement op's result comes from: element `index` of input `input`, if every test in `when` holds.
 * Alternatives are tried in order; if none holds the element is `attrs.value` (0 where there is none).
 */
export interface Source {
  readonly input: number;
  readonly index: readonly Dim[];
  readonly when?: readonly Test[];
}
export interface Test {
  readonly a: Dim;
  readonly op: "<" | "==";
  readonly b: Dim;
}
/** Reads an element of an integer input on the device: an opaque Dim, clamped to [min, max]. */
export type ReadIndex = (input: number, index: readonly Dim[], min: number, max: Dim) => Dim;

/** The concrete type that a reference is to give. `exact`: it is the oracle's, so sums keep their rounding errors aside. */
export interface ReferenceType extends TensorType {
  readonly exact?: boolean;
}

/** Everything the framework knows about an operation. `node.op` IS this object: no enum, no side tables. */
export interface Op<I extends readonly Node[] = readonly Node[], A extends Attrs = Attrs> {
  readonly name: string;
  readonly kind: OpKind;
  /** Result type (or types) from input types; throws a typed error that names the op on misuse. Runs at the user's call. */
  infer(inputs: Each<I, TensorType>, attrs: A): TensorType | readonly TensorType[];
  /** Cotangents of the inputs given the cotangent of `y` (for a tuple: of each result, null where unused). Absent and no decompose: not differentiable. */
  vjp?(ct: Node, y: Node<A>, cts: readonly (Node | null)[]): Each<I, Node | null>;
  /** The same value from smaller ops (a list for a tuple). Backends that do not claim the op get this. Required for composites. */
  decompose?(y: Node<A>, inputs: I): Node | readonly Node[];
  /** Slow and obviously right: the oracle every backend is tested against. `out` is the concrete result type. Required except where decompose exists. */
  reference?(inputs: Each<I, NdArray>, attrs: A, out: ReferenceType, outs: readonly ReferenceType[]): NdArray | readonly NdArray[];
  /** elementwise: the scalar operation that it maps over its inputs (ops/scalar.ts). Inputs and output have one shape. */
  readonly scalar?: string;
  /** movement: where the element at `index` comes from. `read` gives data-dependent indices (gather). */
  source?(index: readonly Dim[], y: Node<A>, read: ReadIndex): readonly Source[];
  /** reduce: the scalar operation that folds, over `attrs.axes`, which vanish from the shape. */
  readonly combine?: "add" | "mul" | "max" | "min" | "or" | "and";
  /** Example calls: each one becomes a conformance case on every backend. */
  readonly samples: readonly Sample[];
}

/** One example call of an op, with how its inputs are filled. */
export interface Sample {
  readonly shapes: readonly (readonly number[])[];
  /** dtypes of the inputs where they are not the dtype under test. */
  readonly dtypes?: readonly (DType | null)[];
  /** Inputs are drawn from this range (default [-2, 2]); integers are drawn from it whole. One range for all inputs, or one each. */
  readonly range?: readonly [number, number] | readonly (readonly [number, number])[];
  /** Inputs are multiples of this (discontinuous ops: 1/8, so that no rounding error crosses a step). */
  readonly grid?: number;
  /** dtypes under test; default: what the op's family says. */
  readonly test?: readonly DType[];
  /** NaN, infinities or the sign of a zero on the way decide its results: compared where `Target.ieee` says that code keeps to them. */
  readonly special?: true;
  /** Not checked by finite differences (discontinuous at the samples), with the reason. */
  readonly noGrad?: string;
  call(...inputs: Node[]): Node | readonly Node[];
}

const byName = new Map<string, Op>();
/** The op of that name, or undefined. */
export const opByName = (name: string): Op | undefined => byName.get(name);
/** Every op declared so far, in order of declaration. */
export const allOps = (): Op[] => [...byName.values()];

/** Declares an op. Call it once, next to the function that builds the node. */
export function op<I extends readonly Node[], A extends Attrs>(def: Omit<Op<I, A>, "samples"> & { samples?: readonly Sample[] }): Op<I, A> {
  if (byName.has(def.name)) throw new Error(`op ${def.name} is defined twice`);
  const made: Op<I, A> = { samples: [], ...def };
  byName.set(def.name, made as unknown as Op);
  return made;
}

/** Records one application of an op. */
export function make<I extends readonly Node[], A extends Attrs>(op: Op<I, A>, inputs: I, attrs: A): Node<A> {
  const types = inputs.map((x) => x.type) as unknown as Each<I, TensorType>;
  const out = op.infer(types, attrs);
  const made = op as unknown as Op<readonly Node[], A>;
  return "dtype" in out ? { op: made, inputs, attrs, type: out } : { op: made, inputs, attrs, type: out[0]!, tuple: out };
}

/** Narrows a node to one op, so `attrs` is typed: `if (is(n, reshapeOp)) n.attrs.shape`. */
export const is = <I extends readonly Node[], A extends Attrs>(n: Node, o: Op<I, A>): n is Node<A> => (n.op as unknown) === o;
