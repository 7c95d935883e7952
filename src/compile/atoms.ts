import { bytesOf, isHalf } from "../core/dtype.js";
import { type Dim, hi } from "../core/expr.js";
import { numel } from "../core/type.js";
import { type Graph, roots, topo } from "../ir/graph.js";
import { is, type Node } from "../ir/node.js";
import { pick, pickOp } from "../ir/pick.js";
import { bindings } from "../kernel/bindings.js";
import type { Codegen, Template } from "../kernel/codegen.js";
import { gatherOp } from "../ops/gather.js";
import { type ScalarOp, scalarOps } from "../ops/scalar.js";
import { claimOf } from "./passes/claim.js";
import { isPrimitive } from "./passes/decompose.js";
import { mappedFrom, rowPattern, storageOf, viewOf } from "./views.js";

/**
 * How the elements that an atom reads relate to the elements it computes: `full` at the same row-major position, `row:P` at the row
 * of pattern P that the element belongs to, `view` anywhere else.
 */
export type Relation = "full" | "view" | `row:${string}`;

/** A value with an identity: it is computed once, by one group. Everything between atoms is computed where it is read. */
export interface Atom {
  readonly node: Node;
  readonly kind: "map" | "reduce" | "template" | "host";
  readonly order: number;
  /** What readers read: the node, or the picks of a tuple. */
  readonly values: readonly Node[];
  /** What is computed on the way from `reads` to the node, the node included. */
  readonly nodes: readonly Node[];
  /** Other atoms' values and leaves. */
  readonly reads: ReadonlyMap<Node, ReadonlySet<Relation>>;
  readonly template?: Template;
  /** reduce: rows and columns of what it reduces. map: undefined. */
  readonly pattern?: string;
  /** Elements: of a reduction, those it reads. */
  readonly size: Dim;
  readonly why: readonly string[];
}

/** A graph cut into atoms. */
export interface Atoms {
  readonly list: readonly Atom[];
  /** The atom that computes a value. */
  readonly of: ReadonlyMap<Node, Atom>;
  /** Atoms that read a value, once each. */
  readonly readers: ReadonlyMap<Node, readonly Atom[]>;
  /** Values that the program needs in memory whoever reads them. */
  readonly roots: ReadonlySet<Node>;
  readonly position: ReadonlyMap<Node, number>;
}

/** Where a node's elements are used, views looked through. */
interface Site {
  readonly user: Node;
  /** The operand of `user`: the node, or the last view of it. */
  readonly operand: Node;
  /** How many times each element is read, about. */
  readonly repeat: number;
}

/** Longest expression that may be computed twice instead of being written, in scalar operations. */
const cheap = 4;
/** The same for what reads no large buffer: positions, constants, the first rounds of a random generator. */
const cheapGenerated = 32;
/** Elements from which on a narrower copy is worth a kernel. */
export const worthWriting: number = 1 << 14;
/** Longest expression at all. */
const longest = 600;
/** Rank-0 values are computed in front of the loops. */
const cheapScalar = 64;

/** Scalar operations that one element of a node takes, about. */
const costOf = (n: Node): number =>
  n.op.kind !== "elementwise" || widens(n)
    ? 0
    : scalarOps[n.op.scalar as ScalarOp].heavy
      ? 10
      : n.op.scalar === "div" || n.op.scalar === "rem"
        ? 3
        : 1;

/** Whether a node only has the bits of a half float as f32, which is how it is computed with anyway. */
const widens = (n: Node): boolean => n.op.name === "cast" && n.type.dtype === "f32" && isHalf(n.inputs[0]!.type.dtype);

/** A leaf whose value comes from outside. */
export const isSupplied = (n: Node): boolean => n.op.kind === "leaf" && !n.op.reference;

/** A constant or a position: kernels compute it where they need it, even where it also lies in memory. */
const isGenerated = (n: Node): boolean => n.op.kind === "leaf" && !isSupplied(n);

