// Everything that `npm run lint` checks: formatting and lint rules, types, layers.
import { spawnSync } from "node:child_process";

const steps = [
  ["npx", ["biome", "check", "."]],
  ["npx", ["tsc", "--noEmit", "-p", "tsconfig.json"]],
  ["npx", ["tsc", "--noEmit", "-p", "tsconfig.bench.json"]],
  ["npx", ["tsc", "--noEmit", "-p", "web/tsconfig.json"]],
  ["node", ["tools/layers.mjs"]],
];
let failed = false;
for (const [command, args] of steps) {
  const { status } = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) failed = true;
}
process.exit(failed ? 1 : 0);
