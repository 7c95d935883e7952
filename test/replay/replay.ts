/**
 * Shows which generated kernels a change alters: `npx tsx test/replay/replay.ts save DIR` before it writes every text, and
 * `npx tsx test/replay/replay.ts compare DIR` after it names those that differ and ends with 1 where any do. `diff` shows how.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replay } from "./programs.js";

const [what, folder] = process.argv.slice(2);
if ((what !== "save" && what !== "compare") || !folder) {
  console.error("usage: npx tsx test/replay/replay.ts save|compare DIR");
  process.exit(2);
}
const now = new Map([...replay()].map(([name, text]) => [name.replaceAll("/", "."), text]));
if (what === "save") {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of now) writeFileSync(join(folder, name), text);
  console.log(`${now.size} texts saved`);
} else {
  const before = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
  const names = [...new Set([...before.keys(), ...now.keys()])].sort();
  const changed = names.filter((name) => before.get(name) !== now.get(name));
  for (const name of changed) console.log(`${!before.has(name) ? "new" : !now.has(name) ? "gone" : "changed"}  ${name}`);
  console.log(`${changed.length} of ${names.length} texts differ`);
  process.exitCode = changed.length ? 1 : 0;
}
