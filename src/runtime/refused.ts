/** What a compiler's refusal of a kernel means in terms of the program. */
import { CompileError } from "../core/errors.js";
import { writeDim } from "../core/expr-text.js";
import type { Program } from "./program.js";
import { stepBuffers } from "./steps.js";

/** The error of a kernel that was refused, with the step that it belongs to: what it computes, of which ops, and what it writes. */
export function refused(error: unknown, program: Program): unknown {
  if (!(error instanceof CompileError) || error.kernel === undefined) return error;
  const at = program.steps.findIndex((s) => s.kind === "launch" && program.kernels[s.kernel]!.entry === error.kernel);
  const step = program.steps[at];
  if (!step) return error;
  const { note } = step;
  const written = stepBuffers(program, step).writes.map((b) => `${writeDim(program.buffers[b]!.size)} x ${program.buffers[b]!.dtype}`);
  const ops = note?.ops.length ? ` of the ops ${note.ops.join(", ")}` : "";
  return new CompileError(
    `${error.message}\nThe kernel is step ${at + 1} of ${program.name}, ${note ? `${note.label} (${note.tier})` : "without a note"}${ops}; it writes ${written.join(", ")}`,
    { cause: error, kernel: error.kernel },
  );
}
