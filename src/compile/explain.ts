import { type Dim, show } from "../core/expr.js";
import { showType } from "../core/type.js";
import { attentionLibraries } from "../runtime/attention.js";
import { libraryNames } from "../runtime/product.js";
import type { Program, Step } from "../runtime/program.js";
import { regionsOf } from "../runtime/steps.js";

/** What a program does, for people: each step with its tier, what was fused into it and why not more, bytes moved, memory, copies. */
export function explain(p: Program): string {
  const count = (kind: Step["kind"]): number => p.steps.filter((s) => s.kind === kind).length;
  const regions = regionsOf(p.steps).filter(([from]) => p.steps[from]!.kind !== "host").length;
  const ports = (list: Program["inputs"]): string => list.map((x) => `${x.name}: ${showType(x.type)}`).join(", ") || "nothing";
  const lines = [
    `program ${p.name} for ${[p.key.backend, p.key.arch, ...p.key.features].join(" ")}`,
    `  ${count("launch")} kernels (${p.kernels.length} distinct), ${count("copy")} copies, side by side in ${regions} launches, ${count("host")} host steps; arena ${showBytes(p.arena)}`,
    `  in:    ${ports(p.inputs)}`,
    `  state: ${ports(p.state)}`,
    `  out:   ${ports(p.outputs)}`,
  ];
  p.steps.forEach((s, i) => {
    const { note } = s;
    const what =
      s.kind === "launch"
        ? `kernel ${p.kernels[s.kernel]!.entry}${libraryOf(s)}, grid ${show(s.grid)}`
        : s.kind === "copy"
          ? "copy"
          : `host ${s.call}`;
    lines.push(
      `${`${i}`.padStart(4)}${s.kind !== "host" && s.beside ? " |" : ""} ${note?.label ?? ""} [${note?.tier ?? "?"}] ${what}, ${showBytes(note?.bytes ?? 0)}`,
    );
    if (note?.ops.length) lines.push(`       ${countOps(note.ops)}`);
    for (const w of note?.why ?? []) lines.push(`       - ${w}`);
  });
  return lines.join("\n");
}

/** The library that may compute a step, and the others that go with it. */
function libraryOf({ product, attention }: Extract<Step, { kind: "launch" }>): string {
  const name = product ? libraryNames[product.library] : attention && attentionLibraries[attention.library];
  const also = attention?.also.length ? ` (with ${attention.also.length} more)` : "";
  return name ? ` or ${name}${also}, whichever is faster` : "";
}

/** `add x3, exp, sum`. */
function countOps(ops: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const o of ops) counts.set(o, (counts.get(o) ?? 0) + 1);
  return [...counts].map(([o, n]) => (n > 1 ? `${o} x${n}` : o)).join(", ");
}

function showBytes(d: Dim): string {
  if (typeof d !== "number") return `${show(d)} bytes`;
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let i = 0;
  let x = d;
  for (; x >= 1024 && i < 3; i++) x /= 1024;
  return `${i ? x.toFixed(1) : x} ${units[i]}`;
}
