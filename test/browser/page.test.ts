/** The page of `web/`, used as a person uses it: on WebAssembly, in a browser without WebGPU. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { wasm } from "../../src/backends/wasm/index.js";
import { exportContents } from "../../src/export.js";
import { GPT, gptMethods } from "../../src/models/index.js";
import { encodePie, HostTensor, openSafetensors, Session } from "../../src/runtime/public.js";
import { manualSeed } from "../../src/tensor/index.js";
import { stories } from "../models/folder.js";
import { builtPackage } from "../support/build.js";
import { useDevice } from "../support/devices.js";
import { startChromium, withoutChromium } from "./chromium.js";
import { nextFile } from "./files.js";
import { type Server, serve } from "./serve.js";

const why = withoutChromium();
if (why) console.error(`the page's tests skipped: ${why}`);
const trained = stories();
const root = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "treepie-web-"));
const at = (name: string): string => join(folder, name);
/** Pictures for the documentation, where they are wanted. */
const pictures = process.env["TREEPIE_SCREENSHOTS"];

let browser: Browser;
let server: Server;
let page: Page;
const errors: string[] = [];

beforeAll(async () => {
  if (why) return;
  useDevice("js");
  manualSeed(1);
  const { methods, options } = gptMethods(new GPT({ vocabulary: 256, width: 32, heads: 2, layers: 2, context: 32 }));
  const demo = Buffer.concat(encodePie(await exportContents(methods, { ...options, targets: [wasm.codegen({ threads: 2 })] })));
  writeFileSync(at("demo.pie"), demo);
  writeFileSync(at("cut.pie"), demo.subarray(0, demo.length - 1000));
  writeFileSync(at("next.pie"), await nextFile([]));
  writeFileSync(at("letter.txt"), "Dear reader,\n");
  writeFileSync(at("text.txt"), "All work and no play makes a dull model. ".repeat(5000));
  const env = { ...process.env, TREEPIE_DIST: join(builtPackage(), "dist"), TREEPIE_WEB_OUT: at("site") };
  execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "-c", "web/vite.config.ts", "-l", "error"], {
    cwd: root,
    env: { ...env, TREEPIE_DEMO: process.env["TREEPIE_DEMO"] ?? at("demo.pie") },
    stdio: "inherit",
  });
  server = await serve(
    (path) => {
      try {
        return readFileSync(join(folder, "site", path === "/" ? "index.html" : path));
      } catch {
        return undefined;
      }
    },
    { isolated: true },
  );
  browser = await startChromium();
  const context = await browser.newContext({ viewport: { width: 800, height: 1000 } });
  page = await context.newPage();
  page.setDefaultTimeout(pictures ? 90_000 : 60_000);
  page.on("pageerror", (e) => errors.push(e.message));
  await page.goto(server.url);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const picture = async (name: string): Promise<void> => {
  if (pictures) await page.screenshot({ path: join(root, "docs/img", `${name}.png`), fullPage: true });
};
const press = (name: string, within = page.locator("body")): Promise<void> => within.getByRole("button", { name, exact: true }).click();
/** Waits for a text in a place of the page. */
async function shows(id: string, text: RegExp, on = page): Promise<void> {
  try {
    await on.locator(`#${id}`).filter({ hasText: text }).waitFor();
  } catch (error) {
    throw new Error(`${id} shows ${await on.locator(`#${id}`).innerText()}; the page says: ${await on.locator("#failure").innerText()}`, {
      cause: error,
    });
  }
}
const part = (id: string): ReturnType<Page["locator"]> => page.locator(`section[aria-labelledby=${id}-title]`);
const generated = (): Promise<string> => page.locator("#text").inputValue();

