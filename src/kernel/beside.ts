/** Kernels that need nothing of each other as one: the first grid points do what the first kernel does, and so on. */
import { bytesOf } from "../core/dtype.js";
import { InternalError } from "../core/errors.js";
import { add, type Dim, hi, indexOn, show, sub, variable } from "../core/expr.js";
import { bindingsOf } from "./bindings.js";
import type { Target } from "./codegen.js";
import { type Buffer, below, indexValue, type Kernel, type Stmt } from "./kernel.js";
import { eachStmt, finishKernel, renamed, substituteStmts } from "./walk.js";

/** Most kernels that become one. */
const most = 4;

/** What `besideKernels` calls a buffer of kernel `i`. */
export type BesideName = (i: number, buffer: string) => string;
export const besideName: BesideName = (i, buffer) => `b${i}${buffer}`;

/** Whether these kernels may be one: as many threads each, and shared memory that has room for any of them, or that each of them lays out alike. */
export function canStandBeside(kernels: readonly Kernel[], target: Target, nameOf: BesideName = besideName): boolean {
  if (target.threads === 1 || kernels.length < 2 || kernels.length > most) return false;
  const { threads } = kernels[0]!;
  const buffers = buffersOf(kernels, nameOf);
  const bound = bindingsOf({ buffers }, target);
  if (bound > target.maxBuffers || !kernels.every((k) => k.threads === threads && typeof k.grid === "number" && k.grid > 0)) return false;
  if (areAlike(kernels)) return true;
  const shared = buffers.filter(isShared).reduce((s, b) => s + hi(b.size) * bytesOf(b.dtype), 0);
  return shared <= target.sharedBytes / 2 && !kernels.some(usesUnits);
}
/** Matrix units and tiles in the background want a kernel's registers and shared memory for themselves. */
export function usesUnits(k: Kernel): boolean {
  let found = false;
  eachStmt(k.body, (s) => {
    if (["copyTile", "signal", "mma", "fetch", "spill", "issue"].includes(s.kind)) found = true;
  });
  return found;
}
const isShared = (b: Buffer): boolean => b.space === "shared" || b.space === "signal";
/** Kernels that move tiles in the background into shared memory that all of them lay out alike: a grid point is of one of them. */
function areAlike(kernels: readonly Kernel[]): boolean {
  const layouts = kernels.map((k) => JSON.stringify(k.buffers.filter(isShared)));
  return new Set(layouts).size === 1 && kernels.every((k) => k.buffers.some((b) => b.space === "signal"));
}

/** The name of a kernel's buffer. A grid point runs one kernel, so their shared memory is the same: a place for the nth buffer of a dtype. */
function placeOf(k: Kernel, i: number, name: string, nameOf: BesideName): string {
  const buffer = k.buffers.find((b) => b.name === name);
  if (!buffer || !isShared(buffer)) return nameOf(i, name);
  const alike = k.buffers.filter((b) => b.space === buffer.space && b.dtype === buffer.dtype);
  return `${buffer.dtype}${buffer.space}${alike.indexOf(buffer)}`;
}
/** Buffers of all kernels, once each by their names. */
function buffersOf(kernels: readonly Kernel[], nameOf: BesideName): Buffer[] {
  const found = new Map<string, Buffer>();
  kernels.forEach((k, i) => {
    for (const b of k.buffers) {
      const name = b.space === "reg" ? `${b.name}k${i}` : placeOf(k, i, b.name, nameOf);
      const known = found.get(name);
      if (known && isShared(b)) {
        if (hi(known.size) < hi(b.size)) found.set(name, { ...b, name });
        continue;
      }
      if (known && (known.dtype !== b.dtype || known.size !== b.size))
        throw new InternalError(
          `${k.name}: ${b.name} is ${b.dtype}[${show(b.size)}], and ${known.dtype}[${show(known.size)}] for a kernel beside it`,
        );
      found.set(name, { ...b, name, ...((known?.writes ?? b.writes) && { writes: true }) });
    }
  });
  return [...found.values()];
}

/** The kernels as one. Buffers of equal names are one. */
export function besideKernels(name: string, kernels: readonly Kernel[], nameOf: BesideName = besideName): Kernel {
  const apart = kernels.map((k, i) => renamed(k, `k${i}`, (b) => placeOf(k, i, b, nameOf)));
  const grid = add(...kernels.map((k) => k.grid));
  const pid = indexOn("pid", grid);
  const from = kernels.map((_, i) => add(0, ...kernels.slice(0, i).map((k) => k.grid)));
  const branch = (i: number): readonly Stmt[] => {
    const { grid: own, body } = apart[i]!;
    const point = `point${i}`;
    const last = sub(own, 1) as number;
    const here: Dim = last ? variable(point, 0, last) : 0;
    const start: readonly Stmt[] = last
      ? [{ kind: "letIndex", name: point, value: indexValue(sub(pid, from[i]!), "i32"), min: 0, max: last }]
      : [];
    const mine = [...start, ...substituteStmts(body, new Map([["pid", here]]))];
    if (i === kernels.length - 1) return mine;
    return [{ kind: "if", test: below(pid, add(from[i]!, own)), body: mine, else: branch(i + 1) }];
  };
  return finishKernel(name, buffersOf(kernels, nameOf), grid, kernels[0]!.threads, branch(0));
}
