/** What convolution kernels share: sizes, the padded input in scratch, weights in panels, the product in registers, and how rows leave. */
import { computeDType, type DType } from "../../../core/dtype.js";
import { add, type Dim, div, divides, hi, indexOn, lo, mod, mul, stride, sub } from "../../../core/expr.js";
import { sameShape } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { flatten, unflatten } from "../../../ops/movement.js";
import type { Target } from "../../codegen.js";
import { type Evaluator, makeEvaluator, namesFor } from "../../evaluate.js";
import { beforeStores, type Group, groupBuffers } from "../../group.js";
import {
  type Axis,
  apply,
  at,
  axis,
  type Buffer,
  below,
  constant,
  indexValue,
  load,
  loops,
  type Stmt,
  store,
  type Value,
} from "../../kernel.js";

/** Sizes of a convolution over rows and columns; one spatial axis is one row. */
export interface ConvSizes {
  readonly batch: Dim;
  readonly height: number;
  readonly width: number;
  /** Channels of one group that go in and come out. */
  readonly channels: number;
  readonly outputs: number;
  readonly groups: number;
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  /** Zeros above and left of the input. */
  readonly low: Pair;
  readonly rows: number;
  readonly columns: number;
  /** Channels are the last axis of input and result, not the second. */
  readonly last: boolean;
  readonly spatial: 1 | 2;
}
export type Pair = readonly [number, number];

/** What every part of a convolution's lowering shares. */
export interface Conv {
  readonly group: Group;
  readonly sizes: ConvSizes;
  readonly dtype: DType;
  readonly vector: number;
  /** Vectors abreast in a panel, and its lanes: `vector * abreast`. */
  readonly abreast: number;
  readonly panel: number;
  /** Panels of one group's output channels. */
  readonly panels: number;
  readonly buffers: ReadonlyMap<Node, Buffer>;
  readonly J: Axis;
  readonly L: Axis;
  readonly lane: Dim;
  name(stem: string): string;
  scratch(stem: string, size: number): Buffer;
  register(stem: string, size: number): Buffer;
  made(): readonly Buffer[];
  /** An element of an operand, widened. */
  read(node: Node, index: readonly Dim[], into: Stmt[]): Value;
  /** The index of an element of the input or the result. */
  place(batch: Dim, row: Dim, column: Dim, channel: Dim): readonly Dim[];
  /** A scope in which the convolution's element is `value`. */
  epilogue(value: Value): Evaluator;
  op(op: Parameters<typeof apply>[0], ...args: readonly Value[]): Value;
  readonly zero: Value;
}

export function setUp(group: Group, target: Target, sizes: ConvSizes): Conv {
  const root = group.root!;
  const dtype = computeDType(root.type.dtype);
  const vector = lanesOf(dtype, target);
  const abreast = sizes.outputs > vector ? 2 : 1;
  const panel = vector * abreast;
  const buffers = groupBuffers(group);
  const own: Buffer[] = [];
  const keep = (b: Buffer): Buffer => {
    own.push(b);
    return b;
  };
  let product: Value | undefined;
  const evaluator = makeEvaluator(group, buffers, new Map([[root, () => product]]));
  const name = namesFor(group);
  const J = axis(name("j"), abreast, "unroll");
  const L = axis(name("l"), vector, "vector");
  return {
    group,
    sizes,
    dtype,
    vector,
    abreast,
    panel,
    panels: Math.ceil(sizes.outputs / panel),
    buffers,
    J,
    L,
    lane: add(mul(at(J), vector), at(L)),
    name,
    scratch: (stem, size) => keep({ name: stem, dtype, space: "shared", size }),
    register: (stem, size) => own.find((b) => b.name === stem) ?? keep({ name: stem, dtype, space: "reg", size }),
    made: () => [...own, ...evaluator.locals],
    read: (node, index, into) => {
      const v = evaluator.scope().value(node, index, into);
      return v.dtype === dtype ? v : apply("cast", dtype, v);
    },
    place: (n, row, column, channel) => {
      const space = sizes.spatial === 1 ? [column] : [row, column];
      return sizes.last ? [n, ...space, channel] : [n, channel, ...space];
    },
    epilogue: (value) => {
      product = value;
      return evaluator.scope();
    },
    op: (op, ...args) => apply(op, dtype, ...args),
    zero: constant(0, dtype),
  };
}
/** Lanes of a vector of a dtype. */
export const lanesOf = (dtype: DType, target: Target): number => Math.max(1, (target.lanes * 4) / (dtype === "f64" ? 8 : 4));

