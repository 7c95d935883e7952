/** A page that generates on and on holds no more at the end than at first: ten minutes where TREEPIE_FULL is set, some seconds otherwise. */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { withoutChromium } from "./chromium.js";
import { press, shows, type Visit, visit } from "./site.js";

const full = Boolean(process.env["TREEPIE_FULL"]);
const why = withoutChromium();
if (why) console.error(`a page that generates on and on skipped: ${why}`);
const seconds = full ? 600 : 2;
/** A software driver makes a few tokens in as many seconds: there ten minutes say something, and two seconds nothing. */
const devices = full ? (["wasm", "webgpu"] as const) : (["wasm"] as const);

interface Held {
  readonly tokens: number;
  /** Bytes on the heaps of the page and of its worker, and of what hangs on them, after a collection. */
  readonly heap: number;
  /** Bytes that the device counts. */
  readonly device: number;
  /** Resident bytes of the page's process, WebAssembly's memory among them. */
  readonly process: number;
}
/** Talks to the page and to the worker that it started. (The threads of WebAssembly, which sleep in there, cannot answer, and have no heap to speak of.) */
async function heapsOf(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  const answers = new Map<number, (result: unknown) => void>();
  let worker = "";
  let asked = 0;
  session.on("Target.attachedToTarget", (e) => {
    if (e.targetInfo.type === "worker") worker = e.sessionId;
  });
  session.on("Target.receivedMessageFromTarget", (e) => {
    const { id, result } = JSON.parse(e.message) as { id: number; result: unknown };
    answers.get(id)?.(result);
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const ask = (method: string): Promise<unknown> =>
    new Promise((answer, fail) => {
      answers.set(++asked, answer);
      session.send("Target.sendMessageToTarget", { sessionId: worker, message: JSON.stringify({ id: asked, method }) }).catch(fail);
    });
  const bytes = (x: unknown): number => {
    const { usedSize, embedderHeapUsedSize, backingStorageSize } = x as Record<string, number>;
    return usedSize! + embedderHeapUsedSize! + backingStorageSize!;
  };
  return async () => {
    await Promise.all([session.send("HeapProfiler.collectGarbage"), ask("HeapProfiler.collectGarbage")]);
    return bytes(await session.send("Runtime.getHeapUsage")) + bytes(await ask("Runtime.getHeapUsage"));
  };
}
async function held({ browser, page }: Visit, heap: () => Promise<number>): Promise<Held> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const resident = processInfo
    .filter((p) => p.type === "renderer")
    .map((p) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${p.id}/status`, "utf8"))![1]) * 1024);
  return {
    tokens: await tokensOf(page),
    heap: await heap(),
    device: Number(await page.locator("#model-note").getAttribute("data-bytes")),
    process: resident.reduce((a, b) => a + b, 0),
  };
}
const tokensOf = async (page: Page): Promise<number> => Number.parseInt(await page.locator("#speed").innerText(), 10);
const wait = (s: number): Promise<void> => new Promise((done) => setTimeout(done, s * 1000));

describe.skipIf(why)(`a page that generates on and on ${why ?? ""}`, () => {
  test.each(devices)("holds no more on %s", { timeout: (seconds + 300) * 1000 }, async (device) => {
    const here = await visit({ webgpu: device === "webgpu" });
    try {
      const { page } = here;
      await shows(page, "device-note", /WebGPU/);
      await page.locator("#device").selectOption(device);
      await press(page, "Load the demo model");
      await shows(page, "model-note", new RegExp(`^Loaded the demo model.*on ${device}`));
      await page.getByLabel("Tokens").fill("10000000");
      await press(page, "Generate");
      await shows(page, "speed", /^\d+ tokens, /, 120_000);
      // The display of the text fills up to what it holds at most, and the engine compiles what is hot.
      await wait(0.2 * seconds);
      const heap = await heapsOf(page);
      const all = [await held(here, heap)];
      for (let i = 0; i < 4; i++) {
        await wait(0.2 * seconds);
        all.push(await held(here, heap));
      }
      const [start, end] = [all[0]!, all[4]!];
      const mb = (n: number): string => (n / 1e6).toFixed(1);
      const rows = all.map((h) => `${h.tokens} tokens: heaps ${mb(h.heap)} MB, device ${mb(h.device)} MB, process ${mb(h.process)} MB`);
      console.log(`${device}, ${seconds} s\n${rows.join("\n")}`);
      expect(end.tokens).toBeGreaterThan(start.tokens);
      expect(all.map((h) => h.device)).toEqual(all.map(() => start.device));
      expect(start.device).toBeGreaterThan(0);
      // In some seconds the display has not all the text yet that it holds. A slow device's code is compiled for half of the ten minutes.
      if (full) expect(end.heap - all[2]!.heap).toBeLessThan(1e6);
      expect(end.heap - start.heap).toBeLessThan(full ? 4e6 : 8e6);
      if (full) expect(end.process - start.process).toBeLessThan(32e6);
      await press(page, "Stop", "generate");
      await shows(page, "speed", /^Stopped\. \d+ tokens/);
      expect(here.errors).toEqual([]);
    } finally {
      await here.close();
    }
  });
});
