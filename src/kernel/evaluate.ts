import { roundValue } from "../core/convert.js";
import { computeDType, type DType, isHalf, isWide } from "../core/dtype.js";
import { UnsupportedError } from "../core/errors.js";
import { type Dim, hi, lo, stride, sub, substitute, variable, variables } from "../core/expr.js";
import type { Node, Source, Test } from "../ir/node.js";
import { type ScalarOp, scalarOps } from "../ops/scalar.js";
import { type Group, placeIn } from "./group.js";
import { type Axis, apply, at, type Buffer, constant, indexValue, load, type Stmt, store, type Value } from "./kernel.js";

/** Turns the nodes of a group into scalar Values at an index: views become index arithmetic, producers are computed where they are read. */
export interface Evaluator {
  /** The value of `node` at `index`. Statements that must come before it (`let`, `letIndex`) are appended to `into`. */
  value(node: Node, index: readonly Dim[], into: Stmt[]): Value;
  /**
   * A scope for one loop body: equal (node, index) pairs are computed once in it. With `loop`, what does not depend on the loop's
   * axes is computed once in front of it, by statements appended to `loop.before`.
   */
  scope(loop?: LoopScope): Evaluator;
  /** Registers that values needed; they belong among the kernel's buffers. */
  readonly locals: readonly Buffer[];
}
/** The loops that surround a scope's statements and not its parent's, and where the parent's statements go. */
export interface LoopScope {
  readonly axes: readonly Axis[];
  readonly before: Stmt[];
  /** Names live in registers of this size at this index: for a scope whose statements end up in several loop nests. */
  readonly slot?: { readonly size: number; readonly index: Dim };
  /** Given values are made inside these loops: what is computed from them stays inside. */
  readonly fence?: boolean;
}
/** What a lowering gives in place of a node: a reduction's register, an accumulator. Undefined: compute it after all. */
export type Given = ReadonlyMap<Node, (index: readonly Dim[]) => Value | undefined>;

/** `buffers` holds the storage of the nodes that are read from memory (`groupBuffers`). The nodes of the group are computed, never read. */
export type MakeEvaluator = (group: Group, buffers: ReadonlyMap<Node, Buffer>, given?: Given) => Evaluator;

/** Values deeper than this get a name, so that neither printers nor compilers see deep nesting. */
const maxDepth = 32;
/** Operations that may be repeated inside the branch of a select; larger branches become statements. */
const maxBranch = 48;

/** Shared by all scopes of one evaluator. */
interface World {
  readonly buffers: ReadonlyMap<Node, Buffer>;
  /** Their names. */
  readonly global: ReadonlySet<string>;
  readonly given: Given;
  readonly group: Group;
  readonly uses: ReadonlyMap<Node, number>;
  readonly locals: Buffer[];
  readonly depth: WeakMap<Value, number>;
  /** Nodes that reach no buffer: they may be computed anywhere. */
  readonly pure: Map<Node, boolean>;
  /** Nodes that are computed from given ones. */
  readonly fromGiven: ReadonlySet<Node>;
  /** Everything that leaves is rounded to 16 bits. */
  readonly narrow: boolean;
  /** Symbolic sizes, whose names are not to be used again. */
  readonly taken: ReadonlySet<string>;
  names: number;
}
function fresh(w: World, stem: string): string {
  for (;;) {
    const label = `${stem}${w.names++}`;
    if (!w.taken.has(label)) return label;
  }
}
/** One block of statements. `within` is the enclosing block, whose names are visible. */
interface Block {
  readonly within: Block | undefined;
  readonly values: Map<Node, Map<string, Value>>;
  readonly reads: Map<string, Dim>;
  /** Variables that exist only in this block: loop positions and device-read indices. */
  readonly own: Set<string>;
  readonly axes: readonly Axis[];
  /** Where statements go that the enclosing block computes for this one; undefined in a branch, which nothing may leave. */
  readonly before: Stmt[] | undefined;
  /** The branch of a select: no statements may be made. */
  readonly budget: { left: number } | undefined;
  /** A branch: the enclosing block's statements, for what is safe to compute on both paths. */
  readonly around?: Stmt[];
  readonly slot?: LoopScope["slot"];
  readonly fence?: boolean | undefined;
}

