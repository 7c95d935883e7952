/** The wasm device in a page and in a Web Worker of headless Chromium, with threads and without. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wasm } from "../../src/backends/wasm/index.js";
import { allCases } from "../conformance/cases.js";
import { stories } from "../models/folder.js";
import "../../src/ops/index.js";
import { useDevice } from "../support/devices.js";
import { bundled } from "./bundle.js";
import { inPage, startChromium, withoutChromium } from "./chromium.js";
import { llamaFile, longFile, nextFile } from "./files.js";
import { pageFailuresWanted } from "./page/failures.js";
import type { Tests } from "./page/main.js";
import { type Server, serve } from "./serve.js";

const why = withoutChromium();
if (why) console.error(`tests in a browser skipped: ${why}`);
const trained = stories();
const full = Boolean(process.env["TREEPIE_FULL"]);

let browser: Browser;
const files = new Map<string, Uint8Array>();
beforeAll(async () => {
  if (why) return;
  useDevice("js");
  const targets = [wasm.codegen({ threads: 2 })];
  files.set("/index.html", readFileSync(join(import.meta.dirname, "page/index.html")));
  files.set("/main.js", await bundled("main.ts"));
  files.set("/next.pie", await nextFile(targets));
  files.set("/long.pie", await longFile(targets));
  files.set("/llama.pie", await llamaFile(targets));
  browser = await startChromium();
});
afterAll(() => browser?.close());

const find = (path: string): Uint8Array | undefined => {
  if (!path.startsWith("/stories/")) return files.get(path);
  try {
    return readFileSync(join(trained!, path.slice("/stories/".length)));
  } catch {
    return undefined;
  }
};

describe.skipIf(why).each([
  ["that is isolated", true],
  ["that is not isolated", false],
])(`in a page ${why ?? ""}%s`, (_, isolated) => {
  let server: Server;
  let page: Page;
  const said: string[] = [];
  beforeAll(async () => {
    server = await serve(find, { isolated });
    page = await browser.newPage();
    page.on("console", (m) => said.push(m.text()));
    await page.goto(`${server.url}/index.html`);
    await page.waitForFunction(() => "tests" in globalThis);
    expect(await page.evaluate(() => (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated)).toBe(isolated);
  });
  afterAll(async () => {
    await page?.close();
    await server?.close();
  });
  /** Runs one of the page's tests there. */
  const here = <K extends keyof Tests>(name: K, argument: Parameters<Tests[K]>[0]) => inPage(page, name, argument);
  /** Runs one of them in a Web Worker of the page. */
  const inWorker = <K extends keyof Tests>(name: K, argument: Parameters<Tests[K]>[0]): Promise<Awaited<ReturnType<Tests[K]>>> =>
    page.evaluate(
      (message) =>
        new Promise<never>((done, fail) => {
          interface PageWorker {
            onmessage: (e: { data: { value: never; error?: string } }) => void;
            onerror: (e: { message?: string }) => void;
            postMessage(m: unknown): void;
            terminate(): void;
          }
          const { Worker } = globalThis as unknown as { Worker: new (url: string, options: object) => PageWorker };
          const worker = new Worker("/main.js", { type: "module" });
          worker.onerror = (e) => fail(new Error(e.message ?? "the worker did not start"));
          worker.onmessage = ({ data }) => {
            worker.terminate();
            if (data.error) fail(new Error(data.error));
            else done(data.value);
          };
          worker.postMessage(message);
        }),
      { name, argument },
    );

  test("conformance", async () => {
    // Node runs every case on the same bytes (src/backends/wasm): a page the first sample of each op, with threads and without.
    const samples = full ? {} : { samples: 1 };
    const dtypes = full ? undefined : (["f32", "bf16", "i32", "bool"] as const);
    const derivatives = full || isolated;
    const { cases, compared, notCompared, problems } = await here("conformance", { ...samples, ...(dtypes && { dtypes }), derivatives });
    const wanted = allCases({ ...samples, ...(dtypes && { dtypes: new Set(dtypes) }), derivatives: derivatives ? ["f32"] : [] });
    expect(problems).toEqual([]);
    expect(cases).toBe(wanted.cases.length);
    expect(cases).toBeGreaterThan(300);
    expect(notCompared).toBeLessThanOrEqual(0.05 * compared);
  });
  test.skipIf(!trained)("stories260K gives its published text, in the page and in a worker", async () => {
    const text = readFileSync(join(trained!, "expected_greedy.txt"), "utf8");
    const options = { url: `${server.url}/stories`, tokens: 200 };
    expect(await here("generate", options)).toBe(text);
    expect(await inWorker("generate", options)).toBe(text);
  });
  test.skipIf(!trained)("a model that was loaded once is there without a network", async () => {
    const options = { url: `${server.url}/stories`, tokens: 30 };
    const text = await here("generate", options);
    await page.context().setOffline(true);
    expect(await here("generate", options)).toBe(text);
    await page.context().setOffline(false);
  });
  test("after a failure, which is a typed error, the next session works", async () => {
    const found = await here("failures", `${server.url}/long.pie`);
    const wanted = Object.keys(pageFailuresWanted).filter((name) => isolated || !/while it runs|worker/.test(name));
    expect(Object.keys(found).sort()).toEqual(wanted.sort());
    for (const name of wanted) {
      expect(found[name]![0].replace(/^_/, ""), name).toBe(pageFailuresWanted[name]![0]);
      expect(found[name]![1], name).toMatch(pageFailuresWanted[name]![1]);
    }
  });
  test("hundreds of devices leave nothing", async () => {
    expect(await here("devices", 200)).toBe(200);
  });
  test("what is repeated holds no more than at first", async () => {
    for (const [kind, file, rounds] of [
      ["openRunClose", "next.pie", 1000],
      ["decode", "llama.pie", 10_000],
    ] as const) {
      const some = full || isolated ? rounds : rounds / 10;
      const { heap, held } = await here("steady", { url: `${server.url}/${file}`, kind, rounds: some });
      expect(held[1], kind).toEqual(held[0]);
      expect(heap[1] - heap[0], kind).toBeLessThan(1 << 20);
    }
  });
  test("one warning in each thread of JavaScript tells of what is missing", () => {
    expect(said.filter((s) => /not isolated from other origins/.test(s))).toHaveLength(isolated ? 0 : trained ? 2 : 1);
  });
});
