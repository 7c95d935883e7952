/** The package where people use it: under a bundler, as plain ES modules from a static server, in Deno and in Bun. */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startChromium, withoutChromium } from "../browser/chromium.js";
import { type Server, serve } from "../browser/serve.js";
import { builtPackage } from "../support/build.js";

const root = resolve(import.meta.dirname, "../..");
const app = mkdtempSync(join(tmpdir(), "treepie-hosts-"));
const noBrowser = withoutChromium();
if (noBrowser) console.error(`hosts in a browser skipped: ${noBrowser}`);

/** Trains a little on the wasm device, and runs a program file of its own making: what comes out is one line. */
const program = (treepie: string, runtime: string): string => `
import { closeDevices, compile, exportContents, manualSeed, nn, optim, rand, setDefaultBackend, tensor, zeros } from "${treepie}";
import { encodePie, openDevice, Session } from "${runtime}";

export async function main() {
  setDefaultBackend("wasm");
  manualSeed(1);
  const model = new nn.Linear(2, 1);
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const step = compile((x, y) => {
    const loss = model.forward(x).mseLoss(y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  const x = rand([64, 2]);
  const y = x.sum(1, { keepdim: true });
  const losses = [];
  for (let i = 0; i < 60; i++) losses.push(await step(x, y).item());
  const contents = await exportContents({ add: { fn: (a) => ({ out: a.add(1) }), inputs: { a: zeros([3]) } } }, { targets: [] });
  const parts = encodePie(contents);
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (bytes.set(p, at), at + p.length), 0);
  await closeDevices();
  const device = await openDevice("wasm");
  const why = await Session.open(bytes, { device }).catch((e) => e.message);
  await device.close();
  return [losses.at(-1) < 0.2 * losses[0], /holds no program of add/.test(why), String(tensor([1, 2]).shape)].join(" ");
}
`;
const wanted = "true true 2";

beforeAll(() => {
  mkdirSync(join(app, "node_modules"));
  // Copied, so that nothing of the repository is found beside it: no Dawn, no development dependencies.
  cpSync(builtPackage(), join(app, "node_modules/treepie"), { recursive: true });
  for (const name of ["@huggingface", "commander", "koffi", "@koromix"])
    symlinkSync(join(root, "node_modules", name), join(app, "node_modules", name));
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", type: "module", private: true }));
  writeFileSync(join(app, "main.mjs"), program("treepie", "treepie/runtime"));
  writeFileSync(join(app, "run.mjs"), 'import { main } from "./main.mjs";\nconsole.log(await main());\nglobalThis.process?.exit(0);\n');
});
afterAll(() => rmSync(app, { recursive: true, force: true }));

describe.skipIf(noBrowser)(`a browser ${noBrowser ?? ""}`, () => {
  let browser: Browser;
  let server: Server;
  beforeAll(async () => {
    browser = await startChromium();
    server = await serve(
      (path) => {
        try {
          return readFileSync(path.startsWith("/dist/") ? join(builtPackage(), path) : join(app, path));
        } catch {
          return undefined;
        }
      },
      { isolated: true },
    );
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  /** What a page's module says. */
  async function run(module: string): Promise<string> {
    writeFileSync(
      join(app, "index.html"),
      `<!doctype html><script type="module">import("${module}").then((m) => m.main()).then((x) => (document.title = x), (e) => (document.title = e.stack));</script>`,
    );
    const page = await browser.newPage();
    await page.goto(`${server.url}/index.html`);
    await page.waitForFunction(() => (globalThis as unknown as { document: { title: string } }).document.title !== "", undefined, {
      timeout: 100_000,
    });
    const title = await page.title();
    await page.close();
    return title;
  }

  test("plain ES modules from a static server", async () => {
    writeFileSync(join(app, "plain.js"), program("/dist/page.js", "/dist/runtime/page.js"));
    expect(await run("/plain.js")).toBe(wanted);
  });
  test("bundled by Vite", async () => {
    const config = {
      root: app,
      logLevel: "error",
      build: { lib: { entry: "main.mjs", formats: ["es"], fileName: "bundled" }, outDir: "out", minify: true, target: "es2023" },
    };
    writeFileSync(join(app, "vite.config.mjs"), `export default ${JSON.stringify(config)};`);
    execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build"], { cwd: app, stdio: "inherit" });
    expect(await run("/out/bundled.js")).toBe(wanted);
  });
});

const runs = promisify(execFile);
describe.each([
  ["Deno", process.env["TREEPIE_DENO"] ?? "deno", ["run", "-A", "--node-modules-dir=manual"]],
  ["Bun", process.env["TREEPIE_BUN"] ?? "bun", ["run"]],
])("%s", (name, command, args) => {
  const missing = spawnSync(command, ["--version"]).status !== 0;
  if (missing)
    console.error(
      `${name} skipped: there is no ${command} (npm install ${name.toLowerCase()} brings it; TREEPIE_${name.toUpperCase()} names one)`,
    );
  test.skipIf(missing)("trains on wasm", async () => {
    const { stdout } = await runs(command, [...args, "run.mjs"], { cwd: app, timeout: 60_000 });
    expect(stdout.trim()).toBe(wanted);
  });
});