/** Where a grid point works: digits of its number, the last one fastest. A symbolic batch gets a name with bounds of its own. */
export function digitsOf(
  x: Conv,
  counts: readonly number[],
  into: Stmt[],
): { readonly grid: Dim; readonly batch: Dim; readonly digits: readonly Dim[] } {
  const each = counts.reduce((a, b) => a * b, 1);
  const grid = mul(x.sizes.batch, each);
  const pid = indexOn("pid", grid);
  let rest: Dim = x.sizes.batch === 1 ? pid : mod(pid, each);
  const digits: Dim[] = [];
  for (const [i, count] of [...counts.entries()].reverse()) {
    digits.unshift(i === 0 ? rest : mod(rest, count));
    rest = div(rest, count);
  }
  let batch = x.sizes.batch === 1 ? 0 : div(pid, each);
  if (typeof x.sizes.batch !== "number") {
    const label = x.name("image");
    into.push({ kind: "letIndex", name: label, value: indexValue(batch, "i64"), min: 0, max: sub(x.sizes.batch, 1) });
    batch = indexOn(label, x.sizes.batch);
  }
  return { grid, batch, digits };
}

/** Statements for positions 0 to `count`: whole vectors, then what is left one by one. */
export function spans(x: Conv, stem: string, count: number, body: (position: Dim) => readonly Stmt[]): readonly Stmt[] {
  const full = Math.floor(count / x.vector);
  const rest = count - full * x.vector;
  const F = axis(x.name(stem), full, "loop");
  const V = axis(x.name(`${stem}_l`), x.vector, "vector");
  const R = axis(x.name(`${stem}_r`), rest, "loop");
  return [
    ...(full ? loops([F, V], body(add(mul(at(F), x.vector), at(V)))) : []),
    ...(rest ? loops([R], body(add(full * x.vector, at(R)))) : []),
  ];
}

/** A padded part of the input in scratch, [rows][columns][pitch]. */
export interface Staged {
  readonly buffer: Buffer;
  readonly columns: number;
  readonly pitch: number;
}
/** Channels of a staged position: never a multiple of 1 KiB apart, or neighbours would fall into the same few sets of the cache. */
export const pitchOf = (channels: number, vector: number): number => ((channels * 4) % 1024 === 0 ? channels + vector : channels);

/** Copies `rows` rows from row `first` of the padded input on, with the zeros around it. */
export function stage(
  x: Conv,
  batch: Dim,
  first: Dim,
  group: Dim,
  rows: number,
  columns: number,
): { readonly staged: Staged; readonly body: readonly Stmt[] } {
  const { sizes } = x;
  const pitch = pitchOf(sizes.channels, x.vector);
  const buffer = x.scratch("stage", rows * columns * pitch);
  const input = x.group.root!.inputs[0]!;
  const I = axis(x.name("row"), rows, "loop");
  const h = add(first, at(I), -sizes.low[0]);
  const to = (column: Dim, channel: Dim): Dim => add(mul(add(mul(at(I), columns), column), pitch), channel);
  const from = Math.min(columns, Math.max(0, sizes.low[1]));
  const end = Math.max(from, Math.min(columns, sizes.width + sizes.low[1]));
  const blank = (begin: number, stop: number, stem: string): readonly Stmt[] => {
    if (stop <= begin) return [];
    const B = axis(x.name(stem), stop - begin, "loop");
    return loops(
      [B],
      spans(x, `${stem}_c`, sizes.channels, (c) => [store(buffer, to(add(begin, at(B)), c), x.zero)]),
    );
  };
  const element = (column: Dim, channel: Dim, into: Stmt[]): Value =>
    x.read(input, x.place(batch, h, sub(column, sizes.low[1]), add(mul(group, sizes.channels), channel)), into);
  const copy = (column: Dim, channel: Dim): readonly Stmt[] => {
    const into: Stmt[] = [];
    return [...into, ...((v: Value): Stmt[] => [...into, store(buffer, to(column, channel), v)])(element(column, channel, into))];
  };
  const C = axis(x.name("copied"), alongColumns(x, input) ? sizes.channels : end - from, "loop");
  const inside =
    end === from
      ? []
      : alongColumns(x, input)
        ? loops(
            [C],
            spans(x, "across", end - from, (w) => copy(add(from, w), at(C))),
          )
        : loops(
            [C],
            spans(x, "across", sizes.channels, (c) => copy(add(from, at(C)), c)),
          );
  const whole = [...blank(0, from, "left"), ...inside, ...blank(end, columns, "right")];
  const nothing = blank(0, columns, "blank");
  const under: readonly Stmt[] = hi(h) < sizes.height ? whole : [{ kind: "if", test: below(h, sizes.height), body: whole, else: nothing }];
  const body: readonly Stmt[] = lo(h) >= 0 ? under : [{ kind: "if", test: below(-1, h), body: under, else: nothing }];
  return { staged: { buffer, columns, pitch }, body: loops([I], body) };
}
/** Whether neighbouring columns of the input, and not neighbouring channels, are neighbours in memory. */
function alongColumns(x: Conv, input: Node): boolean {
  const by = (name: "channel" | "column"): number | undefined => {
    const size = name === "channel" ? x.sizes.channels * x.sizes.groups : x.sizes.width;
    const moving = at(axis(name, size, "loop"));
    const index = name === "channel" ? x.place(0, 0, 0, moving) : x.place(0, 0, moving, 0);
    const v = makeEvaluator(x.group, x.buffers).value(input, index, []);
    return v.kind === "load" ? stride(v.index, name) : undefined;
  };
  const [channel, column] = [by("channel"), by("column")];
  return channel === undefined && column === undefined ? !x.sizes.last : channel !== 1 && column === 1;
}

