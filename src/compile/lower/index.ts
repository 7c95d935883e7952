import { UnsupportedError } from "../../core/errors.js";
import type { Target } from "../../kernel/codegen.js";
import type { Group } from "../../kernel/group.js";
import type { Kernel } from "../../kernel/kernel.js";

/** The kernels of a group, in order: its template's, or generated ones. */
export function lower(group: Group, target: Target): readonly Kernel[] {
  if (group.template) return group.template.lower(group, target);
  throw new UnsupportedError(`lower: no family takes ${group.name}`);
}
