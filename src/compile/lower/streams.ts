/** Asking for memory before it is used, where hardware does not see a stream by itself. */
import { bytesOf } from "../../core/dtype.js";
import { add, type Dim, show, stride, substitute } from "../../core/expr.js";
import type { Axis, Buffer, Stmt } from "../../kernel/kernel.js";
import { eachValue } from "../../kernel/walk.js";

/** Bytes of a line of the cache. */
const line = 64;

/**
 * Prefetches for the contiguous loads of a body that runs over `u` x `v` elements, one for each line. `ahead` moves an index (of the
 * first element) to where the stream will be; undefined where the load is no stream. `second`: into the second cache.
 */
export function prefetches(
  buffers: Iterable<Buffer>,
  body: readonly Stmt[],
  [u, v]: readonly [Axis, Axis],
  ahead: (index: Dim, bytes: number) => Dim | undefined,
  second: boolean = false,
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
    for (let i = 0; i < lines; i++) {
      const index = add(first, (i * line) / bytes);
      found.set(`${buffer.name} ${show(index)}`, { kind: "prefetch", buffer: buffer.name, index, ...(second && { second }) });
    }
  });
  return [...found.values()];
}
