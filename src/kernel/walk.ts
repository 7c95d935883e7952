import { type Dim, hi, lo, substitute, variable, variables } from "../core/expr.js";
import type { Axis, Buffer, Kernel, Ref, Stmt, Test, Value } from "./kernel.js";

/** What to do with the parts of statements; what is absent stays as it is. */
export interface Rewrite {
  readonly dim?: (d: Dim) => Dim;
  readonly buffer?: (name: string) => string;
  /** The index of an access, after `dim`; the buffer's name is the old one. */
  readonly place?: (buffer: string, index: Dim) => Dim;
  /** A value in place of a load; undefined: the load stays one. */
  readonly load?: (v: Extract<Value, { readonly kind: "load" }>) => Value | undefined;
  /** Names of `let` and `letIndex`, where they are made and where they are used as values. */
  readonly name?: (name: string) => string;
}

const same = <T>(x: T): T => x;

/** Rebuilds statements with changed dims and names. */
export function rewriteStmts(body: readonly Stmt[], how: Rewrite): readonly Stmt[] {
  const dim = how.dim ?? same;
  const buffer = how.buffer ?? same;
  const name = how.name ?? same;
  const place = how.place ?? ((_b: string, d: Dim): Dim => d);
  const values = new Map<Value, Value>();
  const test = (t: Test): Test => ({ a: dim(t.a), op: t.op, b: dim(t.b) });
  const ref = (r: Ref): Ref => ({ buffer: buffer(r.buffer), index: place(r.buffer, dim(r.index)) });
  const axis = (a: Axis): Axis => ({ name: a.name, size: dim(a.size), kind: a.kind });
  function value(v: Value): Value {
    let made = values.get(v);
    if (!made) {
      made = rebuild(v);
      values.set(v, made);
    }
    return made;
  }
  function rebuild(v: Value): Value {
    switch (v.kind) {
      case "const":
        return v;
      case "index":
        return { ...v, expr: dim(v.expr) };
      case "load": {
        const other = how.load?.(v);
        if (other) return other;
        return { ...v, buffer: buffer(v.buffer), index: place(v.buffer, dim(v.index)) };
      }
      case "word":
        return { ...v, buffer: buffer(v.buffer), index: place(v.buffer, dim(v.index)) };
      case "ref":
        return { ...v, name: name(v.name) };
      case "select":
        return { ...v, tests: v.tests.map(test), then: value(v.then), else: value(v.else) };
      case "op":
        return { ...v, args: v.args.map(value) };
      default:
        return v satisfies never;
    }
  }
  const block = (b: readonly Stmt[]): readonly Stmt[] => b.map(stmt);
  function stmt(s: Stmt): Stmt {
    switch (s.kind) {
      case "for":
        return { kind: "for", axis: axis(s.axis), body: block(s.body) };
      case "if":
        return { kind: "if", test: test(s.test), body: block(s.body), ...(s.else && { else: block(s.else) }) };
      case "when":
        return { kind: "when", test: value(s.test), body: block(s.body), ...(s.else && { else: block(s.else) }) };
      case "let":
        return { kind: "let", name: name(s.name), value: value(s.value) };
      case "letIndex":
        return { kind: "letIndex", name: name(s.name), value: value(s.value), min: s.min, max: dim(s.max) };
      case "store":
        return { ...s, buffer: buffer(s.buffer), index: place(s.buffer, dim(s.index)), value: value(s.value) };
      case "atomic":
        return { ...s, buffer: buffer(s.buffer), index: place(s.buffer, dim(s.index)), value: value(s.value) };
      case "prefetch":
        return { ...s, buffer: buffer(s.buffer), index: dim(s.index) };
      case "combine":
        return { ...s, axes: s.axes.map(axis), value: value(s.value), into: ref(s.into) };
      case "barrier":
      case "commit":
      case "wait":
      case "registers":
      case "dependency":
        return s;
      case "settle":
        return s.of ? { ...s, of: { ...ref(s.of), count: s.of.count } } : s;
      case "copy":
        return { ...s, to: ref(s.to), from: ref(s.from) };
      case "turn":
        return { ...s, to: ref(s.to), toStride: dim(s.toStride), from: ref(s.from), fromStride: dim(s.fromStride) };
      case "copyTile":
        return { ...s, to: ref(s.to), from: buffer(s.from), origin: [dim(s.origin[0]), dim(s.origin[1])], signal: ref(s.signal) };
      case "signal":
        return { ...s, on: ref(s.on), amount: dim(s.amount) };
      case "fill":
        return { ...s, acc: ref(s.acc) };
      case "fetch":
        return { ...s, into: ref(s.into), from: ref(s.from), stride: dim(s.stride) };
      case "mma":
        return { ...s, acc: ref(s.acc), a: ref(s.a), b: ref(s.b) };
      case "spill":
        return { ...s, acc: ref(s.acc), to: ref(s.to), stride: dim(s.stride) };
      case "issue":
        return { ...s, body: block(s.body) };
      default:
        return s satisfies never;
    }
  }
  return block(body);
}

