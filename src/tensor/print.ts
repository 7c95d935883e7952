/** Values as text, in PyTorch's layout: at most three entries from each end of a long axis. */
import type { NaturalArray } from "../core/convert.js";
import { isFloat } from "../core/dtype.js";
import { numel, type TensorType } from "../core/type.js";

const edge = 3;
const longest = 1000;

/** `tensor([[1, 2], [3, 4]], f32)`. */
export function format(type: TensorType, data: NaturalArray, grad: boolean): string {
  const shape = type.shape as readonly number[];
  const short = (numel(shape) as number) > longest;
  const shown: string[] = [];
  const number = formatter(type, data);
  const walk = (d: number, from: number, size: number, indent: string): string => {
    if (d === shape.length) {
      const text = number(data[from]!);
      shown.push(text);
      return text;
    }
    const n = shape[d]!;
    const step = n ? size / n : 0;
    const parts: string[] = [];
    for (let i = 0; i < n; i++) {
      if (short && n > 2 * edge && i === edge) {
        parts.push("...");
        i = n - edge - 1;
      } else parts.push(walk(d + 1, from + i * step, step, `${indent} `));
    }
    return `[${parts.join(d === shape.length - 1 ? ", " : `,${"\n".repeat(shape.length - 1 - d)}${indent} `)}]`;
  };
  return `tensor(${walk(0, 0, data.length, " ".repeat(7))}, ${type.dtype}${grad ? ", requiresGrad" : ""})`;
}
function formatter(type: TensorType, data: NaturalArray): (x: number | bigint) => string {
  if (type.dtype === "bool") return (x) => (x ? "true" : "false");
  if (!isFloat(type.dtype)) return (x) => `${x}`;
  const sample = Array.from(data.subarray(0, longest) as Float64Array, Math.abs).filter((x) => Number.isFinite(x) && x !== 0);
  const [least, most] = [Math.min(...sample), Math.max(...sample)];
  if (sample.every(Number.isInteger) && most < 1e8) return (x) => (Number.isFinite(x) ? `${Number(x)}.` : `${x}`);
  const scientific = most / least > 1000 || most > 1e8 || least < 1e-4;
  return (x) => (Number.isFinite(x) ? (scientific ? Number(x).toExponential(4) : Number(x).toFixed(4)) : `${x}`);
}
