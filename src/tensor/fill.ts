/**
 * Values that are made from nothing: one repeated number, or random numbers. Each kind is one program for all sizes, so that making a
 * model compiles little, whatever its shapes.
 */
import { toBytes } from "../core/convert.js";
import { bytesOf, type DType, isWide } from "../core/dtype.js";
import { variable } from "../core/expr.js";
import { numel } from "../core/type.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { add, mul } from "../ops/elementwise.js";
import { expand, expandOp, reshape, reshapeOp, slice } from "../ops/movement.js";
import * as draw from "../ops/random.js";
import { constantOp, input } from "../ops/source.js";
import type { Engine } from "./engine.js";
import type { Prepared } from "./prepared.js";
import { literalOf, Storage } from "./storage.js";

/** How a value is made: the numbers that its program takes. */
export type Fill =
  | { readonly kind: "constant"; readonly value: number | bigint }
  | { readonly kind: "uniform" | "normal"; readonly state: readonly (number | bigint)[]; readonly scale: number; readonly shift: number };

const fills = new WeakMap<Node, Fill>();
/** Says that a node is random numbers, times `scale` plus `shift`, of the state that another node holds. */
export function markFill(n: Node, kind: "uniform" | "normal", state: Node, scale = 1, shift = 0): void {
  const literal = literalOf(state);
  if (literal && literal.slot === undefined) fills.set(n, { kind, state: literal.values, scale, shift });
}
/** How a node's value is made, where it is made from nothing. */
export function fillOf(n: Node): Fill | undefined {
  const known = fills.get(n);
  if (known) return known;
  let x = n;
  while ((x.op as unknown) === expandOp || (x.op as unknown) === reshapeOp) {
    x = x.inputs[0]!;
    const random = fills.get(x);
    if (random) return numel(x.type.shape) === numel(n.type.shape) ? random : undefined;
  }
  if ((x.op as unknown) === constantOp) return { kind: "constant", value: x.attrs["value"] as number | bigint };
  const literal = literalOf(x);
  return literal && literal.slot === undefined && literal.values.length === 1 ? { kind: "constant", value: literal.values[0]! } : undefined;
}

const most = 2 ** 31 - 1;
/** Bytes that every device binds: what it can do shows when it is open. */
const leastBinding = 128 << 20;
const onHostBelow = 4096;
const prepared = new WeakMap<Engine, Map<string, Prepared>>();

function graphOf(kind: Fill["kind"], dtype: DType): Graph {
  const n = variable("n", 1, most);
  // A program learns sizes from its inputs: this one has the size, and no elements.
  const size = input({ shape: [n, 0], dtype }, "size");
  if (kind === "constant") {
    const value = input({ shape: [1], dtype }, "value");
    return { inputs: [size, value], state: [], outputs: [expand(value, [n])], updates: [] };
  }
  const state = input({ shape: [4], dtype: "u32" }, "state");
  const numbers = input({ shape: [2], dtype }, "numbers");
  const number = (i: number): Node => reshape(slice(numbers, [i], [1]), []);
  const drawn = kind === "uniform" ? draw.uniform(state, [n], 0, { dtype }) : draw.normal(state, [n], 0, { dtype });
  return {
    inputs: [size, state, numbers],
    state: [],
    outputs: [add(mul(drawn, expand(number(0), [n])), expand(number(1), [n]))],
    updates: [],
  };
}

/** The storage of a value that is made from nothing, on its way; undefined for all other values. */
export function filled(engine: Engine, n: Node): Storage | undefined {
  const fill = fillOf(n);
  if (!fill) return undefined;
  const size = numel(n.type.shape) as number;
  const { dtype } = n.type;
  if (fill.kind === "constant" && new Storage(n.type).bytes <= onHostBelow) {
    const value = isWide(dtype) ? BigInt(fill.value) : Number(fill.value);
    return new Storage(n.type, toBytes(dtype, new Array<number | bigint>(size).fill(value)));
  }
  if (size === 0) return new Storage(n.type, new Uint8Array(0));
  // A buffer in several bindings needs a fixed size.
  if (size > most || size * bytesOf(dtype) > (engine.codegen?.target.maxBinding ?? leastBinding)) return undefined;
  let programs = prepared.get(engine);
  if (!programs) prepared.set(engine, (programs = new Map()));
  const key = `${fill.kind} ${dtype}`;
  let program = programs.get(key);
  if (!program) programs.set(key, (program = engine.prepare(graphOf(fill.kind, dtype))));
  const vector = (type: DType, values: readonly (number | bigint)[]): Storage =>
    new Storage({ shape: [values.length], dtype: type }, toBytes(type, values));
  const sized = new Storage({ shape: [size, 0], dtype }, new Uint8Array(0));
  const numbers =
    fill.kind === "constant" ? [vector(dtype, [fill.value])] : [vector("u32", fill.state), vector(dtype, [fill.scale, fill.shift])];
  const s = new Storage(n.type);
  engine.enqueue({ prepared: program, inputs: [sized, ...numbers], states: [], becomes: [], outputs: [s], name: fill.kind });
  return s;
}
