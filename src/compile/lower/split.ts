/** Reductions with too few rows to keep a device busy: partial results over chunks of columns, then one more kernel over the chunks. */
import type { Target } from "../../kernel/codegen.js";
import type { Kernel } from "../../kernel/kernel.js";
import type { Plan } from "./space.js";

export function wantsSplit(_p: Plan, _target: Target): boolean {
  return false;
}
export function lowerSplit(_p: Plan, _target: Target): readonly Kernel[] {
  return [];
}
