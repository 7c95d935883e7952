/** What every part of a matmul's lowering shares: the sizes, the buffers, and where elements lie. */

import { bytesOf, computeDType, type DType, isFloat } from "../../../core/dtype.js";
import { add, ceilDiv, type Dim, div, divides, max, min, mod, mul, sub, variable, xor } from "../../../core/expr.js";
import { roundUp } from "../../../core/numbers.js";
import { numel, type Shape } from "../../../core/type.js";
import type { Node } from "../../../ir/node.js";
import { unflatten } from "../../../ops/movement.js";
import { type Evaluator, makeEvaluator } from "../../evaluate.js";
import { type Group, groupBuffers } from "../../group.js";
import { type Axis, apply, at, axis, type Buffer, constant, type MatrixUnit, type Stmt, type Value } from "../../kernel.js";
import { isOpaque, rowWords, tileCount } from "../../units.js";
import { type Feed, feedOf } from "./feed.js";
import {
  aroundProducts,
  dotShape,
  type Operand,
  operandsOf,
  orient,
  plainView,
  productsOf,
  type Rows,
  side,
  storedView,
  stridesOf,
  wholeRows,
  wordsOf,
} from "./operands.js";
import { parallel } from "./parallel.js";
import { type ContractTiling, type Level, type Name, type PerAxis, type Role, spillsOver } from "./tiling.js";

/** Where the current tile starts, and how large it is. */
export interface State {
  readonly off: PerAxis<Dim>;
  readonly size: PerAxis<Dim>;
  /** Where the stages of a register block began, which loops name by bounds of their own. */
  readonly began?: Readonly<Partial<Record<Role, PerAxis<Dim>>>>;
}

/** Rows beyond the edge repeat the last one: what they yield is never stored. */
export function inside(x: Contract, role: Role, i: Dim): Dim {
  const [size, tile] = [x.total[across(role)], role === "a" ? x.mr : x.nr];
  return divides(tile, size) ? i : min(i, sub(size, 1));
}
/** The zero of a dtype. */
export const nothing = (dtype: DType): Value => constant(isFloat(dtype) || bytesOf(dtype) < 8 ? 0 : 0n, dtype);
/** How many tiles a size takes; where the size is what is left or a whole tile, the smaller count of the two. */
export function pieces(size: Dim, tile: number): Dim {
  const [term, ...more] = typeof size === "number" || size.offset !== 0 ? [] : size.terms;
  if (term?.atom.kind !== "min" || more.length || term.by < 1) return ceilDiv(size, tile);
  const { atom, by } = term;
  return min(pieces(mul(atom.a, by), tile), pieces(mul(atom.b, by), tile));
}
/** Which axis of the product runs across a role's rows or columns; the other one is k. */
export const across = (role: Role): Name => (role === "a" ? "m" : "n");

/** One of the products that a kernel computes, and its operands. */
export interface Product extends Readonly<Record<Role, Operand>> {
  readonly index: number;
}

