/** A library's attention as JSON and back. */
import { FormatError } from "../core/errors.js";
import { attentionLibraries } from "./attention.js";
import { asArray, asInteger, asObject, type Json, onlyNames } from "./json.js";
import type { AttentionCall, Heads } from "./program.js";

const names = {
  sizes: ["batch", "heads", "keyHeads", "queries", "keys", "depth", "width"],
  operands: ["q", "k", "v", "out"],
  derivatives: ["ct", "dq", "dk", "dv"],
  heads: ["buffer", "offset", "batch", "head", "row"],
  others: ["library", "also", "causal", "scale", "rows", "backward"],
} as const;

/** Reads what a program's JSON has of it, which is the call as it is. */
export function readAttention(x: unknown, what: string): AttentionCall {
  const o = asObject(x, what);
  onlyNames(o, [...names.sizes, ...names.operands, ...names.others], what);
  const library = Object.keys(attentionLibraries).find((name) => name === o["library"]) as AttentionCall["library"] | undefined;
  if (!library) throw new FormatError(`${what} is attention of the library ${JSON.stringify(o["library"])?.slice(0, 40)}`);
  const numbers = <K extends string>(of: Json, list: readonly K[]): Record<K, number> =>
    Object.fromEntries(list.map((n) => [n, asInteger(of[n], what)])) as Record<K, number>;
  const heads = <K extends string>(of: Json, list: readonly K[]): Record<K, Heads> =>
    Object.fromEntries(
      list.map((n) => {
        const h = asObject(of[n], what);
        onlyNames(h, names.heads, what);
        return [n, numbers(h, names.heads)];
      }),
    ) as unknown as Record<K, Heads>;
  const { scale, causal, rows, backward } = o;
  if (typeof scale !== "number") throw new FormatError(`${what} has no scale`);
  if (causal !== undefined && causal !== true) throw new FormatError(`${what} has a wrong mark causal`);
  const derivatives = backward === undefined ? undefined : asObject(backward, what);
  if (derivatives) onlyNames(derivatives, names.derivatives, what);
  return {
    library,
    also: asArray(o["also"], what).map((n) => asInteger(n, what, 1)),
    ...numbers(o, names.sizes),
    ...(causal && { causal }),
    scale,
    ...heads(o, names.operands),
    rows: asInteger(rows, what),
    ...(derivatives && { backward: heads(derivatives, names.derivatives) }),
  };
}
