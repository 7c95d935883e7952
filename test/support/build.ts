/** The package as it is installed, built from the sources as they are now, and its command line. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { closeBuild, openBuild } from "./build-once.js";

const root = resolve(import.meta.dirname, "../..");

/** A folder with `package.json` and `dist/`. One build serves every test file for as long as no source changes. */
export function builtPackage(): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(root, "src", name);
    if (!/\.ts$/.test(name) || name.endsWith(".test.ts") || !statSync(path).isFile()) continue;
    hash.update(name).update("\0").update(readFileSync(path)).update("\0");
  }
  const { folder, aside } = openBuild("package", hash.digest("hex"));
  if (!aside) return folder;
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", join(aside, "dist")], {
    encoding: "utf8",
  });
  if (!existsSync(join(aside, "dist/cli/index.js"))) throw new Error(`the package does not build:\n${stdout}`);
  const bundling = `import { bundle } from ${JSON.stringify(join(root, "tools/bundle.mjs"))}; await bundle(${JSON.stringify(join(aside, "dist"))});`;
  const bundled = spawnSync(process.execPath, ["--input-type=module", "-e", bundling], { encoding: "utf8" });
  if (bundled.status !== 0) throw new Error(`the package cannot be bundled:\n${bundled.stderr}`);
  for (const file of ["package.json", "README.md", "LICENSE"]) cpSync(join(root, file), join(aside, file));
  return closeBuild({ folder, aside });
}

/** How a command ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Sees all output so far whenever more comes. */
  readonly watch?: (said: string, child: ChildProcess) => void;
  /** Shell text that the command runs behind, such as limits. */
  readonly before?: string;
}
/** Runs a program of Node. */
export function runNode(args: readonly string[], o: CommandOptions = {}): Promise<Ended> {
  const command = o.before ? ["sh", "-c", `${o.before}; exec "$0" "$@"`, process.execPath, ...args] : [process.execPath, ...args];
  const child = spawn(command[0]!, command.slice(1), {
    cwd: o.cwd ?? root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TREEPIE_DEBUG: "", NODE_OPTIONS: "", ...o.env },
  });
  const said = { out: "", err: "" };
  for (const [name, stream] of [
    ["out", child.stdout],
    ["err", child.stderr],
  ] as const)
    stream.setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      o.watch?.(said.out + said.err, child);
    });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code, ...said }));
  });
}
/** Runs `treepie`. */
export const treepie = (args: readonly string[], o: CommandOptions = {}): Promise<Ended> =>
  runNode([join(builtPackage(), "dist/cli/index.js"), ...args], o);
