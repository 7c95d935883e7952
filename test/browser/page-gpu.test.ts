/**
 * The page on WebGPU, by the software driver that Chromium brings. It takes half a second for a kernel's pipeline and a fifth for a token:
 * a small model writes some tokens by default; a trained model's whole text, kernels and training where TREEPIE_FULL is set.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stories } from "../models/folder.js";
import { withoutChromium } from "./chromium.js";
import { dropOn, generate, generated, picture, press, shows, type Visit, visit } from "./site.js";

const full = Boolean(process.env["TREEPIE_FULL"]);
let why = withoutChromium();
let here: Visit;
let page: Page;
if (!why) {
  here = await visit({ webgpu: true });
  page = here.page;
  await shows(page, "device-note", /./);
  await page.locator("#device:enabled").waitFor();
  if (!(await page.locator("#device option").allInnerTexts()).includes("Graphics card (WebGPU)"))
    why = "this Chromium has no WebGPU adapter, not even a software one";
}
if (why) console.error(`the page on webgpu skipped: ${why}`);
afterAll(() => here?.close());
const trained = stories();
const long = 600_000;

describe.skipIf(why)(`the page on webgpu ${why ?? ""}`, () => {
  beforeAll(() => page.locator("#device").selectOption("webgpu").then());
  test("says that a software driver is no gain", () =>
    shows(page, "device-note", /^WebGPU is emulated in software here, so WebAssembly is faster/));
  test("writes the same on both devices", async () => {
    const texts: string[] = [];
    await page.getByLabel("Temperature").fill("0");
    for (const device of ["wasm", "webgpu"]) {
      await page.locator("#device").selectOption(device);
      await press(page, "Load the demo model");
      await shows(page, "model-note", new RegExp(`^Loaded the demo model: .* on ${device}`));
      texts.push(await generate(page, 12));
    }
    expect(texts[1]).toBe(texts[0]);
  });
  test("lists kernels with their times on the graphics card", async () => {
    await press(page, "Measure");
    await shows(page, "kernels-note", /^\d+ kernels, [\d.]+ ms for a token/);
    expect(await page.locator("#kernels tbody tr").count()).toBeGreaterThan(5);
    await generate(page, 2);
  });
  test("a program whose memory the graphics card does not have is refused in words, and the next model runs", async () => {
    await dropOn(page, here.at("larger.pie"));
    await shows(page, "failure", /^This model is too large for the device. Choose a smaller one, or another device/);
    await shows(page, "model-note", /^No model is loaded/);
    await press(page, "Close");
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model: .* on webgpu/);
    await generate(page, 2);
  });
  test.skipIf(!full || !trained)("a trained model writes its published text", { timeout: long }, async () => {
    await page.locator("#files").setInputFiles(["config.json", "tokenizer.json", "model.safetensors"].map((f) => join(trained!, f)));
    await shows(page, "model-note", /^Loaded the chosen folder/);
    await page.getByLabel("Beginning of the text").fill("");
    await page.getByLabel("Temperature").fill("0");
    await generate(page, 200, long);
    expect(await generated(page)).toBe(readFileSync(join(trained!, "expected_greedy.txt"), "utf8"));
    await press(page, "Measure");
    await shows(page, "kernels-note", /^\d+ kernels, [\d.]+ ms for a token/, long);
    expect(await page.locator("#kernels tbody tr").count()).toBeGreaterThan(20);
    await picture(page, "page-webgpu", "kernels");
  });
  test.skipIf(!full)("the GPT of the main job learns as on another device", { timeout: long }, async () => {
    const steps = 6;
    await page.getByRole("spinbutton", { name: "Steps" }).fill(String(steps));
    // What the page says while it trains.
    await page.evaluate(`{
      const note = document.getElementById("train-note");
      globalThis.losses = [];
      new MutationObserver(() => {
        const said = /^Step (\\d+): loss ([\\d.]+)/.exec(note.textContent);
        if (said) losses.push([Number(said[1]), Number(said[2])]);
      }).observe(note, { childList: true });
    }`);
    await press(page, "Train");
    await shows(page, "train-note", new RegExp(`^Done after ${steps} steps`), long);
    const losses = await page.evaluate<[number, number][]>("losses");
    const { setDefaultBackend } = await import("../../src/index.js");
    const { split, typescriptLibraryText } = await import("../../src/train/corpus.js");
    const { trainDemo } = await import("../../src/train/demo.js");
    const { hasCompiler } = await import("../support/kernels-in-c.js");
    setDefaultBackend(hasCompiler() ? "c" : "wasm");
    const { progress } = await trainDemo({ corpus: split("TypeScript's lib*.d.ts", typescriptLibraryText()), steps, seed: 1 });
    const wanted = new Map(progress.curve);
    console.log(`losses on webgpu in the page ${JSON.stringify(losses)}, here ${JSON.stringify(progress.curve)}`);
    const both = losses.filter(([step]) => wanted.has(step));
    expect(both.length).toBeGreaterThan(2);
    for (const [step, loss] of both) expect(Math.abs(loss / wanted.get(step)! - 1), `step ${step}`).toBeLessThan(0.005);
    expect(both.at(-1)![1]).toBeLessThan(both[0]![1]);
    await generate(page, 5, long);
    expect(here.errors).toEqual([]);
  });
});
