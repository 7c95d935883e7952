// Everything that `npm run lint` checks: formatting and lint rules, types, layers. Side by side, told in this order.
import { spawn } from "node:child_process";

const steps = [
  ["npx", ["biome", "check", "."]],
  ["npx", ["tsc", "--noEmit", "-p", "tsconfig.json"]],
  ["npx", ["tsc", "--noEmit", "-p", "tsconfig.bench.json"]],
  ["npx", ["tsc", "--noEmit", "-p", "web/tsconfig.json"]],
  ["node", ["tools/layers.mjs"]],
];
const running = steps.map(
  ([command, args]) =>
    new Promise((done) => {
      const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], shell: process.platform === "win32" });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
      child.once("error", (error) => done({ ok: false, said: `${command}: ${error.message}\n` }));
      child.once("close", (code) => done({ ok: code === 0, said }));
    }),
);
let failed = false;
for (const end of running) {
  const { ok, said } = await end;
  process.stdout.write(said);
  if (!ok) failed = true;
}
process.exitCode = failed ? 1 : 0;
