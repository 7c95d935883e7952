/**
 * What all elementwise families share. A scalar op is one entry: its name, what it computes on numbers, its derivative, where it is
 * sampled. The function that comes out promotes and broadcasts; the node that it records has inputs of one shape and dtype.
 */
import { type DType, dtypes, isFloat, isInt } from "../core/dtype.js";
import { DTypeError, ShapeError } from "../core/errors.js";
import { type HostData, hostData, NdArray } from "../core/ndarray.js";
import { sameShape, showType, type TensorType } from "../core/type.js";
import { make, type Node, type Op, op, type Sample } from "../ir/node.js";
import { cast } from "./cast.js";
import { type Domain, domainDTypes } from "./domains.js";
import { broadcast, defaultDType, type Operand, resultType, toNode } from "./promotion.js";
import type { ScalarOp } from "./scalar.js";

/** Attributes of an op that has none. */
export type None = Record<string, never>;
/** A function of one tensor, with the op that it records. */
export interface Unary {
  (x: Node): Node;
  readonly op: Op<[Node], None>;
}
/** A function of two operands that promotes and broadcasts, with the op that it records. */
export interface Binary {
  (a: Operand, b: Operand): Node;
  readonly op: Op<[Node, Node], None>;
}

interface Rule {
  readonly domain: Domain;
  /** The scalar op that kernels use, where its name is not this op's; null for a composite. */
  readonly scalar?: ScalarOp | null;
  /** The result is bool. */
  readonly bool?: true;
  /** Range of sample inputs, or one range for each input. */
  readonly range?: Sample["range"];
  /** Why finite differences do not apply; such inputs also lie on multiples of 1/8. */
  readonly discontinuous?: string;
  /** Dtypes of the samples, where not all of the domain. */
  readonly test?: readonly DType[];
  readonly samples?: readonly Sample[];
}
/** How a function of one number is defined. */
export interface UnaryRule extends Rule {
  readonly reference: (x: number) => number;
  /** The same on integers and bool, exactly; without it `reference` serves. */
  readonly integer?: (x: bigint) => bigint;
  readonly vjp?: (ct: Node, x: Node, y: Node) => Node | null;
  readonly decompose?: (x: Node) => Node;
}
/** How a function of two numbers is defined. */
export interface BinaryRule extends Rule {
  readonly reference: (a: number, b: number) => number;
  readonly integer?: (a: bigint, b: bigint) => bigint;
  readonly vjp?: (ct: Node, a: Node, b: Node, y: Node) => [Node | null, Node | null];
  readonly decompose?: (a: Node, b: Node) => Node;
}

/** Throws unless the dtype is in the domain. */
function checkDomain(name: string, domain: Domain, t: TensorType): void {
  const { kind } = dtypes[t.dtype];
  if (kind === "complex") throw new DTypeError(`${name}: ${showType(t)}: there is no complex arithmetic yet`);
  if (domain === "float" && kind !== "float") throw new DTypeError(`${name}: ${showType(t)} is not a float tensor; cast it first`);
  if (domain === "number" && kind === "bool")
    throw new DTypeError(`${name}: ${showType(t)}: not defined for bool; cast it to an integer, or use a logical op`);
  if (domain === "bits" && kind === "float") throw new DTypeError(`${name}: ${showType(t)} is not an integer or bool tensor`);
}
/** The dtype that a function of this domain computes in. */
const domainDType = (domain: Domain, d: DType): DType => (domain === "float" && (isInt(d) || d === "bool") ? defaultDType() : d);

