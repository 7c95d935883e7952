/** Kernels that need more bindings than a device has: launches over parts of the grid, each of which binds the chunks that it reaches. */
import { bytesOf } from "../core/dtype.js";
import { add, coefficient, type Dim, hi, indexOn, lo, sub, substitute, variable, variables } from "../core/expr.js";
import { bindingsOf, chunkBytes } from "./bindings.js";
import type { Target } from "./codegen.js";
import type { Buffer, Kernel, Stmt, Test } from "./kernel.js";
import { rewriteStmts, substituteStmts } from "./walk.js";

/** Most launches that one kernel becomes. */
const mostLaunches = 64;

/** The kernel, or several that together do what it does; what cannot be bound in parts either stays as it is. */
export function windowed(k: Kernel, target: Target): readonly Kernel[] {
  if (bindingsOf(k, target) <= target.maxBuffers || typeof k.grid !== "number" || k.dims.length) return [k];
  const uses = usesOf(k.body);
  const fits = (from: number, to: number): readonly Buffer[] | undefined => {
    const points = boundsOf(uses.names, from, to);
    const buffers = k.buffers.map((b) => narrowed(b, uses.accesses.get(b.name) ?? [], points, target));
    return bindingsOf({ buffers }, target) <= target.maxBuffers ? buffers : undefined;
  };
  const out: Kernel[] = [];
  for (let from = 0; from < k.grid; ) {
    // More points reach no fewer chunks.
    let [good, bad] = [from, k.grid + 1];
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2);
      if (fits(from, middle)) good = middle;
      else bad = middle;
    }
    if (good === from || out.length === mostLaunches) return [k];
    const pid = add(indexOn("pid", good - from), from);
    out.push({
      ...k,
      name: `${k.name}_${out.length}`,
      buffers: fits(from, good)!,
      grid: good - from,
      body: substituteStmts(k.body, new Map([["pid", pid]])),
    });
    from = good;
  }
  return out;
}

/** Where elements of a buffer are used: `count` from `index` on, where the tests hold. */
interface Access {
  readonly index: Dim;
  readonly count: number;
  readonly tests: readonly Test[];
}
/** A position with a name, where the tests hold; what comes from memory has no expression. */
interface Named {
  readonly name: string;
  readonly expr: Dim | undefined;
  readonly min: number;
  readonly max: Dim;
  readonly tests: readonly Test[];
}
interface Uses {
  readonly accesses: ReadonlyMap<string, readonly Access[]>;
  readonly names: readonly Named[];
}
function usesOf(body: readonly Stmt[]): Uses {
  const found = new Map<string, Access[]>();
  const names: Named[] = [];
  const note = (buffer: string, access: Access): void => {
    const list = found.get(buffer);
    if (list) list.push(access);
    else found.set(buffer, [access]);
  };
  const visit = (list: readonly Stmt[], tests: readonly Test[]): void => {
    for (const s of list) {
      if (s.kind === "copy") for (const r of [s.from, s.to]) note(r.buffer, { index: r.index, count: s.count, tests });
      if (s.kind === "letIndex")
        names.push({ name: s.name, expr: s.value.kind === "index" ? s.value.expr : undefined, min: s.min, max: s.max, tests });
      const place = (buffer: string, index: Dim): Dim => {
        note(buffer, { index, count: 1, tests });
        return index;
      };
      if (!("body" in s)) rewriteStmts([s], { place });
      else if (s.kind === "when") rewriteStmts([{ ...s, body: [], else: [] }], { place });
      if ("body" in s) visit(s.body, s.kind === "if" ? [...tests, s.test] : tests);
      if ("else" in s && s.else) visit(s.else, tests);
    }
  };
  visit(body, []);
  return { accesses: found, names };
}

/** Variables of grid points `from` to `to`: their numbers, and the named positions with the bounds that these give them. */
function boundsOf(names: readonly Named[], from: number, to: number): ReadonlyMap<string, Dim> {
  const points = new Map<string, Dim>([["pid", variable("pid", from, to - 1)]]);
  for (const { name, expr, min, max, tests } of names) {
    const most = hi(substitute(max, points));
    const [low, high] = expr === undefined ? [min, most] : reach(expr, tests, points);
    const clamped = (x: number): number => Math.max(min, Math.min(x, most));
    points.set(name, variable(name, clamped(low), clamped(high)));
  }
  return points;
}

/** A buffer with the chunks of it that are reached. */
function narrowed(b: Buffer, accesses: readonly Access[], points: ReadonlyMap<string, Dim>, target: Target): Buffer {
  if (b.space !== "global" || bindingsOf({ buffers: [b] }, target) === 1 || typeof b.size !== "number") return b;
  let [least, greatest] = [b.size - 1, 0];
  for (const { index, count, tests } of accesses) {
    const [low, high] = reach(index, tests, points);
    least = Math.min(least, low);
    greatest = Math.max(greatest, high + count - 1);
  }
  const elements = chunkBytes(target) / bytesOf(b.dtype);
  const chunk = (element: number): number => Math.floor(Math.min(Math.max(element, 0), (b.size as number) - 1) / elements);
  const first = chunk(least);
  return { ...b, window: { first, count: Math.max(1, chunk(greatest) - first + 1) } };
}

/** Bounds of an index: its own, and those that it has where what a test is about is a variable that ends where the test says. */
function reach(expr: Dim, tests: readonly Test[], points: ReadonlyMap<string, Dim>): readonly [number, number] {
  const index = substitute(expr, points);
  let [low, high] = [lo(index), hi(index)];
  for (const { a, op, b } of tests) {
    if (op !== "<" || typeof b !== "number") continue;
    const tested = substitute(a, points);
    const all = variable("tested", lo(tested), Math.min(hi(tested), b - 1));
    for (const [name, v] of variables(tested)) {
      if (coefficient(tested, name) !== 1) continue;
      const under = substitute(index, new Map([[name, add(sub(v, tested), all)]]));
      [low, high] = [Math.max(low, lo(under)), Math.min(high, hi(under))];
    }
  }
  return [low, high];
}