/** Makes the evaluator of a group. */
export const makeEvaluator: MakeEvaluator = (group, buffers, given = new Map()) => {
  const uses = new Map<Node, number>();
  for (const n of group.nodes) for (const x of n.inputs) uses.set(x, (uses.get(x) ?? 0) + 1);
  for (const n of group.outputs) uses.set(n, (uses.get(n) ?? 0) + 1);
  const inside = new Set(group.nodes);
  const stored = new Map([...buffers].filter(([n]) => !inside.has(n)));
  const fromGiven = new Set<Node>(given.keys());
  for (const n of group.nodes) if (n.inputs.some((x) => fromGiven.has(x))) fromGiven.add(n);
  const world: World = {
    buffers: stored,
    global: new Set([...stored.values()].map((b) => b.name)),
    given,
    group,
    uses,
    locals: [],
    depth: new WeakMap(),
    pure: new Map(),
    fromGiven,
    narrow: group.outputs.every((n) => isHalf(n.type.dtype)),
    taken: sizeNames(group),
    names: 0,
  };
  return evaluatorOf(world, newBlock(undefined, [], undefined, undefined));
};

/** Names of the symbolic sizes in a group's types. */
export function sizeNames(group: Group): Set<string> {
  const found = new Map<string, Dim>();
  for (const n of [...group.nodes, ...group.inputs]) for (const d of n.type.shape) variables(d, found);
  return new Set(found.keys());
}

/** Spells a loop's name so that no symbolic size of the group has it. */
export function namesFor(group: Group): (stem: string) => string {
  const taken = sizeNames(group);
  const name = (stem: string): string => (taken.has(stem) ? name(`${stem}$`) : stem);
  return name;
}

function evaluatorOf(world: World, block: Block): Evaluator {
  return {
    value: (node, index, into) => evaluateIn(world, block, node, index, into),
    scope: (loop) => evaluatorOf(world, newBlock(block, loop?.axes ?? [], loop?.before, undefined, undefined, loop)),
    locals: world.locals,
  };
}
function newBlock(
  within: Block | undefined,
  axes: readonly Axis[],
  before: Stmt[] | undefined,
  budget: Block["budget"],
  around?: Stmt[],
  loop?: LoopScope,
): Block {
  const own = new Set(axes.map((a) => a.name));
  return {
    within,
    values: new Map(),
    reads: new Map(),
    own,
    axes,
    before,
    budget,
    ...(around && { around }),
    ...(loop?.slot && { slot: loop.slot }),
    fence: loop?.fence,
  };
}

/** A value whose operands are still to come. */
interface Pending {
  readonly node: Node;
  readonly index: readonly Dim[];
  readonly operands: readonly (readonly [Node, readonly Dim[]])[];
  readonly got: Value[];
  finish(values: readonly Value[]): Value;
}
const nothing: Value = constant(0, "f32");

/** Iterative over operands, so that long chains of ops cannot overflow the stack. */
function evaluateIn(w: World, block: Block, root: Node, rootIndex: readonly Dim[], into: Stmt[]): Value {
  const stack: Pending[] = [];
  let ready: Value | undefined;
  const enter = (node: Node, index: readonly Dim[]): void => {
    const step = begin(w, block, node, index, into);
    if ("finish" in step) stack.push(step);
    else ready = step;
  };
  enter(root, rootIndex);
  for (;;) {
    const top = stack[stack.length - 1];
    if (!top) return ready!;
    if (ready) {
      top.got.push(ready);
      ready = undefined;
    }
    const next = top.operands[top.got.length];
    if (next) enter(...next);
    else {
      stack.pop();
      ready = keep(w, block, top.node, top.index, top.finish(top.got), into);
    }
  }
}

