/** Files that are dropped on the page: models run, everything else is told in words, and the page goes on. */
import { closeSync, copyFileSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { stories } from "../models/folder.js";
import { dropOn, generate, picture, press, shows, type Visit, visitForTests } from "./site.js";

const trained = stories();
const folder = mkdtempSync(join(tmpdir(), "treepie-drop-"));
let here: Visit;
let page: Page;
const why = visitForTests("files dropped on the page", async (opened) => {
  here = opened;
  page = here.page;
  await shows(page, "device-note", /threads/);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** Drops files, reads what the page says, and closes that. */
async function refused(...files: readonly string[]): Promise<string> {
  await dropOn(page, ...files);
  await shows(page, "failure", /./);
  const text = await page.locator("#failure").innerText();
  await press(page, "Close");
  expect(await page.locator("#failure").isVisible()).toBe(false);
  return text;
}
/** Whatever was refused before, a model can be dropped and writes. */
afterEach(async () => {
  if (why) return;
  if (!/^Loaded demo.pie/.test(await page.locator("#model-note").innerText())) {
    await dropOn(page, here.at("demo.pie"));
    await shows(page, "model-note", /^Loaded demo.pie/);
  }
  await generate(page, 5);
  expect(here.errors).toEqual([]);
});

describe.skipIf(why)(`files dropped on the page ${why ?? ""}`, () => {
  test("a truncated program file", async () => {
    await dropOn(page, here.at("cut.pie"));
    await shows(page, "failure", /^This file cannot be used: it is damaged, cut short, or of another kind.*cut.pie.*truncated/);
    await shows(page, "model-note", /^No model is loaded/);
    await picture(page, "page-failure", "window");
  });
  test("a file that is no model leaves the one that is loaded", async () => {
    expect(await refused(here.at("letter.txt"))).toBe(
      "letter.txt is no model. Choose a .pie file, or a folder with config.json, tokenizer.json and model.safetensors.",
    );
    await shows(page, "model-note", /^Loaded demo.pie/);
  });
  test("a program that is no text model", async () => {
    expect(await refused(here.at("next.pie"))).toMatch(/^next.pie is a program file, but it holds no text model/);
  });
  test("a program whose memory no WebAssembly has", async () => {
    expect(await refused(here.at("large.pie"))).toMatch(/^This model is too large for the device. Choose a smaller one, or another device/);
    await shows(page, "model-note", /^No model is loaded/);
  });
  test("a folder whose weights no WebAssembly has room for, before they are read", async () => {
    for (const name of ["config.json", "tokenizer.json"]) writeFileSync(join(folder, name), "{}");
    // A file of 6 GB that takes no room on the disk.
    const file = openSync(join(folder, "model.safetensors"), "w");
    ftruncateSync(file, 6e9);
    closeSync(file);
    expect(await refused(folder)).toMatch(/^This model is too large for WebAssembly: its weights are 6.0 GB, and there is room for 4.3 GB/);
  });
  test("a folder without its parts", async () => {
    rmSync(join(folder, "model.safetensors"), { force: true });
    writeFileSync(join(folder, "config.json"), "{}");
    rmSync(join(folder, "tokenizer.json"), { force: true });
    expect(await refused(folder)).toMatch(/^The folder has no tokenizer.json and no model.safetensors/);
    writeFileSync(join(folder, "tokenizer.json"), "{}");
    writeFileSync(join(folder, "model.safetensors"), "not weights at all");
    expect(await refused(folder)).toMatch(/holds a model of type null; known are llama, gpt2, bert/);
    writeFileSync(join(folder, "config.json"), '{ "model_type": ');
    expect(await refused(folder)).toMatch(/^This file cannot be used.*config.json/);
  });
  test.skipIf(!trained)("a model's folder, and a truncated one", async () => {
    await dropOn(page, trained!);
    await shows(page, "model-note", /^Loaded stories260K: 0.26 million parameters/);
    for (const name of ["config.json", "tokenizer.json"]) copyFileSync(join(trained!, name), join(folder, name));
    writeFileSync(join(folder, "model.safetensors"), readFileSync(join(trained!, "model.safetensors")).subarray(0, 500_000));
    expect(await refused(folder)).toMatch(/^This file cannot be used: it is damaged, cut short.*model.safetensors/);
  });
  test("files that are chosen", async () => {
    const [files] = await Promise.all([page.waitForEvent("filechooser"), press(page, "Choose files")]);
    await files.setFiles([here.at("letter.txt"), here.at("text.txt")]);
    await shows(page, "failure", /^There is no model among these files \(letter.txt, text.txt\). Choose a .pie file/);
  });
  test("numbers that make no sense", async () => {
    await page.getByLabel("Temperature").fill("");
    await press(page, "Generate");
    await shows(page, "failure", /Temperature is empty; it has to be a number from 0 to 5/);
    await page.getByLabel("Temperature").fill("0.7");
  });
  test("a drop while something runs", async () => {
    await page.getByLabel("Tokens").fill("1000000");
    await press(page, "Generate");
    await shows(page, "speed", /^\d+ tokens, /);
    expect(await refused(here.at("next.pie"))).toMatch(/^Something is running. Stop it, or wait for its end/);
    await press(page, "Stop", "generate");
    await shows(page, "speed", /^Stopped/);
  });
});
