/** Subgroup matrices, an experimental extension of WGSL: how statements of their unit are spelled, and the types of their variables. */
import type { Dialect } from "../../kernel/dialect.js";
import type { Buffer, Kernel, MatrixUnit } from "../../kernel/kernel.js";
import { eachStmt } from "../../kernel/walk.js";
import type { Accesses, Storage } from "./layout.js";
import { unsupported } from "./scalar.js";

/** What a kernel that uses them begins with. */
export const matrixDirectives: readonly string[] = [
  "enable chromium_experimental_subgroup_matrix;",
  "diagnostic(off, chromium.subgroup_matrix_uniformity);",
];
const type = (kind: "left" | "right" | "result", u: MatrixUnit): string => {
  const [columns, rows] = { left: [u.k, u.m], right: [u.n, u.k], result: [u.n, u.m] }[kind];
  return `subgroup_matrix_${kind}<${kind === "result" ? "f32" : u.input}, ${columns}, ${rows}>`;
};

/** The types of registers that hold matrices, by the name of their buffer. */
export function matrixTypes(k: Kernel): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  eachStmt(k.body, (s) => {
    if (s.kind !== "mma") return;
    found.set(s.acc.buffer, type("result", s.unit));
    found.set(s.a.buffer, type("left", s.unit));
    found.set(s.b.buffer, type("right", s.unit));
  });
  return found;
}
const registerOf = (variable: string): string => variable.slice(0, variable.lastIndexOf("_"));

/** The unit's statements. */
export function matrixWords(
  types: ReadonlyMap<string, string>,
  found: Accesses,
  storage: (b: Buffer) => Storage,
): Pick<Dialect, "fill" | "fetch" | "mma" | "spill"> {
  const typeOf = (variable: string): string => types.get(registerOf(variable)) ?? unsupported("matrix of that kind");
  const pointer = (b: Buffer): string => {
    found.tile(b);
    const { chunks, packed } = storage(b);
    return chunks > 1 || packed ? unsupported("matrices in chunks or in packed words") : `&${b.name}`;
  };
  return {
    fill: (_u, [acc]) => `${acc} = ${typeOf(acc!)}();`,
    fetch: (_u, [into], from, i, stride, { transposed }) =>
      `${into} = subgroupMatrixLoad<${typeOf(into!)}, ${transposed ? "col_major" : "row_major"}>(${pointer(from)}, u32(${i}), u32(${stride}));`,
    mma: (_u, [acc], [a], [b]) => `${acc} = subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${acc});`,
    spill: (_u, [acc], to, i, stride) => `subgroupMatrixStore<row_major>(${pointer(to)}, u32(${i}), ${acc}, u32(${stride}));`,
  };
}