/** Products of a block of positions with a panel of weights, added up in registers over `axes`, in which `a` is broadcast. */
export interface Block {
  readonly stem: string;
  readonly positions: number;
  readonly axes: readonly Axis[];
  a(position: Dim): Value;
  b(lane: Dim, into: Stmt[]): Value;
  leave(position: Dim, lane: Dim, value: Value): readonly Stmt[];
}
export function product(x: Conv, p: Block): readonly Stmt[] {
  const { J, L, lane } = x;
  const I = axis(x.name(`${p.stem}_i`), p.positions, "unroll");
  const acc = x.register(`${p.stem}_acc`, p.positions * x.panel);
  const wide = x.register(`${p.stem}_row`, x.panel);
  const column = x.register(`${p.stem}_column`, p.positions);
  const cell = add(mul(at(I), x.panel), lane);
  const into: Stmt[] = [];
  const row = p.b(lane, into);
  const update = store(acc, cell, x.op("fma", load(column, at(I)), load(wide, lane), load(acc, cell)));
  return [
    ...loops([I, J, L], [store(acc, cell, x.zero)]),
    ...loops(p.axes, [
      ...loops([J, L], [...into, store(wide, lane, row)]),
      ...loops([I], [store(column, at(I), p.a(at(I))), ...loops([J, L], [update])]),
    ]),
    ...loops([I, J, L], p.leave(at(I), lane, load(acc, cell))),
  ];
}
/** Runs `block` for `count` positions in blocks of `size`, and once more for those that are left. */
export function blocks(
  x: Conv,
  stem: string,
  count: number,
  size: number,
  block: (stem: string, first: Dim, positions: number) => readonly Stmt[],
): readonly Stmt[] {
  const full = Math.floor(count / size);
  const rest = count - full * size;
  const B = axis(x.name(stem), full, "loop");
  return [
    ...(full ? loops([B], block(`${stem}_full`, mul(at(B), size), size)) : []),
    ...(rest ? block(`${stem}_rest`, full * size, rest) : []),
  ];
}

/** Sums of whole rows of the result, [rows][pitch columns][panel], on their way out: bias and epilogue, then the stores. */
export function leaveRows(
  x: Conv,
  o: {
    readonly stem: string;
    readonly from: Buffer;
    readonly pitch: number;
    readonly rows: number;
    readonly first: Dim;
    readonly batch: Dim;
    readonly group: Dim;
    readonly panel: Dim;
  },
): readonly Stmt[] {
  const { sizes, group } = x;
  const root = group.root!;
  const bias = root.inputs[2];
  const Q = axis(x.name(`${o.stem}_q`), o.rows, "loop");
  const row = add(o.first, at(Q));
  const one = (column: Dim, lane: Dim): readonly Stmt[] => {
    const into: Stmt[] = [];
    const channel = add(mul(o.group, sizes.outputs), mul(o.panel, x.panel), lane);
    const total = load(o.from, add(mul(add(mul(at(Q), o.pitch), column), x.panel), lane));
    const e = x.epilogue(bias ? x.op("add", total, x.read(bias, [channel], into)) : total);
    const index = x.place(o.batch, row, column, channel);
    const flat = flatten(index, root.type.shape);
    const own = (y: Node): readonly Dim[] => (sameShape(y.type.shape, root.type.shape) ? index : unflatten(flat, y.type.shape));
    const computed = group.outputs.map((y) => e.value(y, own(y), into));
    const values = beforeStores(group, computed, into);
    return [...into, ...group.outputs.map((y, i) => store(x.buffers.get(y)!, flat, values[i]!))];
  };
  const limit = sub(sizes.outputs, mul(o.panel, x.panel));
  const whole = divides(x.panel, sizes.outputs);
  const W = axis(x.name(`${o.stem}_w`), sizes.columns, "loop");
  const P = axis(x.name(`${o.stem}_o`), x.panel, "loop");
  const inside = (lane: Dim, body: readonly Stmt[]): readonly Stmt[] => (whole ? body : [{ kind: "if", test: below(lane, limit), body }]);
  const body = sizes.last
    ? loops([W], loops([x.J, x.L], inside(x.lane, one(at(W), x.lane))))
    : loops(
        [P],
        inside(
          at(P),
          spans(x, `${o.stem}_w`, sizes.columns, (w) => one(w, at(P))),
        ),
      );
  return loops([Q], hi(row) < sizes.rows ? body : [{ kind: "if", test: below(row, sizes.rows), body }]);
}
