// `npm run web`: builds the page and serves it, isolated from other origins so that WebAssembly has threads.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { build, preview } from "vite";

const run = (...args) => {
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
};
run("tools/build.mjs");
if (!existsSync("runs/demo/model.pie")) {
  console.log("There is no demo model yet: it is trained once, for a minute or two (the same as npm start).");
  run("dist/cli/index.js", "train", "--demo");
}
const configFile = "web/vite.config.ts";
await build({ configFile, logLevel: "warn" });
const server = await preview({ configFile });
server.printUrls();
