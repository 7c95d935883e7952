/** A process that compiles: NVRTC works for one caller at a time, however many threads call it. Started by `compilers.ts`. */
import { CompileError } from "../../core/errors.js";
import { nvrtc } from "./nvrtc.js";

/** A text to be compiled. */
export interface CompileRequest {
  readonly id: number;
  /** Path of the compiler. */
  readonly path: string;
  readonly source: string;
  readonly flags: readonly string[];
}
/** Its machine code, or why there is none. */
export type CompileAnswer =
  | { readonly id: number; readonly code: Uint8Array }
  | { readonly id: number; readonly name: string; readonly message: string; readonly kernel: string | undefined };

process.on("message", ({ id, path, source, flags }: CompileRequest) => {
  let answer: CompileAnswer;
  try {
    answer = { id, code: nvrtc(path).compileSync(source, flags) };
  } catch (error) {
    const { name, message } = error as Error;
    answer = { id, name, message, kernel: error instanceof CompileError ? error.kernel : undefined };
  }
  process.send?.(answer, (error: Error | null) => {
    if (error) process.exit(0);
  });
});
// Nobody is left to compile for.
process.on("disconnect", () => process.exit(0));
