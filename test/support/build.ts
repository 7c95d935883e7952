/** The package as it is installed, built from the sources as they are now, and its command line. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { sourcesHash } from "../../tools/sources.mjs";
import { closeBuild, openBuild } from "./build-once.js";

const root = resolve(import.meta.dirname, "../..");

/** A folder with `package.json` and `dist/`, which serves every test file for as long as no source changes. */
export function builtPackage(): string {
  const hash = sourcesHash(root);
  const { folder, aside } = openBuild("package", hash);
  if (!aside) return folder;
  if (!copyBuild(hash, aside)) build(aside);
  for (const file of ["package.json", "README.md", "LICENSE"]) cpSync(join(root, file), join(aside, file));
  return closeBuild({ folder, aside });
}
/** Takes the project's own build if it is one of these sources. */
function copyBuild(hash: string, to: string): boolean {
  const made = join(root, "dist/sources.txt");
  if (!existsSync(made) || readFileSync(made, "utf8").trim() !== hash) return false;
  const apart = [made, join(root, "dist/build.txt"), join(root, "dist/bench")];
  cpSync(join(root, "dist"), join(to, "dist"), { recursive: true, filter: (path) => !apart.includes(path) });
  return true;
}
function build(to: string): void {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", join(to, "dist")], {
    encoding: "utf8",
  });
  if (!existsSync(join(to, "dist/cli/index.js"))) throw new Error(`the package does not build:\n${stdout}`);
  const bundling = `import { bundle } from ${JSON.stringify(join(root, "tools/bundle.mjs"))}; await bundle(${JSON.stringify(join(to, "dist"))});`;
  const bundled = spawnSync(process.execPath, ["--input-type=module", "-e", bundling], { encoding: "utf8" });
  if (bundled.status !== 0) throw new Error(`the package cannot be bundled:\n${bundled.stderr}`);
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
