/** The page at later visits: models that are kept, no network, a second tab, and a server without https. */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { dropOn, generate, picture, press, shows, type Visit, visit, visitForTests } from "./site.js";

let here: Visit;
let page: Page;
const why = visitForTests("later visits of the page", (opened) => {
  here = opened;
  page = here.page;
});

describe.skipIf(why)(`later visits of the page ${why ?? ""}`, () => {
  test("no network at the first visit: the demo model cannot come, files can", async () => {
    await shows(page, "device-note", /threads/);
    await page.evaluate("navigator.serviceWorker.ready");
    await here.context.setOffline(true);
    await press(page, "Load the demo model");
    await shows(page, "failure", /^There is no network, and this was not loaded here before/);
    await dropOn(page, here.at("demo.pie"));
    await shows(page, "model-note", /^Loaded demo.pie/);
    await shows(page, "kept", /demo.pie, 0.3 MB/);
    await here.context.setOffline(false);
  });
  test("a dropped model is there after a reload, without a network, too", async () => {
    const text = await generate(page, 20);
    await here.context.setOffline(true);
    await page.reload();
    await press(page, "Open demo.pie");
    await shows(page, "model-note", /^Loaded demo.pie/);
    expect(await generate(page, 20)).toBe(text);
    await picture(page, "page-offline", "window");
    await here.context.setOffline(false);
  });
  test("the demo model comes from what was kept of it", async () => {
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await here.context.setOffline(true);
    await page.reload();
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await generate(page, 20);
    await here.context.setOffline(false);
  });
  test("what a new version of the page has is kept, what only the old one had is not", async () => {
    const assets = (): Promise<string[]> =>
      page.evaluate<string[]>(
        `caches.open("treepie").then(async (cache) => (await cache.keys()).map((r) => r.url).filter((u) => u.includes("/assets/")))`,
      );
    const all = await assets();
    expect(all.length).toBeGreaterThan(10);
    const missing = all.find((url) => url.includes("/webgpu-"))!;
    await page.evaluate(`caches.open("treepie").then(async (cache) => {
      await cache.delete(${JSON.stringify(missing)});
      await cache.put("/assets/old-12345678.js", new Response("old"));
    })`);
    await page.reload();
    await expect.poll(async () => (await assets()).sort()).toEqual(all.sort());
  });
  test("two tabs have one model open; neither takes it from the other", async () => {
    const other = await here.context.newPage();
    await other.goto(here.url);
    // A tab in the back is slow to be pressed.
    for (const tab of [page, other]) {
      await tab.bringToFront();
      await press(tab, "Open demo.pie");
    }
    for (const tab of [page, other]) {
      await tab.bringToFront();
      await shows(tab, "model-note", /^Loaded demo.pie/);
      await generate(tab, 20);
    }
    await page.bringToFront();
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await press(page, "Forget demo.pie");
    await shows(page, "failure", /^demo.pie is open, here or in another tab. Load another model there first, or close that tab/);
    await picture(page, "page-second-tab", "window");
    await other.bringToFront();
    await generate(other, 20);
    // Both drop the same file anew.
    for (const tab of [page, other]) {
      await tab.bringToFront();
      await dropOn(tab, here.at("demo.pie"));
    }
    for (const tab of [page, other]) await shows(tab, "model-note", /^Loaded demo.pie/);
    await other.close();
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await press(page, "Forget demo.pie");
    await page.locator("#kept-box").waitFor({ state: "hidden" });
    await page.reload();
    await shows(page, "device-note", /threads/);
    expect(await page.locator("#kept-box").isVisible()).toBe(false);
    expect(here.errors).toEqual([]);
  });
  test("over plain http it has one thread, keeps nothing, and says so", async () => {
    const plain = await visit({ plain: true });
    try {
      const tab = plain.page;
      await shows(tab, "device-note", /has no WebGPU for this page, since it did not come over https.*on one thread/);
      await dropOn(tab, plain.at("demo.pie"));
      await shows(tab, "model-note", /^Loaded demo.pie/);
      await shows(tab, "kept-note", /^demo.pie is not kept for the next visit: a browser keeps files only of pages that came over https/);
      await generate(tab, 20);
      await press(tab, "Load the demo model");
      await shows(tab, "model-note", /^Loaded the demo model/);
      expect(plain.errors).toEqual([]);
    } finally {
      await plain.close();
    }
  });
});