const keyOf = (index: readonly Dim[]): string => index.map((d) => (typeof d === "number" ? d : d.key)).join();

/** The value at once where it is known or a leaf; otherwise what it needs first. */
function begin(w: World, block: Block, node: Node, index: readonly Dim[], into: Stmt[]): Value | Pending {
  if (block.budget && block.budget.left-- <= 0) return nothing;
  const key = keyOf(index);
  for (let b: Block | undefined = block; b; b = b.within) {
    const known = b.values.get(node)?.get(key);
    if (known) return known;
  }
  if (block.within && block.before && movesOut(block, index) && !(block.fence && w.fromGiven.has(node))) {
    return name(w, block.within, node, key, evaluateIn(w, block.within, node, index, block.before), block.before);
  }
  if (block.within && block.around && pure(w, node)) return evaluateIn(w, block.within, node, index, block.around);
  const given = w.given.get(node)?.(index);
  if (given) return given;
  const buffer = w.buffers.get(node);
  const { op } = node;
  if (buffer) return keep(w, block, node, index, load(buffer, placeIn(w.group, node, index)), into);
  const dtype = computeDType(node.type.dtype);
  if (op.kind === "elementwise") {
    const finish = (args: readonly Value[]): Value => scalarValue(w, node, dtype, args);
    return { node, index, operands: node.inputs.map((x) => [x, index] as const), got: [], finish };
  }
  if (op.kind === "movement" && op.source) {
    const sources = alternatives(op.source(index, node, reader(w, block, node, into)), block);
    const [first] = sources;
    if (first && !first.when?.length) {
      return { node, index, operands: [[node.inputs[first.input]!, first.index]], got: [], finish: ([x]) => x! };
    }
    return keep(w, block, node, index, choose(w, block, node, sources, into), into);
  }
  if (op.name === "constant") return literal(node.attrs.value as number | bigint, node.type.dtype);
  if (op.name === "iota") return rounded(node.type.dtype, indexValue(index[0]!, dtype));
  throw new UnsupportedError(
    `${op.name} has no value inside a generated kernel: it is neither elementwise, movement, nor read from a buffer`,
  );
}

/** The value of a constant in the dtype that it computes in. */
const literal = (value: number | bigint, dtype: DType): Value =>
  constant(isHalf(dtype) ? roundValue(dtype, value) : value, computeDType(dtype));
/** A value that half floats may not hold exactly takes their rounding. */
const rounded = (dtype: DType, v: Value): Value => (isHalf(dtype) ? apply("cast", dtype, v) : v);

function scalarValue(w: World, node: Node, dtype: DType, args: readonly Value[]): Value {
  const op = node.op.scalar as ScalarOp;
  if (op === "cast") {
    if (isHalf(node.type.dtype)) return deepen(w, apply("cast", node.type.dtype, args[0]!));
    if (args[0]!.dtype === dtype) return args[0]!;
  }
  if (op === "bitcast" && (isHalf(node.type.dtype) || isHalf(node.inputs[0]!.type.dtype))) {
    throw new UnsupportedError(
      `bitcast from ${node.inputs[0]!.type.dtype} to ${node.type.dtype} in a generated kernel: half floats compute as f32`,
    );
  }
  if (op === "exp" && dtype === "f32" && w.narrow) return deepen(w, apply("expnear", dtype, ...args));
  return deepen(w, apply(op, scalarOps[op].bool ? "bool" : dtype, ...args));
}
function deepen(w: World, v: Value): Value {
  if (v.kind === "op") w.depth.set(v, 1 + Math.max(0, ...v.args.map((a) => w.depth.get(a) ?? 0)));
  return v;
}

