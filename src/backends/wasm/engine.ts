/** What kernels call of the engine they run in. */
import { builtin } from "../../core/host.js";
import { webAssembly } from "./api.js";

/** Functions of f64 that kernels import from `f`: those of `Math`, and the remainder of a division. */
export const engineFunctions: readonly string[] =
  "exp expm1 log log2 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh atan2 pow".split(" ");

/** The functions themselves. */
export function engine(): Record<string, (a: number, b: number) => number> {
  const math = Math as unknown as Record<string, (a: number, b: number) => number>;
  return { ...Object.fromEntries(engineFunctions.map((name) => [name, math[name]!])), rem: (a, b) => a % b };
}

/**
 * Asks V8 in Node to compile with its optimizing compiler at once: 50 kernels take it 0.1 s, and run 10 to 30 times as slowly in the code
 * of its quick one, which it would replace only after they ran for a while.
 */
export function optimizeAtOnce(): void {
  const v8 = builtin("node:v8");
  for (const flag of ["--no-liftoff", "--no-wasm-lazy-compilation"]) v8?.setFlagsFromString(flag);
}

/** Whether modules may multiply and add in one instruction: f32x4.relaxed_madd of three zeros. Node 20 has it behind a flag. */
export function hasRelaxed(): boolean {
  if (relaxed === undefined) {
    if (!webAssembly.validate(probe)) builtin("node:v8")?.setFlagsFromString(flag);
    relaxed = webAssembly.validate(probe);
  }
  return relaxed;
}
let relaxed: boolean | undefined;
const flag = "--experimental-wasm-relaxed-simd";
const zeros = [0xfd, 0x0c, ...Array<number>(16).fill(0)];
const body = [0, ...zeros, ...zeros, ...zeros, 0xfd, 0x85, 0x02, 0x0b];
const probe = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00],
  ...[0x0a, body.length + 2, 0x01, body.length, ...body],
]);
