import { bytesOf } from "../core/dtype.js";
import { type Dim, hi, mul } from "../core/expr.js";
import { numel, showType } from "../core/type.js";
import type { Graph } from "../ir/graph.js";
import type { Node } from "../ir/node.js";
import { bindings } from "../kernel/bindings.js";
import type { Codegen, Target } from "../kernel/codegen.js";
import type { Group } from "../kernel/group.js";
import { type Atom, type Atoms, findAtoms } from "./atoms.js";
import { type Draft, groupOf, labelOf, nested, newDraft, sweepsOf } from "./draft.js";
import { storageOf } from "./views.js";

/** How many levels apart two sums may be that are computed together, which keeps what the earlier one reads alive. */
const near = 3;

/** Most nodes of one group, so that kernels stay of a size that compilers digest. */
const mostNodes = 640;
/** Most reductions that wait for each other in one group: each one is another sweep over the row. */
const mostSweeps = 4;
/** Most reductions of one group: each has accumulators. */
const mostReductions = 12;

/** What fusion hands to the planner: groups in an order that respects their reads, and the value that each storage node stands for. */
export interface Fusion {
  readonly groups: readonly Group[];
  readonly atoms: Atoms;
  /** How an atom's group reads each value; the planner decides with it what may be written in place. */
  readonly atomsOf: ReadonlyMap<Group, readonly Atom[]>;
}

/** Cuts a primitive graph into groups: each becomes one step of the program. */
export function fuse(g: Graph, codegen: Codegen): Fusion {
  const atoms = findAtoms(g, codegen);
  const forest = new Forest(atoms, codegen.target, new Map(g.updates.map((u) => [storageOf(u.value), u.state])));
  if (codegen.target.kernels) {
    forest.absorbProducers();
    forest.joinProducers();
    forest.joinSiblings();
    forest.joinRows();
    forest.absorbProducers();
  }
  return forest.finish();
}

/** Drafts, and which draft each atom is in. */
class Forest {
  readonly atoms: Atoms;
  readonly target: Target;
  /** The state that a value replaces. */
  readonly replaces: ReadonlyMap<Node, Node>;
  readonly draftOf = new Map<Atom, Draft>();
  constructor(atoms: Atoms, target: Target, replaces: ReadonlyMap<Node, Node>) {
    this.atoms = atoms;
    this.target = target;
    this.replaces = replaces;
    atoms.list.forEach((a, id) => {
      const d = newDraft(a, id);
      for (const r of a.reads.keys()) {
        const from = atoms.of.get(r);
        if (!from) continue;
        const dep = this.draftOf.get(from)!;
        d.deps.add(dep);
        dep.users.add(d);
        d.level = Math.max(d.level, dep.level + 1);
      }
      this.draftOf.set(a, d);
    });
  }

  /** Users first: a value that only one group reads is computed in that group, if it can be. */
  absorbProducers(): void {
    for (const a of this.atoms.list.toReversed()) {
      if (a.values.some((v) => this.atoms.roots.has(v))) continue;
      const readers = new Set(a.values.flatMap((v) => (this.atoms.readers.get(v) ?? []).map((r) => this.draftOf.get(r)!)));
      const own = this.draftOf.get(a)!;
      readers.delete(own);
      if (readers.size === 1) this.merge(own, [...readers][0]!);
    }
  }

  /** A value is computed where what it reads is computed, which saves reading that again. */
  joinProducers(): void {
    for (const a of this.atoms.list) {
      const bytes = new Map<Draft, number>();
      for (const r of a.reads.keys()) {
        const from = this.atoms.of.get(r);
        if (!from) continue;
        const d = this.draftOf.get(from)!;
        bytes.set(d, (bytes.get(d) ?? 0) + hi(bytesOfValue(r)));
      }
      for (const [d] of [...bytes].sort((x, y) => y[1] - x[1])) {
        const own = this.draftOf.get(a)!;
        if (d.atoms.length && d !== own) this.merge(d, own);
      }
    }
  }

  /** Groups of one iteration space that read the same large value read it once. */
  joinSiblings(): void {
    for (const [value, readers] of this.atoms.readers) {
      const drafts: Draft[] = [];
      for (const r of readers) {
        const d = this.draftOf.get(r)!;
        if (!drafts.includes(d) && (d.kind === "map" || d.kind === "reduce") && isLarge(value, d)) drafts.push(d);
      }
      for (let i = 1; i < drafts.length && i < 16; i++) {
        const [a, b] = [drafts[i - 1]!, drafts[i]!];
        if (a.kind === b.kind && this.merge(a, b)) drafts[i] = a.atoms.length ? a : b;
      }
    }
  }