/** Remembers a value; gives it a name where it is used again or grows too deep. */
function keep(w: World, block: Block, node: Node, index: readonly Dim[], v: Value, into: Stmt[]): Value {
  if (block.budget) return v;
  const key = keyOf(index);
  if ((w.uses.get(node) ?? 0) > 1 || (w.depth.get(v) ?? 0) >= maxDepth) return name(w, block, node, key, v, into);
  return remember(block, node, key, v);
}
function name(w: World, block: Block, node: Node, key: string, v: Value, into: Stmt[]): Value {
  const plain = v.kind === "load" ? !w.global.has(v.buffer) : v.kind !== "op" && v.kind !== "select";
  if (plain) return remember(block, node, key, v);
  const label = fresh(w, "v");
  if (block.slot) {
    const register: Buffer = { name: label, dtype: valueType(v), space: "reg", size: block.slot.size };
    w.locals.push(register);
    into.push(store(register, block.slot.index, v));
    return remember(block, node, key, load(register, block.slot.index));
  }
  const named: Value = { kind: "ref", dtype: valueType(v), name: label };
  into.push({ kind: "let", name: named.name, value: v });
  return remember(block, node, key, named);
}
/** What a value is while it is computed with: a cast to half yields an f32. */
const valueType = (v: Value): DType => computeDType(v.dtype);
function remember(block: Block, node: Node, key: string, v: Value): Value {
  let values = block.values.get(node);
  if (!values) {
    values = new Map();
    block.values.set(node, values);
  }
  values.set(key, v);
  return v;
}

/** May what stands at `index` be computed in front of this block's loops, even if they never run? */
function movesOut(block: Block, index: readonly Dim[]): boolean {
  // The only position of an axis is 0, which an index does not mention; there may be none.
  if (block.axes.some((a) => hi(a.size) <= 1 && lo(a.size) <= 0)) return false;
  return index.every((d) => {
    if (typeof d === "number") return true;
    for (const v of variables(d).keys()) if (block.own.has(v)) return false;
    return dividesSafely(d);
  });
}
/** No division by a size that may be 0. */
function dividesSafely(d: Dim): boolean {
  if (typeof d === "number") return true;
  return d.terms.every(({ atom }) => {
    if (atom.kind === "var") return true;
    if (atom.kind === "prod") return atom.factors.every((f) => f.kind === "var");
    return ((atom.kind !== "div" && atom.kind !== "mod") || lo(atom.b) > 0) && dividesSafely(atom.a) && dividesSafely(atom.b);
  });
}
/** Reaches no memory. */
function pure(w: World, node: Node): boolean {
  const known = w.pure.get(node);
  if (known !== undefined) return known;
  const stack = [node];
  const seen = new Set<Node>();
  let result = true;
  while (stack.length && result) {
    const n = stack.pop()!;
    // What is kept from an earlier pass is known at its own position only.
    if (seen.has(n) || (w.given.has(n) && !w.buffers.has(n) && n.op.kind !== "elementwise")) continue;
    seen.add(n);
    if (w.buffers.has(n)) result = false;
    stack.push(...n.inputs);
  }
  w.pure.set(node, result);
  return result;
}

/** True or false where the bounds decide a test, undefined otherwise. A position on one of `axes` is below that axis' size. */
function decide(t: Test, axes: readonly Axis[] = []): boolean | undefined {
  const gap = sub(t.b, t.a);
  if (t.op === "==") return gap === 0 ? true : lo(gap) > 0 || hi(gap) < 0 ? false : undefined;
  if (lo(gap) > 0) return true;
  if (hi(gap) <= 0) return false;
  const last = new Map(axes.filter((a) => (stride(gap, a.name) ?? 0) < 0).map((a) => [a.name, sub(a.size, 1)]));
  return last.size && lo(substitute(gap, last)) > 0 ? true : undefined;
}
const axesAround = (block: Block): Axis[] => (block.within ? [...block.axes, ...axesAround(block.within)] : [...block.axes]);

