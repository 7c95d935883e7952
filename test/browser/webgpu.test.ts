/** The webgpu device in a page of headless Chromium, on its software driver. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { webgpu } from "../../src/backends/webgpu/index.js";
import { useDevice } from "../support/devices.js";
import { bundled } from "./bundle.js";
import { inPage, startChromium, withoutChromium } from "./chromium.js";
import { llamaFile, nextFile } from "./files.js";
import type { Tests } from "./page/main.js";
import { type Server, serve } from "./serve.js";

const full = Boolean(process.env["TREEPIE_FULL"]);
const timeout = full ? 3_600_000 : 120_000;
/** A software driver takes half a second for a kernel's pipeline: all ops run where TREEPIE_FULL is set, some of each kind otherwise. */
const ops =
  "add exp where cast sum argmax cumsum sort matmul gather indexAdd conv2d softmax layerNorm scaledDotProductAttention uniform pad".split(
    " ",
  );
let why = withoutChromium();
let browser: Browser;
let page: Page;
let server: Server;
if (!why) {
  useDevice("js");
  const targets = [webgpu.codegen()];
  const files = new Map<string, Uint8Array>([
    ["/index.html", readFileSync(join(import.meta.dirname, "page/index.html"))],
    ["/main.js", await bundled("main.ts")],
    ["/next.pie", await nextFile(targets)],
    ["/llama.pie", await llamaFile(targets)],
  ]);
  server = await serve((path) => files.get(path));
  browser = await startChromium({ webgpu: true });
  page = await browser.newPage();
  await page.goto(`${server.url}/index.html`);
  await page.waitForFunction(() => "tests" in globalThis);
  type Gpu = { navigator: { gpu?: { requestAdapter(): Promise<object | null> } } };
  if (!(await page.evaluate(async () => Boolean(await (globalThis as unknown as Gpu).navigator.gpu?.requestAdapter()))))
    why = "this Chromium has no WebGPU adapter, not even a software one";
}
if (why) console.error(`webgpu in a browser skipped: ${why}`);
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const here = <K extends keyof Tests>(name: K, argument: Parameters<Tests[K]>[0]) => inPage(page, name, argument);

describe.skipIf(why)(`webgpu in a page ${why ?? ""}`, () => {
  test("conformance", { timeout }, async () => {
    const { cases, compared, notCompared, problems } = await here("conformance", {
      device: "webgpu",
      ...(!full && { ops, samples: 1, dtypes: ["f32", "i32", "bool"] as const }),
      derivatives: full,
    });
    expect(problems).toEqual([]);
    expect(cases).toBeGreaterThan(full ? 2000 : 15);
    expect(notCompared).toBeLessThanOrEqual(0.05 * compared);
  });
  test("sessions and tokens hold no more than at first", { timeout }, async () => {
    for (const [kind, file, rounds] of [
      ["openRunClose", "next.pie", full ? 1000 : 50],
      ...(full ? ([["decode", "llama.pie", 1000]] as const) : []),
    ] as const) {
      const { heap, held } = await here("steady", { device: "webgpu", url: `${server.url}/${file}`, kind, rounds });
      expect(held[1], kind).toEqual(held[0]);
      expect(heap[1] - heap[0], kind).toBeLessThan(1 << 20);
    }
  });
});