/** Replaces variables in every dim, memoised. */
export function substituteStmts(body: readonly Stmt[], values: ReadonlyMap<string, Dim>, more: Omit<Rewrite, "dim"> = {}): readonly Stmt[] {
  const known = new Map<Dim, Dim>();
  const dim = (d: Dim): Dim => {
    if (typeof d === "number") return d;
    let made = known.get(d);
    if (made === undefined) {
      made = substitute(d, values);
      known.set(d, made);
    }
    return made;
  };
  return rewriteStmts(body, { ...more, dim });
}

/** A kernel whose registers and names end differently, so that it can stand beside others; other buffers as `buffer` says. */
export function renamed(k: Kernel, end: string, buffer: (name: string) => string = same): Kernel {
  const registers = new Set(k.buffers.filter((b) => b.space === "reg").map((b) => b.name));
  const indices = new Set<string>();
  eachStmt(k.body, (s) => {
    if (s.kind === "letIndex") indices.add(s.name);
  });
  const spelled = (b: string): string => (registers.has(b) ? `${b}${end}` : buffer(b));
  const dim = (d: Dim): Dim => {
    const own = [...variables(d)].filter(([name]) => indices.has(name));
    return own.length ? substitute(d, new Map(own.map(([name, v]) => [name, variable(`${name}${end}`, lo(v), hi(v))]))) : d;
  };
  const body = rewriteStmts(k.body, { buffer: spelled, name: (n) => `${n}${end}`, dim });
  return { ...k, buffers: k.buffers.map((b) => ({ ...b, name: spelled(b.name) })), body };
}

/** Every distinct dim that statements mention. */
export function dimsOf(body: readonly Stmt[]): Set<Dim> {
  const found = new Set<Dim>();
  rewriteStmts(body, {
    dim: (d) => {
      found.add(d);
      return d;
    },
  });
  return found;
}

/** The loads and stores of statements: buffer and index. */
export function accesses(body: readonly Stmt[]): { readonly buffer: string; readonly index: Dim; readonly write: boolean }[] {
  const found: { buffer: string; index: Dim; write: boolean }[] = [];
  eachValue(body, (v) => {
    if (v.kind === "load" || v.kind === "word") found.push({ buffer: v.buffer, index: v.index, write: false });
  });
  eachStmt(body, (s) => {
    if (s.kind === "store" || s.kind === "atomic") found.push({ buffer: s.buffer, index: s.index, write: true });
  });
  return found;
}

/** Calls `f` on each statement, outer ones first. */
export function eachStmt(body: readonly Stmt[], f: (s: Stmt) => void): void {
  for (const s of body) {
    f(s);
    if ("body" in s) eachStmt(s.body, f);
    if ("else" in s && s.else) eachStmt(s.else, f);
  }
}
/** Calls `f` once on each value object of statements. */
export function eachValue(body: readonly Stmt[], f: (v: Value) => void): void {
  const seen = new Set<Value>();
  const visit = (v: Value): void => {
    if (seen.has(v)) return;
    seen.add(v);
    f(v);
    if (v.kind === "op") v.args.forEach(visit);
    else if (v.kind === "select") {
      visit(v.then);
      visit(v.else);
    }
  };
  eachStmt(body, (s) => {
    if (s.kind === "when") visit(s.test);
    else if ("value" in s) visit(s.value);
  });
}

/** The symbolic sizes that a kernel takes: variables of its body, grid and buffers that nothing in it binds. */
function freeDims(grid: Dim, buffers: readonly Buffer[], body: readonly Stmt[]): Dim[] {
  const found = new Map<string, Dim>();
  for (const d of [grid, ...buffers.map((b) => b.size), ...dimsOf(body)]) variables(d, found);
  const bound = new Set(["pid", "tid"]);
  eachStmt(body, (s) => {
    if (s.kind === "for") bound.add(s.axis.name);
    else if (s.kind === "letIndex") bound.add(s.name);
    else if (s.kind === "combine") for (const a of s.axes) bound.add(a.name);
  });
  return [...found]
    .filter(([name]) => !bound.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, d]) => d);
}

/** A kernel that does nothing, for groups without elements. */
export const emptyKernel = (name: string): Kernel => ({ name, buffers: [], dims: [], grid: 0, threads: 1, body: [] });

/** Finishes a kernel: keeps the buffers that its body uses, in the order given, and finds its dims. */
export function finishKernel(name: string, buffers: readonly Buffer[], grid: Dim, threads: number, made: readonly Stmt[]): Kernel {
  const body = hi(grid) > 0 ? made : [];
  const used = new Set<string>();
  rewriteStmts(body, {
    buffer: (b) => {
      used.add(b);
      return b;
    },
  });
  const seen = new Set<string>();
  const own = buffers.filter((b) => used.has(b.name) && !seen.has(b.name) && seen.add(b.name));
  return { name, buffers: own, dims: freeDims(grid, own, body), grid, threads, body };
}
