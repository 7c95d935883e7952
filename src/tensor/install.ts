/** Puts on Tensor's prototype what its interface promises: every op as a method, in-place forms, and the methods of this folder. */
import { type DType, dtypes, isFloat } from "../core/dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../core/errors.js";
import { sameShape, showShape, showType } from "../core/type.js";
import type { Node } from "../ir/node.js";
import { cast } from "../ops/cast.js";
import * as ops from "../ops/index.js";
import { expand } from "../ops/movement.js";
import { broadcastShapes } from "../ops/promotion.js";
import { full } from "../ops/source.js";
import { type BackwardOptions, backward } from "./autograd.js";
import { at, setAt } from "./indexing.js";
import { inPlaceNames } from "./methods.js";
import { mode } from "./mode.js";
import { move } from "./move.js";
import { normalNode, uniformNode } from "./random.js";
import { literalNode, newTensor, record } from "./record.js";
import { type Extras, type Index, Tensor } from "./tensor.js";
import { carries, markCarrier } from "./track.js";

type Fn = (...args: never[]) => unknown;
const table = ops as unknown as Readonly<Record<string, unknown>>;

function define(name: string, value: Fn): void {
  if (!Object.hasOwn(Tensor.prototype, name)) Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
function getter(name: string, get: (this: Tensor) => Tensor): void {
  Object.defineProperty(Tensor.prototype, name, { get, configurable: true });
}

for (const [name, f] of Object.entries(table)) {
  if (typeof f !== "function" || /^[A-Z]/.test(name)) continue;
  define(name, function (this: Tensor, ...args: unknown[]) {
    return record(name, f as Fn, [this, ...args]);
  });
}

const category = (d: DType): number => ({ bool: 0, uint: 1, int: 1, float: 2, complex: 3 })[dtypes[d].kind];
/** The result of an op as the new value of `t`: PyTorch's rules for in-place dtypes and shapes. */
function assign(name: string, t: Tensor, n: Node): Tensor {
  if (category(n.type.dtype) > category(t.dtype))
    throw new DTypeError(`${name}: a result of type ${n.type.dtype} does not fit into a tensor of type ${t.dtype}`);
  if (!sameShape(n.type.shape, t.shape))
    throw new ShapeError(`${name}: a result of shape ${showShape(n.type.shape)} does not fit into a tensor of shape ${showShape(t.shape)}`);
  const value = cast(n, t.dtype);
  if (mode.grad && carries(n)) markCarrier(value);
  t.write(value);
  return t;
}
for (const name of inPlaceNames) {
  const f = table[name];
  if (typeof f !== "function") continue;
  const own = `${name}_`;
  define(own, function (this: Tensor, ...args: unknown[]) {
    this.checkInPlace(own);
    const result = record(own, f as Fn, [this, ...args]) as Tensor;
    return assign(own, this, result.value());
  });
}

/** A tensor or number as a node of this tensor's type. */
function valueFor(name: string, t: Tensor, source: Tensor | number | bigint | boolean): Node {
  if (!(source instanceof Tensor)) {
    const v = t.dtype === "i64" || t.dtype === "u64" ? BigInt(source) : Number(source);
    const constant = mode.trace || [0, 1, -1, 2, 0.5].includes(Number(v));
    return constant ? full(t.shape, v, t.dtype) : expand(literalNode(v, t.dtype), t.shape);
  }
  const n = source.read();
  if (!sameShape(broadcastShapes(name, n.type.shape, t.shape), t.shape))
    throw new ShapeError(`${name}: ${showType(n.type)} does not broadcast to ${showShape(t.shape)}`);
  const value = expand(cast(n, t.dtype), t.shape);
  if (mode.grad && carries(n) && isFloat(t.dtype)) markCarrier(value);
  return value;
}
function overwrite(name: string, t: Tensor, value: () => Node): Tensor {
  t.checkInPlace(name);
  t.write(value());
  return t;
}

define("at", function (this: Tensor, ...index: Index[]) {
  return at(this, ...index);
} as Fn);
define("setAt", function (this: Tensor, index: readonly Index[], value: Tensor | number) {
  return setAt(this, index, value);
} as Fn);
define("backward", function (this: Tensor, options?: BackwardOptions) {
  backward(this, options);
} as Fn);

const extras: {
  readonly [K in Exclude<keyof Extras, "T" | "mT" | "at" | "setAt" | "backward" | "clone" | "contiguous">]: (
    this: Tensor,
    ...args: never[]
  ) => unknown;
} = {
  to(this: Tensor, target: string, options: { copy?: boolean } = {}) {
    if (!(target in dtypes)) return move(this, target);
    if (target === this.dtype) return options.copy ? newTensor(this.read()) : this;
    return record("cast", ops.cast as Fn, [this, target]);
  },
  copy_(this: Tensor, source: Tensor | number) {
    return overwrite("copy_", this, () => valueFor("copy_", this, source));
  },
  fill_(this: Tensor, value: number | Tensor) {
    if (value instanceof Tensor && value.ndim > 0)
      throw new ArgumentError(`fill_: takes a number or a rank-0 tensor, not ${showShape(value.shape)}`);
    return overwrite("fill_", this, () => valueFor("fill_", this, value));
  },
  zero_(this: Tensor) {
    return overwrite("zero_", this, () => valueFor("zero_", this, 0));
  },
  uniform_(this: Tensor, low = 0, high = 1) {
    return overwrite("uniform_", this, () => uniformNode(this.shape, this.dtype, low, high));
  },
  normal_(this: Tensor, mean = 0, std = 1) {
    return overwrite("normal_", this, () => normalNode(this.shape, this.dtype, mean, std));
  },
  float(this: Tensor) {
    return this.to("f32");
  },
  double(this: Tensor) {
    return this.to("f64");
  },
  half(this: Tensor) {
    return this.to("f16");
  },
  bfloat16(this: Tensor) {
    return this.to("bf16");
  },
  int(this: Tensor) {
    return this.to("i32");
  },
  long(this: Tensor) {
    return this.to("i64");
  },
  bool(this: Tensor) {
    return this.to("bool");
  },
};
for (const [name, f] of Object.entries(extras))
  Object.defineProperty(Tensor.prototype, name, { value: f, writable: true, configurable: true });
define("clone", function (this: Tensor) {
  return newTensor(this.read());
});
define("contiguous", function (this: Tensor) {
  return this.isContiguous() ? this : newTensor(this.read());
});
getter("T", function () {
  return this.permute(this.shape.map((_, i) => this.ndim - 1 - i));
});
getter("mT", function () {
  return this.transpose(-2, -1);
});
