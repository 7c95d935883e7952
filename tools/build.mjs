// Builds dist/: the package from src/, and the benchmarks from bench/ beside it.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.mjs";
import { sourcesHash } from "./sources.mjs";

rmSync("dist", { recursive: true, force: true });
const sources = sourcesHash(".");
for (const project of ["tsconfig.build.json", "tsconfig.bench.json"]) {
  const { status } = spawnSync("npx", ["tsc", "-p", project], { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}
await bundle("dist");

// What this build is, for caches of what it makes: the contents of every file of the package.
const hash = createHash("sha256");
for (const name of readdirSync("dist", { recursive: true, encoding: "utf8" }).sort())
  if (name.endsWith(".js") && !name.startsWith("bench")) hash.update(`${name}\0`).update(readFileSync(join("dist", name)));
writeFileSync("dist/build.txt", `${hash.digest("hex")}\n`);
// Tests of the package take this build where it is one of the sources as they are.
writeFileSync("dist/sources.txt", `${sources}\n`);
