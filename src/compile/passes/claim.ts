import type { Node } from "../../ir/node.js";
import type { Codegen, Template } from "../../kernel/codegen.js";

/** The template that takes a node, and what the others said. */
export interface Claim {
  readonly template: Template | undefined;
  /** `name: reason` of each template before it that refused. */
  readonly refused: readonly string[];
}

/** Asks a backend's templates, best first. Pure: the same node always gets the same answer. */
export function claimOf(n: Node, codegen: Codegen): Claim {
  const refused: string[] = [];
  for (const template of codegen.claims) {
    const answer = template.match(n, codegen.target);
    if (answer === true) return { template, refused };
    refused.push(`${template.name}: ${answer}`);
  }
  return { template: undefined, refused };
}
