/** What the arguments of a call look like, kept so that the next call is compared with it without making anything. */
import type { DType } from "../../core/dtype.js";
import { Tensor } from "../tensor.js";

export type Form =
  | {
      readonly kind: "tensor";
      readonly dtype: DType;
      /** Sizes; where one is symbolic it is undefined, and any fits. */
      readonly sizes: readonly (number | undefined)[];
      readonly gradLeaf: boolean;
      /** The first tensor of the call with the same cell: its own number where there is none before it. */
      readonly alias: number;
      readonly device: string;
    }
  | { readonly kind: "plain"; readonly value: unknown }
  | { readonly kind: "list"; readonly items: readonly Form[] }
  | { readonly kind: "object"; readonly keys: readonly string[]; readonly items: readonly Form[] };

const isRecord = (x: unknown): x is Record<string, unknown> =>
  x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype;

/** The form of a value; `axes` are the sizes of its tensors in order, symbolic ones by name. `seen` collects the tensors. */
export function formOf(value: unknown, axes: readonly (readonly (number | string)[])[], seen: Tensor[] = []): Form {
  if (value instanceof Tensor) {
    const sizes = axes[seen.length]!.map((a) => (typeof a === "number" ? a : undefined));
    const first = seen.findIndex((t) => t.cell === value.cell);
    const alias = first < 0 ? seen.length : first;
    seen.push(value);
    return { kind: "tensor", dtype: value.dtype, sizes, gradLeaf: value.isGradLeaf, alias, device: value.cell.device };
  }
  if (Array.isArray(value)) return { kind: "list", items: value.map((v) => formOf(v, axes, seen)) };
  if (isRecord(value)) return { kind: "object", keys: Object.keys(value), items: Object.values(value).map((v) => formOf(v, axes, seen)) };
  return { kind: "plain", value };
}

/** Whether a value has a form; `seen` collects its tensors, and is of no use where it has not. */
export function hasForm(form: Form, value: unknown, seen: Tensor[]): boolean {
  switch (form.kind) {
    case "tensor":
      return value instanceof Tensor && isAlike(form, value, seen);
    case "list": {
      if (!Array.isArray(value) || value.length !== form.items.length) return false;
      for (let i = 0; i < form.items.length; i++) if (!hasForm(form.items[i]!, value[i], seen)) return false;
      return true;
    }
    case "object": {
      if (value instanceof Tensor || !isRecord(value)) return false;
      let i = 0;
      for (const key in value) {
        if (form.keys[i] !== key || !hasForm(form.items[i]!, value[key], seen)) return false;
        i++;
      }
      return i === form.keys.length;
    }
    case "plain":
      return Object.is(form.value, value) && !(value instanceof Tensor);
    default:
      return form satisfies never;
  }
}
function isAlike(form: Extract<Form, { kind: "tensor" }>, t: Tensor, seen: Tensor[]): boolean {
  const { shape } = t;
  if (t.dtype !== form.dtype || t.isGradLeaf !== form.gradLeaf || t.cell.device !== form.device) return false;
  if (shape.length !== form.sizes.length) return false;
  for (let i = 0; i < shape.length; i++) if (form.sizes[i] !== undefined && form.sizes[i] !== shape[i]) return false;
  let alias = 0;
  while (alias < seen.length && seen[alias]!.cell !== t.cell) alias++;
  seen.push(t);
  return alias === form.alias;
}
