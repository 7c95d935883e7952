/** A library's attention: where its operands lie, whether it stays inside its buffers, and what its call depends on. */
import { type DType, isHalf } from "../core/dtype.js";
import { DeviceError } from "../core/errors.js";
import type { CallKind } from "./choices.js";
import { valueOf } from "./encode.js";
import type { AttentionCall, Heads, Program } from "./program.js";

/** What the libraries are called. */
export const attentionLibraries: Readonly<Record<AttentionCall["library"], string>> = { cudnn: "cuDNN" };

/** An operand or a result: `count` heads of `rows` rows of `columns` elements. */
export interface HeadsPlace {
  readonly name: "q" | "k" | "v" | "out" | "ct" | "dq" | "dk" | "dv";
  readonly at: Heads;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  readonly writes: boolean;
}
/** Everything that a call reads and writes, but for the rows' logarithms. */
export function placesOf(x: Omit<AttentionCall, "library" | "also">): readonly HeadsPlace[] {
  const { backward } = x;
  const ofQueries = { count: x.heads, rows: x.queries };
  const ofKeys = { count: x.keyHeads, rows: x.keys };
  return [
    { name: "q", at: x.q, ...ofQueries, columns: x.depth, writes: false },
    { name: "k", at: x.k, ...ofKeys, columns: x.depth, writes: false },
    { name: "v", at: x.v, ...ofKeys, columns: x.width, writes: false },
    { name: "out", at: x.out, ...ofQueries, columns: x.width, writes: !backward },
    ...(backward
      ? ([
          { name: "ct", at: backward.ct, ...ofQueries, columns: x.width, writes: false },
          { name: "dq", at: backward.dq, ...ofQueries, columns: x.depth, writes: true },
          { name: "dk", at: backward.dk, ...ofKeys, columns: x.depth, writes: true },
          { name: "dv", at: backward.dv, ...ofKeys, columns: x.width, writes: true },
        ] as const)
      : []),
  ];
}
/** A call's buffers and which of them it writes: those of its places in order, and at the end that of the rows' logarithms. */
export function buffersOf(x: AttentionCall): { readonly buffers: readonly number[]; readonly writes: readonly boolean[] } {
  const places = placesOf(x);
  return { buffers: [...places.map((p) => p.at.buffer), x.rows], writes: [...places.map((p) => p.writes), !x.backward] };
}
/** The same call in other buffers. */
export function moved<A, B>(x: AttentionCall<A>, to: (buffer: A) => B): AttentionCall<B> {
  const heads = (h: Heads<A>): Heads<B> => ({ ...h, buffer: to(h.buffer) });
  const { backward: b, ...rest } = x;
  return {
    ...rest,
    ...{ q: heads(x.q), k: heads(x.k), v: heads(x.v), out: heads(x.out) },
    rows: to(x.rows),
    ...(b && { backward: { ct: heads(b.ct), dq: heads(b.dq), dk: heads(b.dk), dv: heads(b.dv) } }),
  };
}

/** Why a call is none, or does not stay inside its buffers, of which `buffer` gives dtype and elements; or undefined. */
export function whyNoAttention(
  x: AttentionCall,
  buffer: (number: number) => { readonly dtype: DType; readonly elements: number },
): string | undefined {
  const sizes = [x.batch, x.heads, x.keyHeads, x.queries, x.keys, x.depth, x.width];
  if (!sizes.every((n) => Number.isSafeInteger(n) && n > 0) || x.heads % x.keyHeads || !(x.scale > 0 && x.scale < Infinity))
    return "its sizes or its scale are wrong";
  const { dtype } = buffer(x.q.buffer);
  if (!isHalf(dtype)) return `${dtype} is no half float`;
  for (const { name, at, count, rows, columns } of placesOf(x)) {
    if (buffer(at.buffer).dtype !== dtype) return `${name} is of another dtype than q`;
    const numbers = [at.offset, at.batch, at.head, at.row];
    if (!numbers.every((n) => Number.isSafeInteger(n) && n >= 0) || (rows > 1 && at.row < columns)) return `${name} has wrong strides`;
    const end = at.offset + (x.batch - 1) * at.batch + (count - 1) * at.head + (rows - 1) * at.row + columns;
    if (end > buffer(at.buffer).elements) return `${name} ends behind its buffer`;
  }
  const rows = buffer(x.rows);
  if (rows.dtype !== "f32") return `the rows' logarithms are of ${rows.dtype}`;
  return x.batch * x.heads * x.queries > rows.elements ? "the rows' logarithms end behind their buffer" : undefined;
}

/** A call without its buffers, and the dtype of its operands. */
export interface SizedAttention extends Omit<AttentionCall, "library" | "also"> {
  readonly dtype: DType;
}
const nowhere = (): number => 0;

/** Attention that steps hold. */
export const attentions: CallKind<SizedAttention> = {
  name: "attention",
  libraryOf: (s) => s.attention?.library,
  also: (s) => s.attention!.also,
  isFixed: () => true,
  sized(p, i) {
    const x = callAt(p, i);
    const elements = (b: number) => valueOf(p.buffers[b]!.size, {}, "a buffer's size");
    const why = whyNoAttention(x, (b) => ({ dtype: p.buffers[b]!.dtype, elements: elements(b) }));
    if (why) throw new DeviceError(`${p.name}: the attention of step ${i}: ${why}`);
    const { library: _, also: __, ...sized } = moved(x, nowhere);
    return { ...sized, dtype: p.buffers[x.q.buffer]!.dtype };
  },
};
/** The attention that a step holds. */
export const callAt = (p: Program, step: number): AttentionCall =>
  (p.steps[step] as Extract<Program["steps"][number], { kind: "launch" }>).attention!;