describe.skipIf(why)(`the page ${why ?? ""}`, () => {
  test("says what is missing, and that it goes on without", async () => {
    await shows("device-note", /WebGPU.*Everything works with WebAssembly instead, more slowly, on \d+ threads/);
    expect(await page.getByRole("button", { name: "Generate", exact: true }).isDisabled()).toBe(true);
    await picture("page-start");
  });
  test("loads the demo model by keyboard and generates as it goes", async () => {
    await page.getByRole("button", { name: "Load the demo model" }).focus();
    await page.keyboard.press("Enter");
    await shows("model-note", /Loaded the demo model: [\d.]+ million parameters, on wasm/);
    await page.getByLabel("Tokens").fill("200");
    await press("Generate");
    await shows("speed", /^200 tokens, \d+ tokens\/s$/);
    const text = await generated();
    expect(text.startsWith("interface ")).toBe(true);
    expect(text.length).toBeGreaterThan(100);
    await picture("page-generate");
    await press("Generate");
    await shows("speed", /^200 tokens, \d+ tokens\/s$/);
    await expect.poll(generated).toBe(text); // the same seed
  });
  test("stops when it is told to", async () => {
    await page.getByLabel("Tokens").fill("100000");
    await press("Generate");
    await shows("speed", /^\d+ tokens, /);
    await press("Stop", part("generate"));
    await shows("speed", /^Stopped\. \d+ tokens/);
    const length = (await generated()).length;
    expect(length).toBeLessThan(90_000);
    await page.getByLabel("Tokens").fill("20");
    await press("Generate");
    await shows("speed", /^20 tokens/);
  });
  test("lists kernels with their times", async () => {
    await press("Measure");
    await shows("kernels-note", /^\d+ kernels, \d+ microseconds for a token/);
    const rows = await page.locator("#kernels tbody tr").allInnerTexts();
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.every((r) => /\S+.*\d+\.\d\s+\d+\.\d %/s.test(r))).toBe(true);
    await picture("page-kernels");
  });
  test("tells of bad files and numbers in words, and goes on", async () => {
    const choose = (name: string): Promise<void> => page.locator("#files").setInputFiles(at(name));
    for (const [name, text] of [
      ["cut.pie", /This file cannot be used: it is damaged, cut short, or of another kind/],
      ["next.pie", /next.pie is a program file, but it holds no text model/],
      ["letter.txt", /letter.txt is no model. Choose a .pie file, or a folder/],
    ] as const) {
      await choose(name);
      await shows("failure", text);
      await shows("model-note", /No model is loaded/);
    }
    await picture("page-failure");
    await choose("demo.pie");
    await shows("model-note", /Loaded demo.pie/);
    expect(await page.locator("#failure").isVisible()).toBe(false);
    await page.getByLabel("Temperature").fill("");
    await press("Generate");
    await shows("failure", /Temperature is empty; it has to be a number from 0 to 5/);
    await page.getByLabel("Temperature").fill("0.7");
    await press("Generate");
    await shows("speed", /^20 tokens/);
  });
  test.skipIf(!trained)("runs a model's folder", async () => {
    await page.locator("#files").setInputFiles(["config.json", "tokenizer.json", "model.safetensors"].map((f) => join(trained!, f)));
    await shows("model-note", /Loaded the chosen folder: 0.26 million parameters/);
    await page.getByLabel("Beginning of the text").fill("Once upon a time");
    await page.getByLabel("Temperature").fill("0");
    await press("Generate");
    await shows("speed", /^20 tokens/);
    await expect.poll(generated).toMatch(/^Once upon a time, there was a little girl/);
    await press("Measure");
    await shows("kernels-note", /^\d+ kernels/);
    await press("Generate");
    await shows("speed", /^20 tokens/);
  });
  test("trains until it is told to stop, shows the loss as it falls, and gives the result to keep", async () => {
    await page.getByRole("spinbutton", { name: "Steps" }).fill("100000");
    if (!pictures) await page.getByLabel("Text (optional)").setInputFiles(at("text.txt"));
    await press("Train");
    await shows("train-note", pictures ? /^Step [4-9]\d: loss/ : /^Step ([5-9]|\d\d+): loss \d\.\d+ nats per byte/);
    await picture("page-train");
    await press("Stop", part("train"));
    await shows("train-note", /^Stopped after \d+ of 100000 steps/);
    const label = await page.locator("#plot").getAttribute("aria-label");
    expect(Number(/: ([\d.]+) nats/.exec(label!)![1])).toBeLessThan(5.3); // 5.5 at first
    const files: Record<string, Uint8Array> = {};
    for (const name of ["Download as .pie", "Download as safetensors"]) {
      const [download] = await Promise.all([page.waitForEvent("download"), press(name)]);
      files[download.suggestedFilename()] = new Uint8Array(readFileSync(await download.path()));
    }
    expect(Object.keys(files)).toEqual(["trained.pie", "trained.safetensors"]);
    expect(openSafetensors(files["trained.safetensors"]!).tensors.get("embed.weight")!.shape).toEqual([256, 128]);
    const device = await openWasm(undefined, { threads: 2 });
    const session = await Session.open(files["trained.pie"]!, { device });
    const { logits } = await session.run("logits", {
      tokens: HostTensor.of("i64", [1, 8], [...new TextEncoder().encode("All work")].map(BigInt)),
    });
    expect(logits!.shape).toEqual([1, 8, 256]);
    await session.dispose();
    await device.close();
    await press("Generate");
    await shows("speed", /^20 tokens/);
  });
  test("works without a network once it was there, and in a second tab", async () => {
    await page.reload(); // through its service worker
    await press("Load the demo model");
    await shows("model-note", /Loaded the demo model/);
    await page.context().setOffline(true);
    await page.reload();
    await press("Load the demo model");
    await shows("model-note", /Loaded the demo model/);
    const other = await page.context().newPage();
    await other.goto(server.url);
    await other.getByRole("button", { name: "Load the demo model" }).click();
    await shows("model-note", /Loaded the demo model/, other);
    await other.close();
    await page.getByLabel("Tokens").fill("20");
    await press("Generate");
    await shows("speed", /^20 tokens/);
    await page.context().setOffline(false);
  });
  test("fits narrow screens, and nothing failed unseen", async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    const [wide, seen] = await page.evaluate(() => {
      const { document } = globalThis as unknown as { document: { documentElement: { scrollWidth: number; clientWidth: number } } };
      return [document.documentElement.scrollWidth, document.documentElement.clientWidth];
    });
    expect(wide).toBe(seen);
    await picture("page-narrow");
    expect(errors).toEqual([]);
  });
});
