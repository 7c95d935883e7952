/** How many bindings a buffer takes: one that a kernel cannot bind whole is cut in chunks of a power of two of bytes. */
import { bytesOf, type DType } from "../core/dtype.js";
import type { Dim } from "../core/expr.js";
import { roundUp } from "../core/numbers.js";
import type { Target } from "./codegen.js";
import type { Kernel } from "./kernel.js";

type Limits = Pick<Target, "maxBinding">;
/** What is bound ends with a whole element of the widest type. */
const wholeBytes = 16;

/** Bytes of every chunk but the last. */
export const chunkBytes = ({ maxBinding }: Limits): number => 2 ** Math.floor(Math.log2(maxBinding));

/** Bindings of a buffer. One whose size a call decides is bound whole. */
export function bindings(size: Dim, dtype: DType, limits: Limits): number {
  if (typeof size !== "number") return 1;
  const bytes = roundUp(size * bytesOf(dtype), wholeBytes);
  return bytes <= limits.maxBinding ? 1 : Math.ceil(bytes / chunkBytes(limits));
}
/** Bindings of all arguments of a kernel. */
export const bindingsOf = (k: Pick<Kernel, "buffers">, limits: Limits): number =>
  k.buffers.reduce((n, b) => n + (b.space === "global" ? (b.window?.count ?? bindings(b.size, b.dtype, limits)) : 0), 0);
