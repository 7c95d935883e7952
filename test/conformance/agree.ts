/** When two results agree: the rule of the whole project, in one place. */
import { computeDType, type DType, isFloat } from "../../src/core/dtype.js";
import type { NdArray } from "../../src/core/ndarray.js";

/** Distance from |x| to the next larger number of a dtype. */
export function ulp(x: number, dtype: DType): number {
  const [bits, least] = (
    { f16: [10, -14], bf16: [7, -126], f32: [23, -126], f64: [52, -1022] } as Record<string, readonly [number, number]>
  )[dtype]!;
  const e = x === 0 ? least! : Math.max(least!, Math.floor(Math.log2(Math.abs(x))));
  return 2 ** (e - bits!);
}

/** What the comparison of one array found. */
export interface Verdict {
  readonly ok: boolean;
  readonly why: string;
  /** The oracle holds NaN or infinity, and the target promises nothing about them. */
  readonly notCompared?: boolean;
}
const fine: Verdict = { ok: true, why: "" };

/**
 * `got` against the oracle in f64 (`exact`) and the interpreter in the graph's own dtypes (`own`). Integers and bool are equal; the
 * error of floats is at most 4 times the interpreter's own, plus 2 ulp of the largest magnitude.
 */
export function agrees(got: NdArray, exact: NdArray, own: NdArray, ieee = true): Verdict {
  const { dtype } = own;
  if (!isFloat(dtype)) {
    for (let i = 0; i < own.data.length; i++)
      if (got.data[i] !== own.data[i]) return { ok: false, why: `element ${i} is ${got.data[i]}, not ${own.data[i]}` };
    return fine;
  }
  const [g, e, o] = [got.data, exact.data, own.data] as Float64Array[];
  const wild = o!.some((x) => !Number.isFinite(x));
  if (wild && !ieee) return { ok: true, why: "NaN or infinity in the oracle", notCompared: true };
  let largest = 0;
  let baseline = 0;
  for (let i = 0; i < o!.length; i++) {
    if (!Number.isFinite(o![i]) || !Number.isFinite(e![i])) continue;
    largest = Math.max(largest, Math.abs(e![i]!));
    baseline = Math.max(baseline, Math.abs(o![i]! - e![i]!));
  }
  const allowed = 4 * baseline + 2 * ulp(largest, dtype);
  for (let i = 0; i < o!.length; i++) {
    if (!Number.isFinite(o![i])) {
      if (!Object.is(g![i], o![i])) return { ok: false, why: `element ${i} is ${g![i]}, not ${o![i]}` };
      continue;
    }
    const error = Math.abs(g![i]! - e![i]!);
    if (!(error <= allowed))
      return {
        ok: false,
        why: `element ${i} is ${g![i]}, not ${e![i]}: off by ${error}, allowed ${allowed} (${computeDType(dtype)} gives ${o![i]})`,
      };
  }
  return fine;
}
