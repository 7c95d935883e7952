/** Arguments and results of compiled functions: tensors and plain values in lists and objects. */
import { ArgumentError } from "../../core/errors.js";
import { Tensor } from "../tensor.js";

/** A nested value with its tensors taken out; `shape` is equal for equal structures with equal plain values. */
export interface Flat {
  readonly tensors: Tensor[];
  /** Plain values, in order. */
  readonly plain: unknown[];
  /** How the parts lie in each other. */
  readonly structure: string;
}
/** Takes a nested value apart. */
export function flatten(value: unknown): Flat {
  const flat = { tensors: [] as Tensor[], plain: [] as unknown[] };
  return { ...flat, structure: walk(value, flat) };
}
function walk(value: unknown, into: { tensors: Tensor[]; plain: unknown[] }): string {
  if (value instanceof Tensor) return `t${into.tensors.push(value) - 1}`;
  if (Array.isArray(value)) return `[${value.map((v) => walk(v, into)).join(",")}]`;
  if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype)
    return `{${Object.entries(value)
      .map(([k, v]) => `${JSON.stringify(k)}:${walk(v, into)}`)
      .join(",")}}`;
  into.plain.push(value);
  return "p";
}
/** The same nested value with other tensors in place of its own. */
export function rebuild(value: unknown, replace: (t: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return replace(value);
  if (Array.isArray(value)) return value.map((v) => rebuild(v, replace));
  if (value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rebuild(v, replace)]));
  if (value instanceof Promise) throw new ArgumentError("compile: the function gives a promise; make it synchronous");
  return value;
}
