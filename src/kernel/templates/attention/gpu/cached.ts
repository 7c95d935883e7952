/**
 * What a step of decoding adds to attention of few queries: every grid point computes the new key and value of its head for itself, one of
 * them puts them into the caches, and nobody reads there what is being written.
 */
import { add, ceilDiv, type Dim, div, divides, indexOn, max, min, mod, mul, sub, variable } from "../../../../core/expr.js";
import { numel } from "../../../../core/type.js";
import { is, type Node } from "../../../../ir/node.js";
import { cachedAttentionOp } from "../../../../ops/cached-attention.js";
import { flatten } from "../../../../ops/movement.js";
import type { Group } from "../../../group.js";
import { at, axis, type Buffer, below, type Kernel, load, loops, type Stmt, store, type Value } from "../../../kernel.js";
import { finishKernel } from "../../../walk.js";
import { type Attention, named } from "../setup.js";
import type { FewTiling } from "./tiling.js";

/** The new key and value of a grid point's head, and where they go. */
export interface Fresh {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Their place, and the last place before it (0 where there is none). */
  readonly place: Dim;
  readonly old: Dim;
}
export const isCached = (group: Group): boolean => is(group.root!, cachedAttentionOp);

/** Reads the place, in front of everything. */
export function freshOf(x: Attention, into: Stmt[]): Fresh {
  const offset = x.group.root!.inputs.at(-1)!;
  const label = x.name("place");
  const value = x.plain(
    offset,
    offset.type.shape.map(() => 0),
    into,
  );
  into.push({ kind: "letIndex", name: label, value, min: 0, max: sub(x.keys, 1) });
  const place = indexOn(label, x.keys);
  const old = named(x, "old", max(0, sub(place, 1)), sub(x.keys, 1), into);
  return { key: x.scratch("freshKey", x.depth), value: x.scratch("freshValue", x.depth), place, old };
}

/**
 * Computes the new key and value of head `from`, beside other values: all loads are on their way before anything waits for one.
 * A barrier must follow.
 */
export function stageFresh(x: Attention, t: FewTiling, f: Fresh, from: readonly Dim[], tid: Dim, beside: Staged): readonly Stmt[] {
  const F = axis(x.name("fp"), Math.ceil(x.depth / t.threads), "unroll");
  const place = add(mul(at(F), t.threads), tid);
  const d = min(place, x.depth - 1);
  const registers = [f.key, f.value].map((b) => x.register(`${b.name}Own`, F.size as number));
  const into: Stmt[] = [];
  const read = registers.map((r, i) => store(r, at(F), x.read(x.group.root!.inputs[3 + i]!, [...from, 0, d], into)));
  const put = registers.map((r, i) => store(i ? f.value : f.key, place, load(r, at(F))));
  const guarded: readonly Stmt[] =
    t.threads * (F.size as number) === x.depth ? put : [{ kind: "if", test: below(place, x.depth), body: put }];
  return [...beside.read, ...loops([F], [...into, ...read]), ...loops([F], guarded), ...beside.put];
}
/** Values that are read into registers and then put where others find them. */
export interface Staged {
  readonly read: readonly Stmt[];
  readonly put: readonly Stmt[];
}

/** Puts them into the caches, in whole accesses; one grid point of a head does. */
export function putFresh(x: Attention, t: FewTiling, f: Fresh, from: readonly Dim[], tid: Dim, pid: Dim): readonly Stmt[] {
  const root = x.group.root!;
  const pieces = x.depth / t.piece;
  const P = axis(x.name("wp"), Math.ceil(pieces / t.threads), "loop");
  const piece = add(mul(at(P), t.threads), tid);
  const V = axis(x.name("wv"), t.piece, "vector");
  const d = add(mul(piece, t.piece), at(V));
  const puts = ([0, 1] as const).flatMap((which) => {
    const into = x.buffers.get(cacheOf(x.group, which))!;
    const to = flatten([...from, f.place, d], root.inputs[1 + which]!.type.shape);
    return loops([V], [store(into, to, load(which ? f.value : f.key, d))]);
  });
  const put = loops([P], divides(t.threads, pieces) ? puts : [{ kind: "if", test: below(piece, pieces), body: puts }]);
  return t.splits === 1 ? put : [{ kind: "if", test: below(mod(pid, t.splits), 1), body: put }];
}
/** A cache as it is afterwards. */
const cacheOf = (group: Group, which: 0 | 1): Node => group.outputs.find((n) => n.attrs.index === which)!;

/** Keys and values from registers where they are the new ones; `key` is where a key stands. */
export function takeFresh(
  f: Fresh,
  key: Dim,
  U: ReturnType<typeof axis>,
  take: (from: Buffer, which: 0 | 1) => readonly Stmt[],
): readonly Stmt[] {
  return loops([U], [{ kind: "if", test: { a: key, op: "==", b: f.place }, body: [...take(f.key, 0), ...take(f.value, 1)] }]);
}

/** Loads of old keys and values, or zeros where there are none: nothing may be read where the first ones are written. */
export const ofOld = (f: Fresh, loads: readonly Stmt[], zeros: readonly Stmt[]): readonly Stmt[] => [
  { kind: "if", test: below(0, f.place), body: loads, else: zeros },
];

/** Caches that are not written in place are copied first. */
export function copiedCaches(x: Attention, t: FewTiling): readonly Kernel[] {
  const pairs = ([0, 1] as const).flatMap((which): [Buffer, Buffer][] => {
    let from = x.group.root!.inputs[1 + which]!;
    while (from.op.kind === "movement") from = from.inputs[0]!;
    const [old, now] = [x.buffers.get(from)!, x.buffers.get(cacheOf(x.group, which))!];
    return old === now ? [] : [[old, now]];
  });
  if (!pairs.length) return [];
  const pieces = div(numel(x.group.root!.inputs[1]!.type.shape), t.piece);
  const grid = ceilDiv(pieces, t.threads);
  const piece = min(add(mul(indexOn("pid", grid), t.threads), variable("tid", 0, t.threads - 1)), sub(pieces, 1));
  const V = axis(x.name("cp"), t.piece, "vector");
  const place = add(mul(piece, t.piece), at(V));
  const body = loops(
    [V],
    pairs.map(([old, now]): Stmt => store(now, place, load(old, place) as Value)),
  );
  return [finishKernel(`${x.group.name}_copy`, pairs.flat(), grid, t.threads, body)];
}