/** Decides which values of a primitive graph get an identity. */
export function findAtoms(g: Graph, codegen: Codegen): Atoms {
  const { target } = codegen;
  const order = topo(roots(g));
  const position = new Map(order.map((n, i) => [n, i]));
  const users = new Map<Node, Node[]>();
  for (const n of order)
    for (const x of new Set(n.inputs)) {
      const list = users.get(x);
      if (list) list.push(n);
      else users.set(x, [n]);
    }
  const rootSet = new Set(
    roots(g)
      .map(storageOf)
      .filter((n) => !isSupplied(n)),
  );

  const kinds = new Map<Node, { kind: Atom["kind"]; template?: Template; why: readonly string[] }>();
  for (const n of order) {
    if (n.op.kind === "leaf" || (n.op as unknown) === pickOp || storageOf(n) !== n) continue;
    if (!target.kernels) {
      kinds.set(n, { kind: "host", why: ["this target runs no kernels"] });
      continue;
    }
    const foreign = [n, ...n.inputs].find((x) => !target.dtypes.has(x.type.dtype));
    if (foreign) kinds.set(n, { kind: "host", why: [`kernels have no ${foreign.type.dtype} on this target`] });
    else if (!isPrimitive(n)) {
      const { template, refused } = claimOf(n, codegen);
      kinds.set(
        n,
        template ? { kind: "template", template, why: refused } : { kind: "host", why: [`no template takes ${n.op.name}`, ...refused] },
      );
    } else if (n.op.kind === "reduce") kinds.set(n, { kind: "reduce", why: [] });
  }
  // What a host step or a template without a prologue reads must lie in memory.
  const wanted = new Map<Node, string>();
  for (const n of order) {
    const k = kinds.get(n);
    if (k?.kind !== "host" && k?.kind !== "template") continue;
    n.inputs.forEach((x, i) => {
      const answer = k.template ? k.template.prologue(n, i, target) : "a host step reads it";
      if (answer !== true)
        wanted.set(
          k.template?.views?.(n, i, target) ? mappedFrom(x) : storageOf(x),
          k.template ? `${n.op.name} reads it from memory: ${answer}` : answer,
        );
    });
  }

  const sites = new Map<Node, readonly Site[]>();
  const sitesOf = (n: Node): readonly Site[] => sites.get(n) ?? [];
  const isView = (n: Node): boolean => n.op.kind === "movement" && !kinds.has(n) && !wanted.has(n) && !rootSet.has(n);
  for (const n of order.toReversed()) {
    const found = new Map<Node, Site>();
    for (const u of users.get(n) ?? []) {
      if (isView(u)) {
        const times = Math.max(1, hi(numel(u.type.shape)) / Math.max(1, hi(numel(n.type.shape))));
        for (const s of sitesOf(u))
          if ((found.get(s.user)?.repeat ?? 0) < s.repeat * times) found.set(s.user, { ...s, repeat: s.repeat * times });
      } else if (!found.has(u)) found.set(u, { user: u, operand: n, repeat: 1 });
    }
    sites.set(n, [...found.values()]);
  }

  // Costs of what is computed where it is read, and from it the values that are worth an identity.
  const cost = new Map<Node, number>();
  const reads = new Map<Node, ReadonlySet<Node>>();
  const isAtom = (n: Node): boolean => kinds.has(n) || (n.op as unknown) === pickOp;
  const none: ReadonlySet<Node> = new Set();
  const bound = (n: Node): number => bindings(numel(n.type.shape), n.type.dtype, target);
  /** Bindings of values. */
  const total = (values: ReadonlySet<Node>): number => {
    let sum = 0;
    for (const v of values) sum += bound(v);
    return sum;
  };
  for (const n of order) {
    let { below, c } = readsOf(n);
    // More buffers than a kernel may bind: the operands that read most are written first.
    const isWritten = isAtom(n) || rootSet.has(n) || wanted.has(n);
    const room = target.maxBuffers - (isWritten ? bound(n) : 1);
    const parts = total(below) > room ? n.inputs.filter((x) => !isAtom(x) && !isSupplied(x)) : [];
    for (const x of parts.sort((a, b) => total(reads.get(b)!) - total(reads.get(a)!))) {
      if (total(below) <= room || reads.get(x)!.size < 2) break;
      keep(x, `${n.op.name} would read ${total(below)} buffers`);
      ({ below, c } = readsOf(n));
    }
    if (c > cheapScalar) c = distinctCost(n);
    cost.set(n, c);
    reads.set(n, below);
    if (isAtom(n) || isSupplied(n)) continue;
    const why = rootSet.has(n)
      ? "it leaves the program"
      : (wanted.get(n) ?? (n.op.kind === "elementwise" ? worthKeeping(n, c, below) : sharedRows(n)));
    if (!why) continue;
    const kept = rootSet.has(n) || wanted.has(n) ? n : narrowest(n);
    keep(kept, why);
    if (kept === n) continue;
    // What is left above the narrow value is cheap.
    const rest = distinctCost(n);
    cost.set(n, rest);
    reads.set(n, new Set([...reads.get(kept)!, kept]));
  }

  /** Values that an expression reads, and its operations with shared ones counted as often as they are read. */
  function readsOf(n: Node): { below: ReadonlySet<Node>; c: number } {
    const below = new Set<Node>();
    let c = costOf(n);
    for (const x of new Set(n.inputs)) {
      if (isAtom(x) || isSupplied(x)) below.add(x);
      else {
        c += cost.get(x)!;
        for (const r of reads.get(x) ?? none) below.add(r);
      }
    }
    return { below, c };
  }

  function keep(n: Node, why: string): void {
    kinds.set(n, {
      kind: target.kernels && target.dtypes.has(n.type.dtype) ? "map" : "host",
      why: [`${n.op.name} is a value of its own: ${why}`],
    });
  }

  /** Operations of an expression, shared ones once. */
  function distinctCost(n: Node): number {
    const seen = new Set<Node>([n]);
    const stack = [n];
    let sum = 0;
    while (stack.length && sum <= longest) {
      const x = stack.pop()!;
      sum += costOf(x);
      for (const y of x.inputs)
        if (!seen.has(y) && !isAtom(y) && !isSupplied(y)) {
          seen.add(y);
          stack.push(y);
        }
    }
    return sum;
  }

  /** A value that takes fewer bytes and from which `n` is cheap: the bits of a mask instead of the mask as numbers. */
  function narrowest(n: Node): Node {
    let best = n;
    let x = n;
    for (let ops = costOf(n); ops <= cheap; ops += costOf(x)) {
      const size = numel(n.type.shape);
      const next = x.inputs.filter(
        (y) => numel(y.type.shape) === size && y.op.kind === "elementwise" && !isAtom(y) && cost.get(y)! > cheap,
      );
      const others = x.inputs.filter((y) => y !== next[0] && !isSmall(y, size));
      if (next.length !== 1 || others.length) break;
      x = next[0]!;
      if (bytesOf(x.type.dtype) < bytesOf(best.type.dtype)) best = x;
    }
    return best;
  }
  /** A number, or a broadcast of few. */
  function isSmall(n: Node, size: Dim): boolean {
    let x = n;
    while (x.op.kind === "movement" && x.inputs.length === 1) x = x.inputs[0]!;
    return hi(numel(x.type.shape)) * 16 <= hi(size);
  }

  function worthKeeping(n: Node, c: number, below: ReadonlySet<Node>): string | undefined {
    const at = sitesOf(n);
    const size = hi(numel(n.type.shape));
    if (size === 1 && c <= cheapScalar) return undefined;
    // No kernel could write it: it is computed where it is read.
    if (total(below) + bound(n) > target.maxBuffers) return undefined;
    if (c > longest) return `its expression of ${c} operations is long enough`;
    if (total(below) > target.maxBuffers - 2) return `it reads ${total(below)} buffers`;
    const large = [...below].filter((r) => 2 * hi(numel(r.type.shape)) > size);
    const template = at.find(({ user, operand }) => {
      const { template: t } = kinds.get(user) ?? {};
      if (!t?.readsOnce) return t;
      // What the template writes over must not be read on the way to another operand.
      const once = user.inputs.every((x, i) => x !== operand || t.readsOnce!(user, i, target));
      return !once || user.inputs.some((x, i) => t.overwrites?.(user, i) && below.has(storageOf(x)));
    });
    if (template && (c > 2 || large.length > 1)) return `${template.user.op.name} reads it more than once`;
    const repeat = Math.max(1, ...at.map((s) => s.repeat));
    if (repeat >= 4 && c >= 8) return `its ${c} operations would be repeated ${repeat} times`;
    if (at.length < 2) return undefined;
    const products = at.filter(({ user }) => kinds.get(user)?.template && !kinds.get(user)!.template!.readsOnce).length;
    const wider = large.length === 1 && bytesOf(large[0]!.type.dtype) > bytesOf(n.type.dtype);
    if (products > 1 && wider && size >= worthWriting) return `${products} products read it, in fewer bytes than what it comes from`;
    if (c > (large.length ? cheap : cheapGenerated)) return `${at.length} readers share its ${c} operations`;
    if (large.length > 1) return `${at.length} readers share its ${large.length} operands`;
    // One large operand that nobody else reads: this value is kept instead of it, if it is not wider.
    const narrow = large.length === 1 && bytesOf(n.type.dtype) <= bytesOf(large[0]!.type.dtype);
    if (narrow && !isSupplied(large[0]!) && sitesOf(large[0]!).length < 2 && !rootSet.has(large[0]!) && inStep(n, large[0]!))
      return `${at.length} readers share it`;
    return undefined;
  }

  /** Rows that an index picks and several readers share: a processor's launch costs less than kernels that no other layer has. */
  function sharedRows(n: Node): string | undefined {
    const readers = sitesOf(n).length;
    return target.threads === 1 && readers > 1 && is(n, gatherOp) ? `${readers} readers share what it gathers` : undefined;
  }

  /** Whether an expression reads a value only at its own row-major position, so that the value's group can compute it. */
  function inStep(n: Node, value: Node): boolean {
    return n.inputs.every(
      (x) => x === value || !reads.get(x)?.has(value) || ((x.op.kind !== "movement" || viewOf(x).kind === "flat") && inStep(x, value)),
    );
  }

  const list: Atom[] = [];
  const of = new Map<Node, Atom>();
  const readers = new Map<Node, Atom[]>();
  const isValue = (n: Node): boolean => (n.op as unknown) === pickOp || (kinds.has(n) && !n.tuple) || isSupplied(n);
  for (const n of order) {
    const k = kinds.get(n);
    if (!k) continue;
    const inline = k.kind === "map" || k.kind === "reduce" ? isGenerated : () => false;
    const start = (i: number): Relation => {
      if (k.kind === "template") return k.template!.overwrites?.(n, i) ? "full" : "view";
      return k.kind === "host" ? "view" : "full";
    };
    const cone = coneOf(n, start, (x) => isValue(x) && !inline(x));
    const from = k.kind === "reduce" ? n.inputs[0]! : n;
    const atom: Atom = {
      node: n,
      kind: k.kind,
      order: position.get(n)!,
      values: n.tuple ? picksOf(n, users.get(n) ?? []) : [n],
      nodes: cone.nodes.sort((a, b) => position.get(a)! - position.get(b)!),
      reads: cone.reads,
      ...(k.template && { template: k.template }),
      ...(k.kind === "reduce" && { pattern: rowPattern(from.type.shape, n.attrs.axes as readonly number[]) }),
      size: numel(from.type.shape),
      why: k.why,
    };
    list.push(atom);
    for (const v of atom.values) of.set(v, atom);
    for (const r of atom.reads.keys()) {
      const seen = readers.get(r);
      if (seen) seen.push(atom);
      else readers.set(r, [atom]);
    }
  }
  return { list, of, readers, roots: rootSet, position };
}

