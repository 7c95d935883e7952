/**
 * Shows which generated kernels a change alters: `npx tsx test/replay/replay.ts` compares with the saved digests and ends with 1
 * where any differ, `--update` saves the new ones, `--texts DIR` writes every text there (do it before and after, then diff).
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digest, replay } from "./programs.js";

const file = new URL("digests.json", import.meta.url);
const texts = replay();
const at = process.argv.indexOf("--texts");
if (at > 0) {
  const folder = process.argv[at + 1]!;
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of texts) writeFileSync(join(folder, name.replaceAll("/", ".")), text);
}
const now = Object.fromEntries([...texts].map(([name, text]) => [name, digest(text)]));
if (process.argv.includes("--update")) {
  writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`);
  console.log(`${texts.size} texts saved`);
} else {
  const before = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  const changed = names.filter((name) => before[name] !== now[name]);
  for (const name of changed) console.log(`${before[name] === undefined ? "new" : now[name] === undefined ? "gone" : "changed"}  ${name}`);
  console.log(`${changed.length} of ${names.length} texts differ`);
  process.exitCode = changed.length ? 1 : 0;
}
