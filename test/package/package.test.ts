/** The package as `npm pack` makes it, in an empty TypeScript project. */
import { execFileSync, fork, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtPackage, runNode } from "../support/build.js";

const root = resolve(import.meta.dirname, "../..");
const app = mkdtempSync(join(tmpdir(), "treepie-app-"));
afterAll(() => rmSync(app, { recursive: true, force: true }));
const npm = { cwd: app, encoding: "utf8", shell: process.platform === "win32" } as const;

beforeAll(() => {
  const modules = join(app, "node_modules");
  mkdirSync(join(modules, "treepie"), { recursive: true });
  mkdirSync(join(modules, ".bin"));
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", app, builtPackage()], npm);
  const archive = readdirSync(app).find((f) => f.endsWith(".tgz"))!;
  execFileSync("tar", ["-xzf", archive, "-C", join(modules, "treepie"), "--strip-components", "1"], { cwd: app });
  const { dependencies, bin } = JSON.parse(readFileSync(join(modules, "treepie/package.json"), "utf8")) as Record<
    "dependencies" | "bin",
    Record<string, string>
  >;
  // Its dependencies, and what any TypeScript project on Node has.
  for (const name of [...Object.keys(dependencies), "@koromix", "@typescript", "typescript", "@types/node", "undici-types"]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    if (existsSync(join(root, "node_modules", name))) symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const [name, file] of Object.entries(bin)) {
    chmodSync(join(modules, "treepie", file), 0o755);
    symlinkSync(join("../treepie", file), join(modules, ".bin", name));
  }
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", type: "module", private: true }));
  const example = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))![1]!;
  writeFileSync(join(app, "main.ts"), example);
  // Every entry of the package, so that all its declarations are checked.
  writeFileSync(
    join(app, "all.ts"),
    ["", "/runtime", "/nn", "/optim", "/data"]
      .map((entry, i) => `import * as m${i} from "treepie${entry}";\nconsole.log(Object.keys(m${i}).length > 3);\n`)
      .join(""),
  );
});

describe.each([
  ["nodenext", "nodenext"],
  ["bundler", "esnext"],
])("with moduleResolution %s", (moduleResolution, module) => {
  test("the README's example and every declaration type-check", () => {
    const config = {
      compilerOptions: { strict: true, target: "es2022", module, moduleResolution, skipLibCheck: false, types: ["node"], outDir: "out" },
      files: ["main.ts", "all.ts"],
    };
    writeFileSync(join(app, "tsconfig.json"), JSON.stringify(config));
    const { status, stdout } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", app], {
      encoding: "utf8",
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  });
});

test("the README's example runs, with and without a C compiler", async () => {
  for (const CC of ["false", process.env["CC"]]) {
    const { code, out, err } = await runNode(["out/main.js"], { cwd: app, env: CC ? { CC } : {} });
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => line.split(" ").map(Number));
    expect(lines.map(([step]) => step)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(lines[5]![1]!).toBeLessThan(lines[0]![1]! / 50);
    if (CC === "false") expect(err).toMatch(/^treepie: tensors are on the wasm device, which is slower: c: .*CC=false.*unset it\n$/);
  }
});

test("every entry loads", async () => {
  const { code, out, err } = await runNode(["out/all.js"], { cwd: app });
  expect({ code, out, err }).toEqual({ code: 0, out: "true\n".repeat(5), err: "" });
});

test("Node loads few files, which hold what the modules hold and share it", async () => {
  const dist = join(app, "node_modules/treepie/dist");
  const entries: Readonly<Record<string, string>> = {
    "": "index",
    "/runtime": "runtime/index",
    "/nn": "nn/index",
    "/optim": "optim/index",
    "/data": "data/index",
  };
  const script = `
    const names = (m) => Object.keys(m).sort().join();
    const same = [];
    for (const [entry, module] of Object.entries(${JSON.stringify(entries)}))
      same.push(names(await import("treepie" + entry)) === names(await import(${JSON.stringify(pathToFileURL(dist).href)} + "/" + module + ".js")));
    const [all, nn, optim] = await Promise.all(["", "/nn", "/optim"].map((e) => import("treepie" + e)));
    console.log(JSON.stringify([same, all.nn.Linear === nn.Linear, all.optim.AdamW === optim.AdamW, new nn.Linear(1, 1).constructor.name]));`;
  const { out, err } = await runNode(["--input-type=module", "-e", script], { cwd: app });
  expect(err).toBe("");
  expect(JSON.parse(out)).toEqual([[true, true, true, true, true], true, true, "Linear"]);
  const coverage = join(app, "coverage");
  await runNode(["--input-type=module", "-e", 'await import("treepie"); await import("treepie/nn")'], {
    cwd: app,
    env: { NODE_V8_COVERAGE: coverage },
  });
  const loaded = readdirSync(coverage).flatMap(
    (f) => (JSON.parse(readFileSync(join(coverage, f), "utf8")) as { result: { url: string }[] }).result,
  );
  const files = loaded.map((r) => r.url).filter((u) => u.includes("/treepie/dist/"));
  expect(files.filter((u) => !u.includes("/dist/node/"))).toEqual([]);
  expect(files.length).toBeGreaterThan(1);
  expect(files.length).toBeLessThanOrEqual(40);
});

test("the process that compiles for CUDA lies beside the joined files, and answers", async () => {
  const child = fork(join(app, "node_modules/treepie/dist/node/compile-process.js"), [], { serialization: "advanced", execArgv: [] });
  try {
    const answer = await new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
      child.send({ id: 7, path: join(app, "no-such-compiler.so"), source: "", flags: [] });
    });
    expect(answer).toMatchObject({ id: 7, message: expect.stringContaining("load shared library") });
  } finally {
    child.kill("SIGKILL");
  }
});

test("importing it loads no native code", async () => {
  const script =
    'await import("treepie"); await import("treepie/runtime"); process.report.excludeNetwork = true; console.log(JSON.stringify(process.report.getReport().sharedObjects));';
  const { out } = await runNode(["--input-type=module", "-e", script], { cwd: app });
  expect((JSON.parse(out) as string[]).filter((f) => /koffi|\.node$|treepie/.test(f))).toEqual([]);
});

test("npx treepie doctor works", () => {
  const { status, stdout } = spawnSync("npx", ["--no-install", "treepie", "doctor", "--json"], {
    ...npm,
    env: { ...process.env, npm_config_offline: "true" },
  });
  expect(status).toBe(0);
  expect((JSON.parse(stdout) as { default: string }).default).toMatch(/^(c|wasm)$/);
});
