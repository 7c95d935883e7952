/** For tests: compiles kernels in one go and calls them on plain bytes, without a device. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Compiler, compileAllSync, findCompiler, flagsFor } from "../../src/backends/c/cc.js";
import { cCodegen } from "../../src/backends/c/codegen.js";
import { bytesOf } from "../../src/core/dtype.js";
import { UnsupportedError } from "../../src/core/errors.js";
import { evaluate, hi } from "../../src/core/expr.js";
import { warnOnce } from "../../src/core/warn.js";
import type { Kernel } from "../../src/kernel/kernel.js";
import { kernelText } from "../../src/kernel/save.js";
import { cpu } from "../../src/runtime/cpu.js";
import { ffi } from "../../src/runtime/ffi.js";

/** Runs one kernel over its whole grid; buffers are changed in place. */
export type RunKernel = (buffers: readonly Uint8Array[], dims?: Readonly<Record<string, number>>) => void;

/** Whether a C compiler was found; says why tests that need one are skipped. */
export function hasCompiler(): boolean {
  const found = findCompiler();
  if (typeof found === "string") warnOnce(`tests that compile C are skipped: ${found}`);
  return typeof found !== "string";
}

/**
 * Compiles kernels into one library, once for equal kernels and flags. `features`: for another processor than this one; `more`: further
 * compiler flags. With less optimization than users get, which a device's own tests have: these are of values.
 */
export function compileKernels(
  kernels: readonly Kernel[],
  features: readonly string[] = cpu().features,
  more: readonly string[] = [],
): RunKernel[] {
  const compiler = findCompiler();
  if (typeof compiler === "string") throw new UnsupportedError(compiler);
  // Cases that differ in the sizes of a call have the same kernel.
  const texts = kernels.map(kernelText);
  const different = [...new Set(texts)];
  const renamed = different.map((text, i) => ({ ...kernels[texts.indexOf(text)]!, name: `test${i}` }));
  const key = JSON.stringify([different, features, more]);
  const known = compiled.get(key) ?? compileDifferent(compiler, renamed, features, more);
  compiled.set(key, known);
  return texts.map((text) => known[different.indexOf(text)]!);
}
const compiled = new Map<string, readonly RunKernel[]>();

function compileDifferent(
  compiler: Compiler,
  kernels: readonly Kernel[],
  features: readonly string[],
  more: readonly string[],
): readonly RunKernel[] {
  const codegen = cCodegen({ arch: cpu().arch, features });
  const codes = kernels.map((k) => codegen.render(k));
  const path = join(mkdtempSync(join(tmpdir(), "treepie-")), "kernels");
  compileAllSync(
    compiler,
    [...flagsFor({ arch: cpu().arch, features }, false), "-O1", ...more],
    [{ path, source: [setArgument, codegen.prelude(codes), ...codes.map((k) => k.source)].join("\n") }],
  );
  const lib = ffi().load(`${path}.so`);
  const set = lib.func("set_argument", "void", ["pointer", "i64", "pointer"]);
  return kernels.map((k, i): RunKernel => {
    const run = lib.func(`test${i}`, "void", ["pointer", "pointer", "i64", "i64", "pointer"]);
    const scratch = new Uint8Array(Number(codes[i]!.sharedBytes) + 64);
    return (buffers, dims = {}) => {
      const args = new BigInt64Array(buffers.length + 1);
      for (const [at, b] of buffers.entries()) set(args, at, b);
      const sizes = new BigInt64Array([...k.dims.map((d) => BigInt(evaluate(d, dims))), 0n]);
      run(args, sizes, 0, evaluate(k.grid, dims), scratch);
    };
  });
}
/** Fills a table of arguments; tiles are asked for as the device's own half does. */
const setArgument = `void set_argument(void** args, long long i, void* p) { args[i] = p; }
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((constructor)) static void ask_for_tiles(void) { syscall(SYS_arch_prctl, 0x1023, 18); }
#endif`;

/** Room for a buffer of a kernel, at its greatest size. */
export const room = (k: Kernel, i: number): Uint8Array => {
  const b = k.buffers.filter((x) => x.space === "global")[i]!;
  return new Uint8Array(hi(b.size) * bytesOf(b.dtype));
};