/** The lowering of a matmul, or of several that share an operand: sizes, buffers and addresses. */
export interface Contract {
  readonly group: Group;
  readonly t: ContractTiling;
  /** The products, each with its own accumulators. */
  readonly products: readonly Product[];
  readonly batch: Shape;
  /** Row-major number of the batch that this grid point works on. */
  readonly batchFlat: Dim;
  /** Sizes as the tiling names them; a turned tiling exchanges m and n. */
  readonly total: PerAxis<Dim>;
  /** Row and column of the product that the tiling calls (m, n). */
  position(m: Dim, n: Dim): readonly [row: Dim, column: Dim];
  readonly dtype: DType;
  /** Elements along k that one step of the arithmetic takes. */
  readonly pack: number;
  readonly operands: Readonly<Record<Role, readonly Operand[]>>;
  readonly buffers: ReadonlyMap<Node, Buffer>;
  readonly outs: readonly Buffer[];
  readonly unit: MatrixUnit | undefined;
  /** Rows and columns of the register block, and lanes of a vector. */
  readonly mr: number;
  readonly nr: number;
  readonly vector: number;
  /** Accumulators of one fragment that a lane holds. */
  readonly perLane: number;
  readonly tid: Dim;
  readonly lane: Dim;
  readonly acc: Buffer;
  /** Axes of the register block: rows, columns by vectors (or fragments), lanes. */
  readonly I: Axis;
  readonly J: Axis;
  readonly L: Axis;
  /** A product's accumulator of (I, J, L): the first register of a fragment, or one lane of a vector. */
  cell(p: Product): Dim;
  /** Accumulators of one product. */
  readonly cells: number;
  readonly digits: ReadonlyMap<Level, Dim>;
  readonly points: Dim;
  /** Extent of a stage along one of its axes. */
  tileOf(role: Role, x: Name): number;
  /** The loop of level i; its bounds must be equal wherever it is named, or differences do not cancel. */
  loopAt(i: number): Axis;
  /** Where a stage starts. */
  origin(role: Role, x: Name): Dim;
  /** Offset of the current tile inside a stage: what levels after the stage added. */
  relative(role: Role, st: State, x: Name): Dim;
  /** Offset of the current tile inside its grid point's tile. */
  inGridPoint(st: State, x: Name): Dim;
  /** Levels inside which results wait for a sweep, and the offset of the current tile inside what waits there. */
  readonly within: number;
  inWaiting(st: State, x: Name): Dim;
  /** A staged operand whose rows run along k; a row-major b has rows along n. */
  kInner(role: Role): boolean;
  readonly stages: ReadonlyMap<Operand, Buffer>;
  /** Elements of one slot of a role's stages. */
  slotSize(role: Role): number;
  /** Where element (i across, k) of a staged operand lies; in panels of words k counts words. */
  place(role: Role, i: Dim, k: Dim, slot: Dim): Dim;
  /** A scope in which each product's element is its value. */
  epilogue(values: readonly Value[]): Evaluator;
  /** A register of this thread, made when it is first asked for. */
  register(name: string, type: DType, size: number): Buffer;
  /** A buffer in shared storage, made when it is first asked for. */
  block(name: string, type: DType, size: number): Buffer;
  /** All buffers in shared storage that were asked for. */
  readonly blocks: readonly Buffer[];
  /** All registers, also those that values needed. */
  registers(): readonly Buffer[];
  /** An operand element, computed from the group's inputs (the prologue). */
  operand(o: Operand, i: Dim, k: Dim, into: Stmt[]): Value;
  /** How a role's operands come into the shared storage of a unit that takes registers. */
  feed(role: Role): Feed;
  /** The buffer that a plain operand lies in, and where its element (i, k) is. */
  address(o: Operand, i: Dim, k: Dim): { readonly buffer: string; readonly index: Dim };
  /** Strides of plain operands across (m or n) and along k. */
  readonly strides: Readonly<Record<Role, readonly [across: number, k: number] | undefined>>;
  /** Words of a role's operands are read at once where they lie. */
  readonly words: Readonly<Record<Role, boolean>>;
  /** The operand is only a view of a buffer. */
  isPlain(o: Operand): boolean;
  /** It is bytes of the buffer as they stand: it can be copied without being computed. */
  isStored(o: Operand): boolean;
  /** A role's plain operands as rows of buffers. */
  rows(role: Role): readonly Rows[] | undefined;
  /** Partial sums of a grid point's tile, when k is cut into blocks, one product's after the other's; those of threads lie as their accumulators. */
  readonly partial: Buffer;
  readonly partialWidth: number;
  readonly partialSize: number;
  /** A CPU's tile on its way through a long epilogue. */
  readonly spills: boolean;
  readonly spilled: Buffer;
  readonly corners: Buffer;
  /** Rows of the grid point's tile on their way out, a fragment's of each row of warps; how far they lie apart, and a product's in all. */
  readonly part: Buffer;
  readonly partWidth: number;
  readonly partSize: number;
  /** Signals of each slot: its tiles have arrived; everybody is done with it. */
  readonly full: Buffer;
  readonly empty: Buffer;
}