type Reference<T> = (a: T, b: T) => T;
/** Applies a number function, or its exact integer form, to every element. */
function mapOver(
  out: TensorType,
  shape: readonly number[],
  from: DType,
  inputs: readonly NdArray[],
  number: Reference<number>,
  integer?: Reference<bigint>,
): NdArray {
  const n = inputs[0]!.data.length;
  const data = hostData(out.dtype, n);
  const [a, b] = [inputs[0]!.data, inputs[1]?.data];
  const wideOut = data instanceof BigInt64Array || data instanceof BigUint64Array;
  if (integer && !isFloat(from)) {
    for (let i = 0; i < n; i++) {
      const v = integer(BigInt(a[i]!), b ? BigInt(b[i]!) : 0n);
      // Typed arrays of bigint wrap by themselves.
      data[i] = wideOut ? v : Number(out.dtype === "bool" ? v : wrap(v, out.dtype));
    }
  } else for (let i = 0; i < n; i++) data[i] = number(a[i] as number, b ? (b[i] as number) : 0);
  return new NdArray(out.dtype, shape, data as HostData);
}
const wrap = (v: bigint, d: DType): bigint =>
  dtypes[d].kind === "uint" ? BigInt.asUintN(dtypes[d].bytes * 8, v) : BigInt.asIntN(dtypes[d].bytes * 8, v);

// Function declarations: other modules of the cycle may call `unary` and `binary` before this one has run.
function samplesOf(r: Rule, samples: readonly Sample[]): readonly Sample[] {
  const { range, discontinuous } = r;
  const own = samples.map((s) => ({
    ...s,
    test: r.test ?? domainDTypes[r.domain],
    ...(range && { range }),
    ...(discontinuous && { grid: 1 / 8, noGrad: discontinuous }),
  }));
  return r.samples ? [...own, ...r.samples] : own;
}
function kindOf(name: string, r: Rule): { kind: "elementwise" | "composite"; scalar?: string } {
  return r.scalar === null ? { kind: "composite" } : { kind: "elementwise", scalar: r.scalar ?? name };
}

/** Declares a function of one number. */
export function unary(name: string, r: UnaryRule): Unary {
  const record = (x: Node): Node => {
    const dtype = domainDType(r.domain, x.type.dtype);
    return make(self, [cast(x, dtype)], {});
  };
  const self: Op<[Node], None> = op({
    name,
    ...kindOf(name, r),
    infer: ([x]) => {
      checkDomain(name, r.domain, x);
      return r.bool ? { shape: x.shape, dtype: "bool" } : x;
    },
    ...(r.vjp && { vjp: (ct: Node, y: Node<None>) => [r.vjp!(ct, y.inputs[0]!, y)] }),
    ...(r.decompose && { decompose: (_: Node<None>, [x]: [Node]) => r.decompose!(x) }),
    reference: ([x], _, out) => mapOver(out, x.shape, x.dtype, [x], r.reference, r.integer),
    samples: samplesOf(r, [{ shapes: [[5, 7]], call: (x) => record(x!) }]),
  });
  return Object.assign(record, { op: self });
}

/** Declares a function of two numbers. */
export function binary(name: string, r: BinaryRule): Binary {
  const record = (a: Operand, b: Operand): Node => {
    const dtype = domainDType(r.domain, resultType(a, b));
    const [x, y] = broadcast(name, cast(toNode(a, dtype), dtype), cast(toNode(b, dtype), dtype));
    return make(self, [x!, y!], {});
  };
  const self: Op<[Node, Node], None> = op({
    name,
    ...kindOf(name, r),
    infer: ([a, b]) => {
      if (a.dtype !== b.dtype) throw new DTypeError(`${name}: ${showType(a)} and ${showType(b)} differ in dtype`);
      if (!sameShape(a.shape, b.shape)) throw new ShapeError(`${name}: ${showType(a)} and ${showType(b)} differ in shape`);
      checkDomain(name, r.domain, a);
      return r.bool ? { shape: a.shape, dtype: "bool" } : a;
    },
    ...(r.vjp && { vjp: (ct: Node, y: Node<None>) => r.vjp!(ct, y.inputs[0]!, y.inputs[1]!, y) }),
    ...(r.decompose && { decompose: (_: Node<None>, [a, b]: [Node, Node]) => r.decompose!(a, b) }),
    reference: ([a, b], _, out) => mapOver(out, a.shape, a.dtype, [a, b], r.reference, r.integer),
    samples: samplesOf(r, [
      {
        shapes: [
          [3, 5],
          [3, 5],
        ],
        call: (a, b) => record(a!, b!),
      },
      { shapes: [[2, 3], [3]], call: (a, b) => record(a!, b!) },
    ]),
  });
  return Object.assign(record, { op: self });
}
