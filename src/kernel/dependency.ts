/** What a kernel may do before the launches that it depends on have ended. */
import { variables } from "../core/expr.js";
import type { Buffer, Kernel, Stmt, Test } from "./kernel.js";
import { eachStmt, eachValue } from "./walk.js";

/**
 * The body with an `await`, and what follows it, in front of the first statement that may not come before one; in each branch where grid points
 * differ.
 */
export function withAwait(body: readonly Stmt[], buffers: ReadonlyMap<string, Buffer>, behind: readonly Stmt[] = []): readonly Stmt[] {
  const here: readonly Stmt[] = [{ kind: "dependency", op: "await" }, ...behind];
  const at = body.findIndex((s) => !mayComeBefore([s], buffers));
  const s = body[at];
  if (!s) return [...body, ...here];
  if (s.kind !== "if" || !isUniform(s.test)) return [...body.slice(0, at), ...here, ...body.slice(at)];
  const inside = (branch: readonly Stmt[]): readonly Stmt[] => withAwait(branch, buffers, behind);
  const other = s.else || !isAlways(s.test) ? { else: inside(s.else ?? []) } : {};
  return [...body.slice(0, at), { ...s, body: inside(s.body), ...other }, ...body.slice(at + 1)];
}

/** What is wrong with how a kernel awaits: all of its threads do so once, or none, and before it they only read what is fixed. */
export function dependencyProblems(k: Kernel): string[] {
  if (!awaits(k.body)) return [];
  const buffers = new Map(k.buffers.map((b) => [b.name, b]));
  const problems: string[] = [];
  const walk = (body: readonly Stmt[], before: boolean): boolean => {
    let awaited = before;
    for (const s of body) {
      if (!awaits([s])) {
        if (!awaited && !mayComeBefore([s], buffers)) problems.push(`a ${s.kind} touches what is not fixed, and stands before the await`);
      } else if (s.kind === "dependency") {
        if (awaited) problems.push("it awaits twice");
        awaited = true;
      } else if (s.kind === "if" && isUniform(s.test)) {
        const then = walk(s.body, awaited);
        const other = isAlways(s.test) ? then : walk(s.else ?? [], awaited);
        if (then !== other) problems.push("one branch awaits, and the other does not");
        awaited = then;
      } else problems.push(`it awaits inside of a ${s.kind}, where some threads may not come by`);
    }
    return awaited;
  };
  walk(k.body, false);
  return problems;
}

/** Whether statements await. */
export function awaits(body: readonly Stmt[]): boolean {
  let found = false;
  eachStmt(body, (s) => {
    found ||= s.kind === "dependency" && s.op === "await";
  });
  return found;
}

/** Whether statements touch nothing of global memory but what is fixed, and only read that. */
function mayComeBefore(body: readonly Stmt[], buffers: ReadonlyMap<string, Buffer>): boolean {
  const isGlobal = (name: string): boolean => buffers.get(name)?.space === "global";
  const isOpen = (name: string): boolean => isGlobal(name) && !buffers.get(name)!.fixed;
  let found = true;
  eachStmt(body, (s) => {
    switch (s.kind) {
      case "store":
        found &&= !isGlobal(s.buffer);
        return;
      case "copy":
        found &&= !isOpen(s.from.buffer);
        return;
      case "for":
      case "if":
      case "when":
      case "let":
      case "letIndex":
      case "combine":
      case "prefetch":
      case "barrier":
      case "commit":
        return;
      case "dependency":
        found &&= s.op === "release";
        return;
      default:
        found = false;
    }
  });
  eachValue(body, (v) => {
    if (v.kind === "load" || v.kind === "word") found &&= !isOpen(v.buffer);
  });
  return found;
}

/** Whether all threads of a grid point find the same. */
const isUniform = (t: Test): boolean => [...variables(t.a), ...variables(t.b)].every(([name]) => name === "pid");
const isAlways = (t: Test): boolean => t.op === "<" && typeof t.a === "number" && typeof t.b === "number" && t.a < t.b;
