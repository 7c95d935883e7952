/** Saves kernels as they are lowered now: `npx tsx test/kernels/save.ts`, then `npx vitest run test/kernels -u` for their text. */
import { mkdirSync, writeFileSync } from "node:fs";
import { writeKernel } from "../../src/kernel/save.js";
import { everywhere, halves, kernelsOf, lowered, matrices, sm80, units, web, webHalves, webMatrices } from "./cases.js";

const folder = new URL("saved/", import.meta.url);
mkdirSync(folder, { recursive: true });
const save = (name: string, l: ReturnType<typeof lowered>): void =>
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(kernelsOf(l).map(writeKernel), null, 1)}\n`);
for (const c of everywhere) {
  save(`${c.name}.cu`, lowered(c, sm80));
  save(`${c.name}.wgsl`, lowered(c, web));
}
for (const c of matrices) save(`${c.name}.wgsl`, lowered(c, webMatrices));
for (const c of halves) save(`${c.name}.wgsl`, lowered(c, webHalves));
for (const [name, codegen, c] of units) save(`${c.name}-${name}.cu`, lowered(c, codegen));