/** A node for each result of a tuple, those that nobody reads included. */
function picksOf(n: Node, users: readonly Node[]): Node[] {
  return n.tuple!.map((_, i) => users.find((u) => (u.op as unknown) === pickOp && u.attrs.index === i) ?? pick(n, i));
}

/** What lies between a node and the values that it reads. */
function coneOf(
  root: Node,
  start: (input: number) => Relation,
  isValue: (n: Node) => boolean,
): { nodes: Node[]; reads: Map<Node, Set<Relation>> } {
  const nodes = new Set<Node>([root]);
  const reads = new Map<Node, Set<Relation>>();
  const seen = new Map<Node, Set<Relation>>();
  const stack: [Node, Relation][] = [];
  const descend = (n: Node, relation: (input: number) => Relation): void => {
    for (const [i, x] of n.inputs.entries()) stack.push([x, n.op.kind === "movement" ? through(n, relation(i)) : relation(i)]);
  };
  descend(root, start);
  while (stack.length) {
    const [n, relation] = stack.pop()!;
    const known = seen.get(n);
    if (known?.has(relation)) continue;
    if (known) known.add(relation);
    else seen.set(n, new Set([relation]));
    if (isValue(n)) {
      const r = reads.get(n);
      if (r) r.add(relation);
      else reads.set(n, new Set([relation]));
      continue;
    }
    nodes.add(n);
    descend(n, () => relation);
  }
  return { nodes: [...nodes], reads };
}

function through(n: Node, relation: Relation): Relation {
  const view = viewOf(n);
  if (view.kind === "flat") return relation;
  if (view.kind === "view" || relation !== "full") return "view";
  return view.axes.length ? `row:${rowPattern(n.type.shape, view.axes)}` : "full";
}
