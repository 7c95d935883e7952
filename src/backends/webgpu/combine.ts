/** Reductions over the threads of a workgroup: through subgroups where they are, else through workgroup memory alone. */
import { type DType, isWide } from "../../core/dtype.js";
import { valueType } from "./scalar.js";
import { wideOp } from "./wide.js";

/** A reduction over `threads` neighbours of the workgroup's `all`. */
export interface Combine {
  readonly op: string;
  readonly dtype: DType;
  readonly threads: number;
  readonly all: number;
  /** Threads of a subgroup. */
  readonly subgroup: number | undefined;
}
/** The function's name. */
export const combineName = ({ op, dtype, threads }: Combine): string =>
  `combine_${op}_${isWide(dtype) ? dtype : valueType(dtype)}_${threads}`;
/** Workgroup memory that reductions of a type go through. */
export const partName = (dtype: DType): string => `part_${isWide(dtype) ? "wide" : valueType(dtype)}`;
const isPower = (n: number): boolean => Number.isInteger(Math.log2(n));
/** Whether whole subgroups take part, or equal parts of one. */
const exchanged = ({ threads, all, subgroup }: Combine): number =>
  subgroup && all % subgroup === 0 && (threads % subgroup === 0 || (threads < subgroup && isPower(threads)))
    ? Math.min(threads, subgroup)
    : 1;
/** Values of workgroup memory that it needs. */
export const partLength = (c: Combine): number => (exchanged(c) === c.threads ? 0 : c.all / exchanged(c));

function merged({ op, dtype }: Combine): string {
  if (isWide(dtype)) return wideOp(op as "add", dtype, "a", "b", undefined);
  const infix = { add: "+", mul: "*", or: "|", and: "&" }[op];
  return infix ? `a ${infix} b` : `${op}${valueType(dtype) === "f32" ? "_" : ""}(a, b)`;
}
/** How many threads a tree of steps covers: the next power of two. */
const covering = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** The function's text. */
export function combineFunction(c: Combine): string {
  const { threads } = c;
  const t = valueType(c.dtype);
  const [part, merge, group] = [partName(c.dtype), merged(c), exchanged(c)];
  const head = `fn ${combineName(c)}(x: ${t}, tid: i32) -> ${t} {`;
  if (group === 1)
    return `${head}
workgroupBarrier();
${part}[tid] = x;
workgroupBarrier();
let at = tid % ${threads};
for (var o = ${covering(threads) / 2}; o > 0; o /= 2) {
if (at < o && at + o < ${threads}) { let a = ${part}[tid]; let b = ${part}[tid + o]; ${part}[tid] = ${merge}; }
workgroupBarrier();
}
return ${part}[tid - at];
}`;
  // Each thread ends with the same value: partners exchange theirs.
  const other = (by: number): string =>
    t === "bool" ? `(subgroupShuffleXor(select(0u, 1u, v), ${by}u) != 0u)` : `subgroupShuffleXor(v, ${by}u)`;
  const swaps: string[] = [];
  for (let by = 1; by < group; by *= 2) swaps.push(`{ let a = v; let b = ${other(by)}; v = ${merge}; }`);
  if (group === threads) return `${head}\nvar v = x;\n${swaps.join("\n")}\nreturn v;\n}`;
  const groups = threads / group;
  return `${head}
var v = x;
${swaps.join("\n")}
workgroupBarrier();
if (tid % ${group} == 0) { ${part}[tid / ${group}] = v; }
workgroupBarrier();
let first = tid / ${threads} * ${groups};
v = ${part}[first];
for (var o = 1; o < ${groups}; o++) { let a = v; let b = ${part}[first + o]; v = ${merge}; }
return v;
}`;
}
