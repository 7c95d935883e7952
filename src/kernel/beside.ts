/** Kernels that need nothing of each other as one: the first grid points do what the first kernel does, and so on. */
import { bytesOf } from "../core/dtype.js";
import { add, type Dim, hi, indexOn, sub, variable } from "../core/expr.js";
import { bindingsOf } from "./bindings.js";
import type { Target } from "./codegen.js";
import { below, indexValue, type Kernel, type Stmt } from "./kernel.js";
import { eachStmt, finishKernel, renamed, substituteStmts } from "./walk.js";

/** Most kernels that become one, and bytes of shared memory that all of them together may take. */
const most = 4;
const sharedBytes = 48 << 10;

/** Whether these kernels may be one: as many threads each, and nothing that one of them owns alone. */
export function canStandBeside(kernels: readonly Kernel[], target: Target): boolean {
  if (target.threads === 1 || !target.aliasing || kernels.length < 2 || kernels.length > most) return false;
  const { threads } = kernels[0]!;
  const shared = kernels
    .flatMap((k) => k.buffers.filter((b) => b.space === "shared"))
    .reduce((s, b) => s + hi(b.size) * bytesOf(b.dtype), 0);
  const bound = kernels.reduce((n, k) => n + bindingsOf(k, target), 0);
  return shared <= sharedBytes && bound <= target.maxBuffers && kernels.every((k) => k.threads === threads && isPlain(k));
}
/** Matrix units and tiles in the background want a kernel's registers and shared memory for themselves. */
function isPlain(k: Kernel): boolean {
  let plain = typeof k.grid === "number" && k.grid > 0;
  eachStmt(k.body, (s) => {
    if (["copyTile", "signal", "mma", "fetch", "spill", "issue"].includes(s.kind)) plain = false;
  });
  return plain;
}

/** What `besideKernels` calls the global buffer of kernel `i`. */
export const besideName = (i: number, buffer: string): string => `b${i}${buffer}`;

/** The kernels as one. */
export function besideKernels(name: string, kernels: readonly Kernel[]): Kernel {
  const apart = kernels.map((k, i) => renamed(k, `k${i}`, (b) => besideName(i, b)));
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
  return finishKernel(
    name,
    apart.flatMap((k) => k.buffers),
    grid,
    kernels[0]!.threads,
    branch(0),
  );
}
