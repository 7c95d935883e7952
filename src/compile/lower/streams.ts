/** Asking for memory before it is used, where hardware does not see a stream by itself. */
import { bytesOf } from "../../core/dtype.js";
import { add, type Dim, dependsOn, divides, hi, indexOn, show, stride, substitute } from "../../core/expr.js";
import type { Target } from "../../kernel/codegen.js";
import { type Axis, type Buffer, below, type Stmt } from "../../kernel/kernel.js";
import { accesses, eachValue } from "../../kernel/walk.js";
import type { Pass } from "./passes.js";
import type { Plan } from "./space.js";

/** Bytes of a line of the cache. */
const line = 64;

/**
 * Prefetches for the contiguous loads of a body that runs over `u` x `v` elements, one for each line. `ahead` moves an index (of the
 * first element) to where the stream will be; undefined where the load is no stream. `second`: for elements of which bytes they go no
 * nearer than the second cache.
 */
export function prefetches(
  buffers: Iterable<Buffer>,
  body: readonly Stmt[],
  [u, v]: readonly [Axis, Axis],
  ahead: (index: Dim, bytes: number) => Dim | undefined,
  second: (bytes: number) => boolean = () => false,
): readonly Stmt[] {
  const byName = new Map([...buffers].map((b) => [b.name, b]));
  const start = new Map<string, Dim>([
    [u.name, 0],
    [v.name, 0],
  ]);
  const found = new Map<string, Stmt>();
  eachValue(body, (x) => {
    const buffer = x.kind === "load" ? byName.get(x.buffer) : undefined;
    if (x.kind !== "load" || !buffer || stride(x.index, v.name) !== 1) return;
    const bytes = bytesOf(buffer.dtype);
    const first = ahead(substitute(x.index, start), bytes);
    if (first === undefined) return;
    const lines = Math.max(1, ((u.size as number) * (v.size as number) * bytes) / line);
    // Rows that do not begin with a line end within one more.
    const more = lines > 1 && !divides(line / bytes, first) ? 1 : 0;
    for (let i = 0; i < lines + more; i++) {
      const index = add(first, (i * line) / bytes);
      found.set(`${buffer.name} ${show(index)}`, { kind: "prefetch", buffer: buffer.name, index, ...(second(bytes) && { second: true }) });
    }
  });
  return [...found.values()];
}

/** Bytes of a row that a grid point waits for longer than its neighbours can fill. */
const longRow = 1 << 15;
/** Bytes of a row of which so many do not fit the cache together. */
const longestRow = 1 << 16;

/**
 * Where a grid point has one long row, memory rests while it computes: it asks for the row that its multiprocessor takes next. `first` is the
 * place of a row's first element.
 */
export function laterRow(
  p: Plan,
  passes: readonly Pass[],
  first: ReadonlyMap<string, Dim>,
  { grid, thread }: { readonly grid: Dim; readonly thread: Dim },
  target: Target,
): readonly Stmt[] {
  if (!target.ahead || typeof grid !== "number" || grid < 2 * target.parallel) return [];
  const row = add(indexOn("pid", grid), target.parallel / 2);
  const found = new Map<string, Stmt>();
  for (const { buffer, index } of accesses(passes.flatMap((x) => x.body))) {
    const b = [...p.buffers.values()].find((y) => y.name === buffer);
    const here = b && substitute(index, first);
    if (!b || b.writes || b.size === 0 || found.has(buffer) || !dependsOn(here!, "pid")) continue;
    const count = hi(b.size) / grid;
    const each = bytesOf(b.dtype);
    if (count * each < longRow || count * each > longestRow || !Number.isInteger((count * each) / 16) || stride(here!, "pid") !== count)
      continue;
    const ask: Stmt = { kind: "prefetch", buffer, index: substitute(here!, new Map([["pid", row]])), second: true, count };
    found.set(buffer, { kind: "if", test: below(row, grid), body: [ask] });
  }
  return found.size ? [{ kind: "if", test: below(thread, 1), body: [...found.values()] }] : [];
}