  /** Sums over equal rows that become ready at about the same time: column sums are small kernels that share their loops. */
  joinRows(): void {
    const byPattern = new Map<string, Draft[]>();
    for (const d of new Set(this.draftOf.values())) {
      if (d.kind !== "reduce" || d.rows === d.size || !d.atoms.every((a) => a.kind === "reduce" || a.size === d.rows)) continue;
      const list = byPattern.get(d.pattern!);
      if (list) list.push(d);
      else byPattern.set(d.pattern!, [d]);
    }
    for (const list of byPattern.values()) {
      list.sort((a, b) => a.level - b.level);
      let last = list[0]!;
      for (const d of list.slice(1)) {
        if (!d.atoms.length || d.level - last.level > near || !this.merge(last, d)) last = d;
        else if (!last.atoms.length) last = d;
      }
    }
  }

  /** Puts two drafts together, or notes why not. The one with more atoms stays. */
  private merge(a: Draft, b: Draft): boolean {
    const space = this.together(a, b);
    if (typeof space === "string") {
      const why = `not with ${labelOf(b)}: ${space}`;
      if (a.why.length < 24 && !a.why.includes(why)) a.why.push(why);
      return false;
    }
    const [into, from] = a.template || (!b.template && a.atoms.length >= b.atoms.length) ? [a, b] : [b, a];
    into.cuts = [a, b]
      .filter((d) => d.size === space.size)
      .reduce<ReadonlySet<Dim>>((x, d) => (d.cuts.size > x.size ? d.cuts : x), new Set());
    into.kind = space.kind;
    into.size = space.size;
    if (space.pattern !== undefined) into.pattern = space.pattern;
    if (space.rows !== undefined) into.rows = space.rows;
    into.sweeps = sweepsOf(a, b);
    into.reductions += from.reductions;
    into.nodes += from.nodes;
    for (const x of from.atoms) this.draftOf.set(x, into);
    into.atoms.push(...from.atoms);
    into.why.push(...from.why.filter((w) => !into.why.includes(w)));
    for (const d of from.deps) {
      d.users.delete(from);
      if (d === into) continue;
      into.deps.add(d);
      d.users.add(into);
    }
    for (const u of from.users) {
      u.deps.delete(from);
      if (u === into) continue;
      into.users.add(u);
      u.deps.add(into);
    }
    from.atoms.length = 0;
    into.level = Math.max(0, ...[...into.deps].map((d) => d.level + 1));
    this.raise(into);
    return true;
  }

  private raise(start: Draft): void {
    const work = [start];
    while (work.length) {
      const d = work.pop()!;
      for (const u of d.users)
        if (u.level <= d.level) {
          u.level = d.level + 1;
          work.push(u);
        }
    }
  }

  /** The space of both, or the reason why they stay apart. */
  private together(a: Draft, b: Draft): Pick<Draft, "kind" | "size" | "pattern" | "rows"> | string {
    if (a.kind === "host" || b.kind === "host") return "a host step computes one op";
    if ([a, b].some((d) => d.atoms[0]!.node.op.kind === "leaf")) return "a constant needs no kernel";
    if (a.nodes + b.nodes > mostNodes) return `${a.nodes + b.nodes} nodes in one kernel`;
    if (a.reductions + b.reductions > mostReductions) return `${a.reductions + b.reductions} reductions in one kernel`;
    if (sweepsOf(a, b) > mostSweeps) return `${sweepsOf(a, b)} reductions that wait for each other`;
    if ((b.kind === "template" && a.kind !== "template") || (a.kind === "map" && b.kind === "reduce")) return this.together(b, a);
    // From here on: template + template, template + map, template + reduce, reduce + map, reduce + reduce, map + map.
    let space: Pick<Draft, "kind" | "size" | "pattern" | "rows">;
    if (a.kind === "template") {
      if (b.kind === "reduce") return `the rows of ${labelOf(b)} are spread over the tiles of ${labelOf(a)}`;
      if (!b.deps.has(a) && !(b.kind === "template" && a.deps.has(b))) return "it does not read the template's result";
      if ([a, b].some((d) => d.template && d.atoms[0]!.node.tuple)) return "the template has several results";
      const root = a.atoms.find((x) => x.kind === "template")!;
      if (numel(root.node.type.shape) !== b.size)
        return `${showSize(b.size)} elements instead of the template's ${showSize(numel(root.node.type.shape))}`;
      const meet = b.kind === "template" ? this.meet(a, b) : true;
      if (meet !== true) return meet;
      const answer = a.template!.epilogue(root.node, this.target, () => groupOf({ ...a, atoms: [...a.atoms, ...b.atoms] }, this.atoms));
      if (answer !== true) return answer;
      space = { kind: "template", size: b.size };
    } else if (a.kind === "reduce") {
      if (b.kind === "reduce") {
        if (a.pattern !== b.pattern) return `rows ${b.pattern} instead of ${a.pattern}`;
      } else if (!b.atoms.every((x) => x.size === a.size || x.size === a.rows)) {
        return `${showSize(b.size)} elements fit neither the ${showSize(a.size)} elements nor the ${showSize(a.rows!)} rows`;
      }
      space = { kind: "reduce", size: a.size, pattern: a.pattern!, rows: a.rows! };
    } else {
      if (a.size !== b.size) return `${showSize(b.size)} elements instead of ${showSize(a.size)}`;
      space = { kind: "map", size: a.size };
    }
    if (a.size === b.size && !nested(a.cuts, b.cuts)) return "their axes are cut at different places";
    const crossing = this.crossing(a, b, space) ?? this.crossing(b, a, space) ?? this.overwriting(a, b) ?? this.overwriting(b, a);
    if (crossing) return crossing;
    const buffers = this.bindingsOf([...a.atoms, ...b.atoms]);
    if (buffers > this.target.maxBuffers) return `${buffers} buffers in one kernel, of ${this.target.maxBuffers} possible`;
    if (this.reaches(a, b) || this.reaches(b, a)) return "another group stands between them";
    return space;
  }

