// Builds dist/: the package from src/, and the benchmarks from bench/ beside it.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
for (const project of ["tsconfig.build.json", "tsconfig.bench.json"]) {
  const { status } = spawnSync("npx", ["tsc", "-p", project], { stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}
if (existsSync("dist/cli/index.js")) chmodSync("dist/cli/index.js", 0o755);