/** Drops tests that always hold, alternatives that never do, and those behind one that always does. */
function alternatives(sources: readonly Source[], block: Block): Source[] {
  const out: Source[] = [];
  const axes = axesAround(block);
  for (const s of sources) {
    const known = (s.when ?? []).map((t) => decide(t, axes));
    if (known.includes(false)) continue;
    const when = (s.when ?? []).filter((_, i) => known[i] === undefined);
    out.push({ input: s.input, index: s.index, when });
    if (!when.length) break;
  }
  return out;
}

/** One of several sources, by their tests: a select where the branches are small, otherwise statements that set a register. */
function choose(w: World, block: Block, node: Node, sources: readonly Source[], into: Stmt[]): Value {
  const dtype = computeDType(node.type.dtype);
  const fill = literal((node.attrs.value as number | bigint | undefined) ?? (isWide(dtype) ? 0n : 0), node.type.dtype);
  const budget = block.budget ?? { left: maxBranch };
  const inside = newBlock(block, [], undefined, budget, into);
  let result: Value = fill;
  for (const s of [...sources].reverse()) {
    const then = evaluateIn(w, inside, node.inputs[s.input]!, s.index, into);
    result = s.when!.length ? { kind: "select", dtype, tests: s.when!, then, else: result } : then;
  }
  if (block.budget || budget.left > 0) return result;
  return assign(w, block, node, sources, fill, into);
}

/** The default first, then each alternative from the last to the first inside its tests: the first one that holds is written last. */
function assign(w: World, block: Block, node: Node, sources: readonly Source[], fill: Value, into: Stmt[]): Value {
  const lane = axesAround(block).find((a) => a.kind === "vector");
  const register: Buffer = { name: fresh(w, "pick"), dtype: fill.dtype, space: "reg", size: lane?.size ?? 1 };
  w.locals.push(register);
  const place: Dim = lane ? at(lane) : 0;
  into.push(store(register, place, fill));
  for (const s of [...sources].reverse()) {
    const inner: Stmt[] = [];
    const v = evaluateIn(w, newBlock(block, [], undefined, undefined, into), node.inputs[s.input]!, s.index, inner);
    inner.push(store(register, place, v));
    into.push(...s.when!.reduceRight<Stmt[]>((body, test) => [{ kind: "if", test, body }], inner));
  }
  return load(register, place);
}

/** Reads an element of an integer input as an index. */
function reader(w: World, block: Block, node: Node, into: Stmt[]) {
  return (input: number, index: readonly Dim[], min: number, max: Dim): Dim => {
    if (block.budget) {
      block.budget.left = 0;
      return min;
    }
    const from = node.inputs[input]!;
    return readIndex(w, block, from, index, min, max, into);
  };
}
const identity = new WeakMap<Node, number>();
let identities = 0;
function identify(n: Node): number {
  let id = identity.get(n);
  if (id === undefined) {
    id = identities++;
    identity.set(n, id);
  }
  return id;
}
function readIndex(w: World, block: Block, from: Node, index: readonly Dim[], min: number, max: Dim, into: Stmt[]): Dim {
  const key = `${identify(from)}[${keyOf(index)}]${min}..${typeof max === "number" ? max : max.key}`;
  for (let b: Block | undefined = block; b; b = b.within) {
    const known = b.reads.get(key);
    if (known !== undefined) return known;
  }
  if (block.within && block.before && lo(max) >= min && movesOut(block, index))
    return readIndex(w, block.within, from, index, min, max, block.before);
  const value = evaluateIn(w, block, from, index, into);
  const label = fresh(w, "i");
  const made = variable(label, min, Math.max(min, hi(max)));
  if (typeof made !== "number") {
    into.push({ kind: "letIndex", name: label, value, min, max });
    block.own.add(label);
  }
  block.reads.set(key, made);
  return made;
}