  /** Whether one kernel may compute what two templates claimed. */
  private meet(a: Draft, b: Draft): true | string {
    if (a.template !== b.template || !a.template!.beside) return "both are templates";
    const roots = [...a.atoms, ...b.atoms].filter((x) => x.kind === "template").sort((x, y) => x.order - y.order);
    return a.template!.beside(
      roots.map((x) => x.node),
      this.target,
    );
  }

  /** Why `b` may not read what `a` computes within one kernel. */
  private crossing(a: Draft, b: Draft, space: Pick<Draft, "kind" | "size" | "pattern" | "rows">): string | undefined {
    if (!b.deps.has(a)) return undefined;
    const inA = new Set(a.atoms);
    for (const reader of b.atoms)
      for (const [value, relations] of reader.reads) {
        const made = this.atoms.of.get(value);
        if (!made || !inA.has(made)) continue;
        if (reader.kind === "template") return `a template's operand is written once instead of computed for each tile`;
        const full = numel(value.type.shape) === space.size && made.kind !== "reduce";
        const readsFull = reader.size === space.size;
        for (const relation of relations) {
          const fits = full
            ? relation === "full" && readsFull
            : readsFull
              ? relation === `row:${space.pattern}` || (relation === "full" && space.rows === space.size)
              : relation === "full";
          if (!fits) return `${reader.node.op.name} reads ${value.op.name} ${showType(value.type)} at other positions than its own`;
          if (!full && readsFull && reader.kind === "map" && this.fewRows(space)) return "too few rows to wait for each other";
        }
      }
    return undefined;
  }
  /** A state that one draft replaces is read by the other only at the position that is written: else it could not be written in place. */
  private overwriting(a: Draft, b: Draft): string | undefined {
    for (const x of a.atoms)
      for (const v of x.values) {
        const s = this.replaces.get(v);
        if (!s) continue;
        for (const y of b.atoms) {
          const relations = y.reads.get(s);
          if (relations && (y.size !== numel(s.type.shape) || [...relations].some((r) => r !== "full")))
            return `${y.node.op.name} reads the old value of ${String(s.attrs.name || "state")} at other positions`;
        }
      }
    return undefined;
  }
  /** A row that is read again after it was reduced needs enough other rows to keep the device busy. */
  private fewRows(space: Pick<Draft, "size" | "rows">): boolean {
    return hi(space.rows ?? 1) < this.target.parallel && hi(space.size) / Math.max(1, hi(space.rows ?? 1)) > 1 << 17;
  }

  private bindingsOf(list: readonly Atom[]): number {
    const mine = new Set(list);
    const reads = new Set<Node>();
    let outputs = 0;
    const bound = (n: Node): number => bindings(numel(n.type.shape), n.type.dtype, this.target);
    for (const a of list) {
      for (const r of a.reads.keys()) {
        const from = this.atoms.of.get(r);
        if (!from || !mine.has(from)) reads.add(r);
      }
      for (const v of a.values)
        if (this.atoms.roots.has(v) || (this.atoms.readers.get(v) ?? []).some((r) => !mine.has(r))) outputs += bound(v);
    }
    return [...reads].reduce((n, r) => n + bound(r), outputs);
  }

  /** Does `from` depend on `to` through a third draft? */
  private reaches(from: Draft, to: Draft): boolean {
    const seen = new Set<Draft>([from]);
    const stack = [...from.deps].filter((d) => d !== to);
    while (stack.length) {
      const d = stack.pop()!;
      if (d === to) return true;
      if (seen.has(d) || d.level <= to.level) continue;
      seen.add(d);
      stack.push(...d.deps);
    }
    return false;
  }

  finish(): Fusion {
    const drafts = [...new Set(this.draftOf.values())].sort((a, b) => a.level - b.level || a.id - b.id);
    const atomsOf = new Map<Group, readonly Atom[]>();
    const groups = drafts.map((d) => {
      const group = groupOf(d, this.atoms);
      atomsOf.set(group, d.atoms);
      return group;
    });
    return { groups, atoms: this.atoms, atomsOf };
  }
}

const bytesOfValue = (n: Node): Dim => mul(numel(n.type.shape), bytesOf(n.type.dtype));
const isLarge = (n: Node, d: Draft): boolean => 2 * hi(numel(n.type.shape)) > hi(d.size);
const showSize = (d: Dim): string => (typeof d === "number" ? `${d}` : d.key);
