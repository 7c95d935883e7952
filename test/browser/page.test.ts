/** The page of `web/`, used as a person uses it: on WebAssembly, in a browser without a graphics card. */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { openWasm } from "../../src/backends/wasm/device.js";
import { continueBytes, openSafetensors, Session } from "../../src/runtime/public.js";
import { stories } from "../models/folder.js";
import { generate, generated, part, picture, pictures, press, shows, type Visit, visitForTests } from "./site.js";

const trained = stories();
let here: Visit;
let page: Page;
const why = visitForTests("the page's tests", (opened) => {
  here = opened;
  page = here.page;
});

describe.skipIf(why)(`the page ${why ?? ""}`, () => {
  test("says what is missing, and that it goes on without", async () => {
    await shows(page, "device-note", /WebGPU.*Everything works with WebAssembly instead, more slowly, on \d+ threads/);
    expect(await page.getByRole("button", { name: "Generate", exact: true }).isDisabled()).toBe(true);
    await picture(page, "page-start");
  });
  test("loads the demo model and generates as it goes", async () => {
    await press(page, "Load the demo model");
    await shows(page, "model-note", /Loaded the demo model: [\d.]+ million parameters, [\d.]+ MB of memory on wasm/);
    const text = await generate(page, 200);
    expect(text.startsWith("interface ")).toBe(true);
    expect(text.length).toBeGreaterThan(100);
    await picture(page, "page-generate", "generate");
    const again = await generate(page, 200);
    expect(again).toBe(text); // the same seed
  });
  test("stops when it is told to", async () => {
    await page.getByLabel("Tokens").fill("100000");
    await press(page, "Generate");
    await shows(page, "speed", /^\d+ tokens, /);
    await press(page, "Stop", "generate");
    await shows(page, "speed", /^Stopped\. \d+ tokens/);
    await picture(page, "page-stopped", "generate");
    expect((await generated(page)).length).toBeLessThan(90_000);
    await generate(page, 20);
  });
  test("lists kernels with their times", async () => {
    await press(page, "Measure");
    await shows(page, "kernels-note", /^\d+ kernels, [\d.]+ ms for a token/);
    const rows = await page.locator("#kernels tbody tr").allInnerTexts();
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.every((r) => /\S+.*\d+\.\d\s+\d+\.\d %/s.test(r))).toBe(true);
    await picture(page, "page-kernels", "kernels");
  });
  test.skipIf(!trained)("runs a model's folder", async () => {
    const [folder] = await Promise.all([page.waitForEvent("filechooser"), press(page, "Choose a folder")]);
    await folder.setFiles(trained!);
    await shows(page, "model-note", /Loaded stories260K: 0.26 million parameters/);
    await page.getByLabel("Beginning of the text").fill("Once upon a time");
    await page.getByLabel("Temperature").fill("0");
    expect(await generate(page, 20)).toMatch(/^Once upon a time, there was a little girl/);
    await press(page, "Measure");
    await shows(page, "kernels-note", /^\d+ kernels/);
    await generate(page, 20);
  });
  test("trains until it is told to stop, shows the loss as it falls, and gives the result to keep", async () => {
    await page.getByRole("spinbutton", { name: "Steps" }).fill("100000");
    if (!pictures) {
      const [text] = await Promise.all([page.waitForEvent("filechooser"), page.locator("#choose-corpus").click()]);
      await text.setFiles(here.at("text.txt"));
      await shows(page, "corpus-name", /^text.txt$/);
    }
    await press(page, "Train");
    await shows(page, "train-note", pictures ? /^Step [2-9]\d: loss/ : /^Step ([5-9]|\d\d+): loss \d\.\d+ nats per byte/);
    await picture(page, "page-train", "train");
    await press(page, "Stop", "train");
    await shows(page, "train-note", /^Stopped after \d+ of 100000 steps/);
    const label = await page.locator("#plot").getAttribute("aria-label");
    expect(Number(/: ([\d.]+) nats/.exec(label!)![1])).toBeLessThan(5.3); // 5.5 at first
    await page.emulateMedia({ colorScheme: "dark" });
    await picture(page, "page-trained", "train");
    await page.emulateMedia({ colorScheme: null });
  });
  test("what was trained is downloaded, and writes in Node what it writes in the page", async () => {
    const files: Record<string, Uint8Array> = {};
    for (const name of ["Download as .pie", "Download as safetensors"]) {
      const [download] = await Promise.all([page.waitForEvent("download"), press(page, name)]);
      files[download.suggestedFilename()] = new Uint8Array(readFileSync(await download.path()));
    }
    expect(Object.keys(files)).toEqual(["trained.pie", "trained.safetensors"]);
    expect(openSafetensors(files["trained.safetensors"]!).tensors.get("embed.weight")!.shape).toEqual([256, 128]);
    await page.getByLabel("Temperature").fill("0.7");
    const device = await openWasm(undefined, { threads: 2 });
    const session = await Session.open(files["trained.pie"]!, { device });
    const prompt = await page.getByLabel("Beginning of the text").inputValue();
    let text = prompt;
    const o = { prompt, maxTokens: 20, temperature: 0.7, seed: 1 };
    await continueBytes(session, o, new AbortController().signal, (piece) => {
      text += piece;
    });
    await session.dispose();
    await device.close();
    expect(await generate(page, 20)).toBe(text);
  });
  test("keeps what was trained for the next visit", async () => {
    await shows(page, "kept", /trained here, \d+ steps/);
    const text = await generated(page);
    await page.reload();
    await part(page, "model")
      .getByRole("button", { name: /^Open trained here/ })
      .click();
    await shows(page, "model-note", /^Loaded trained here/);
    await page.getByLabel("Beginning of the text").fill(trained ? "Once upon a time" : "interface ");
    expect(await generate(page, 20)).toBe(text);
    expect(here.errors).toEqual([]);
  });
  test("a worker that ends without an event is told of, and the page goes on", async () => {
    await page.getByLabel("Tokens").fill("100000");
    await press(page, "Generate");
    await shows(page, "speed", /^\d+ tokens, /);
    const own = page.workers().find((w) => /\/worker[^/]*\.js$/.test(w.url()))!;
    await own.evaluate("close()").catch(() => {});
    await shows(page, "failure", /^The computation ended unexpectedly \(the browser ended it.*Load the model again/);
    await shows(page, "model-note", /^The model is gone/);
    await press(page, "Close");
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await generate(page, 20);
  });
});