/** Works out what the parts of the lowering share. */
export function contract(group: Group, t: ContractTiling): Contract {
  const root = group.root!;
  const { batch, total, dtype } = orient(dotShape(root), t.turned);
  const operands = operandsOf(group, t.turned);
  const products = productsOf(group).map((node, index): Product => {
    const of = (role: Role): Operand => operands[role].find((o) => o.node === node.inputs[side(role, t.turned)])!;
    return { index, a: of("a"), b: of("b") };
  });
  const pack = t.pack ?? 1;
  const buffers = groupBuffers(group);

  const { unit, m: mr, n: nr, vector } = t.micro;
  const perLane = unit ? Math.max(1, unit.regs.acc) : 1;
  const tid = variable("tid", 0, t.threads - 1);
  const lane = mod(tid, unit?.lanes ?? 1);
  const alongK = t.micro.along === "k";
  const cells = unit ? (mr / unit.m) * (nr / unit.n) * perLane : mr * nr * (alongK ? vector : 1);
  const acc: Buffer = isOpaque(unit)
    ? { name: "tile", dtype, space: "reg", size: tileCount }
    : { name: "acc", dtype: unit ? "f32" : dtype, space: "reg", size: cells * products.length };
  const I = axis("i", unit ? mr / unit.m : mr, "unroll");
  const J = axis("j", unit ? nr / unit.n : alongK ? nr : nr / vector, "unroll");
  const L = axis("l", vector, "vector");
  const first = unit
    ? mul(add(mul(at(I), nr / unit.n), at(J)), perLane)
    : add(mul(at(I), alongK ? nr * vector : nr), mul(at(J), vector), at(L));
  const cell = (p: Product): Dim => add(first, p.index * cells);

  const { digits, points, batchFlat } = parallel(t, total, numel(batch), tid, unit?.lanes ?? 1);
  const batchIndex = unflatten(batchFlat, batch);

  /** Threads fill a stage together, so their own levels do not shrink it. */
  const staging = (role: Role, x: Name): readonly Level[] =>
    t.levels.slice(0, t[role]!.after).filter((l) => l.axis === x && l.on !== "threads");
  const tileOf = (role: Role, x: Name): number => staging(role, x).at(-1)!.tile;
  const sizeBefore = (i: number): Dim =>
    t.levels.slice(0, i).findLast((l) => l.axis === t.levels[i]!.axis)?.tile ?? total[t.levels[i]!.axis];
  const loopAt = (i: number): Axis => axis(`${t.levels[i]!.axis}${i}`, max(1, ceilDiv(sizeBefore(i), t.levels[i]!.tile)), "loop");
  const origin = (role: Role, x: Name): Dim =>
    staging(role, x).reduce<Dim>((o, l) => add(o, mul(l.on === "loop" ? at(loopAt(t.levels.indexOf(l))) : digits.get(l)!, l.tile)), 0);
  const relative = (role: Role, st: State, x: Name): Dim => sub(st.off[x], st.began?.[role]?.[x] ?? origin(role, x));
  const inGridPoint = (st: State, x: Name): Dim =>
    t.levels.filter((l) => l.axis === x && l.on === "grid").reduce<Dim>((o, l) => sub(o, mul(digits.get(l)!, l.tile)), st.off[x]);
  const within = t.within ?? t.levels.findIndex((l) => l.on !== "grid");
  const inWaiting = (st: State, x: Name): Dim =>
    t.levels
      .slice(0, within)
      .filter((l) => l.axis === x && l.on === "loop")
      .reduce<Dim>((o, l) => sub(o, mul(at(loopAt(t.levels.indexOf(l))), l.tile)), inGridPoint(st, x));

  const strides = { a: stridesOf(group, "a", t.turned), b: stridesOf(group, "b", t.turned) };
  const feeds = new Map<Role, Feed>();
  const feed = (role: Role): Feed => {
    const known = feeds.get(role) ?? feedOf(made, role);
    feeds.set(role, known);
    return known;
  };
  // A unit turns operands of 16 bits that lie the other way as it fetches them.
  const fetched = (role: Role): boolean => bytesOf(t[role]!.dtype) > 2 || feed(role).minor === "k";
  const kInner = (role: Role): boolean =>
    unit?.operands === "registers"
      ? fetched(role)
      : role === "b"
        ? strides.b?.[0] !== 1
        : t.a?.layout.kind !== "columns" || strides.a?.[0] !== 1;

  const slotSize = (role: Role): number => {
    const { layout } = t[role]!;
    const [n, k] = [tileOf(role, across(role)), tileOf(role, "k")];
    // A block of the last rows may be wider than its panel, and so may vectors of a row.
    const beyond =
      layout.kind !== "panels"
        ? 0
        : Math.max(
            layout.turned ? Math.max(0, rowWords - layout.width) : 0,
            spillsOver(layout.width, vector) ? roundUp(layout.width, vector) - layout.width : 0,
          );
    if (layout.kind === "panels") return Math.ceil(n / layout.width) * layout.width * Math.ceil(k / pack) + beyond;
    if (layout.kind === "swizzled") return n * k;
    if (layout.kind === "tiles") return n * k;
    return layout.kind === "rows" && kInner(role) ? n * (k + layout.pad) : k * (n + layout.pad);
  };
  const stages = new Map<Operand, Buffer>();
  const addStages = (role: Role): void => {
    for (const o of t[role] ? operands[role] : [])
      stages.set(o, { name: `${role}Stage${o.index || ""}`, dtype: t[role]!.dtype, space: "shared", size: slotSize(role) * t.depth });
  };
  function place(role: Role, i: Dim, k: Dim, slot: Dim): Dim {
    const base = mul(slot, slotSize(role));
    const kTile = tileOf(role, "k");
    const { layout } = t[role]!;
    switch (layout.kind) {
      case "panels":
        return add(base, mul(div(i, layout.width), layout.width * Math.ceil(kTile / pack)), mul(k, layout.width), mod(i, layout.width));
      case "tiles": {
        const { m, k: deep } = unit!;
        return add(base, mul(div(i, m), m * kTile), mul(div(k, deep), m * deep), mul(mod(i, m), deep), mod(k, deep));
      }
      case "rows":
        return kInner(role) ? add(base, mul(i, kTile + layout.pad), k) : add(base, mul(k, tileOf(role, across(role)) + layout.pad), i);
      case "columns":
        return add(base, mul(k, tileOf(role, across(role)) + layout.pad), i);
      case "swizzled":
        if (role === "b" && unit?.turned) {
          const column = mod(i, unit.n);
          return add(base, mul(div(i, unit.n), unit.n * kTile), mul(k, unit.n), mul(xor(div(column, 8), mod(k, 8)), 8), mod(column, 8));
        }
        return add(base, mul(i, kTile), mul(xor(div(k, 8), mod(i, 8)), 8), mod(k, 8));
      default:
        return layout satisfies never;
    }
  }
  /** Registers of this thread, in the order in which the lowering makes them. */
  const registers: Buffer[] = [acc];
  const register = (name: string, type: DType, size: number): Buffer => {
    const known = registers.find((b) => b.name === name);
    if (known) return known;
    const made: Buffer = { name, dtype: type, space: "reg", size };
    registers.push(made);
    return made;
  };
  const blocks: Buffer[] = [];
  const block = (name: string, type: DType, size: number): Buffer => {
    const known = blocks.find((b) => b.name === name);
    if (known) return known;
    const made: Buffer = { name, dtype: type, space: "shared", size };
    blocks.push(made);
    return made;
  };
  // One evaluator, so that no name is given twice; what stands for a product differs from accumulator to accumulator.
  let current: readonly Value[] = [];
  const evaluator = makeEvaluator(aroundProducts(group), buffers, new Map(productsOf(group).map((node, i) => [node, () => current[i]])));
  const epilogue = (values: readonly Value[]): Evaluator => {
    current = values;
    return evaluator.scope();
  };
  const operandIndex = (role: Role, i: Dim, k: Dim): readonly Dim[] => [...batchIndex, ...(side(role, t.turned) === 0 ? [i, k] : [k, i])];
  const operand = (o: Operand, i: Dim, k: Dim, into: Stmt[]): Value => {
    const v = evaluator.scope().value(o.node, operandIndex(o.role, i, k), into);
    return computeDType(v.dtype) === dtype ? v : apply("cast", dtype, v);
  };
  function address(o: Operand, i: Dim, k: Dim): { readonly buffer: string; readonly index: Dim } {
    const v = evaluator.scope().value(o.node, operandIndex(o.role, i, k), []);
    if (v.kind !== "load") throw new Error(`operand ${o.role} of ${group.name} is not a view of a buffer`);
    return { buffer: v.buffer, index: v.index };
  }
  const anywhere = (o: Operand): readonly Dim[] => operandIndex(o.role, variable("i", 0, 1 << 20), variable("k", 0, 1 << 20));
  const isPlain = (o: Operand): boolean => plainView(group, buffers, o.node, anywhere(o)) !== undefined;
  const isStored = (o: Operand): boolean => storedView(group, buffers, o.node, anywhere(o)) !== undefined;
  const rows = (role: Role): readonly Rows[] | undefined => wholeRows(group, role, batchIndex);
  // Rows of a tile that lie a power of two apart would share a few lines of the cache.
  const partialWidth = (t.levels.findLast((l) => l.axis === "n" && l.on === "grid")?.tile ?? nr) + (isOpaque(unit) ? rowWords : 0);
  const partialHeight = t.levels.slice(0, within).findLast((l) => l.axis === "m" && l.on !== "threads")?.tile ?? mr;
  const partSize = (partialHeight / mr) * (unit?.m ?? 1) * (partialWidth + 4);
  const partial: Buffer =
    t.partial === "registers"
      ? { ...acc, name: "partial" }
      : t.partial === "memory"
        ? { name: "tmp0", dtype, space: "global", size: mul(points, t.threads * cells * products.length), writes: true }
        : { name: "partial", dtype, space: "shared", size: partialHeight * partialWidth * products.length };
  const made: Contract = {
    group,
    t,
    products,
    batch,
    batchFlat,
    total,
    position: (m, n) => (t.turned ? [n, m] : [m, n]),
    dtype,
    pack,
    operands,
    buffers,
    outs: group.outputs.map((o) => buffers.get(o)!),
    unit,
    mr,
    nr,
    vector,
    perLane,
    tid,
    lane,
    acc,
    I,
    J,
    L,
    cell,
    cells,
    digits,
    points,
    tileOf,
    loopAt,
    origin,
    relative,
    inGridPoint,
    within,
    inWaiting,
    kInner,
    stages,
    slotSize,
    place,
    epilogue,
    register,
    block,
    blocks,
    registers: (): readonly Buffer[] => [...registers, ...evaluator.locals],
    operand,
    feed,
    address,
    strides,
    words: { a: wordsOf(group, "a", pack, t.turned), b: wordsOf(group, "b", pack, t.turned) },
    isPlain,
    isStored,
    rows,
    partial,
    partialWidth,
    partialSize: partialHeight * partialWidth,
    spills: t.threads === 1 && !unit && t.leave !== "swept" && epilogueLength(group) > shortEpilogue,
    spilled: { name: "spilled", dtype, space: "shared", size: mr * nr * products.length } as Buffer,
    corners: { name: "corners", dtype: group.outputs[0]!.type.dtype, space: "shared", size: Math.ceil(t.threads / 32) * 16 * 72 } as Buffer,
    part: { name: "part", dtype: "f32", space: "shared", size: partSize * products.length } as Buffer,
    partWidth: partialWidth + 4,
    partSize,
    full: { name: "full", dtype: "u32", space: "signal", size: t.depth } as Buffer,
    empty: { name: "empty", dtype: "u32", space: "signal", size: t.depth } as Buffer,
  };
  for (const role of ["a", "b"] as const) addStages(role);
  return made;
}

/** Operations that may be printed once for every accumulator register. */
const shortEpilogue = 3;
function epilogueLength(group: Group): number {
  const after = new Set<Node>(productsOf(group));
  for (const n of group.nodes) if (n.inputs.some((i) => after.has(i))) after.add(n);
  return [...after].filter((n) => n.op.kind === "elementwise").length;
}
