/** Headless Chromium, where there is one. */
import { accessSync, constants } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Tests } from "./page/main.js";

const path = process.env["TREEPIE_CHROMIUM"] ?? "/usr/bin/chromium";

/** Why no browser can be tested here, or undefined. */
export function withoutChromium(): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch {
    return `there is no Chromium at ${path} (apt-get install chromium, or name one in TREEPIE_CHROMIUM)`;
  }
}
/** Starts it; with WebGPU on the software driver that it brings where that is asked for. */
export function startChromium(options: { readonly webgpu?: boolean; readonly args?: readonly string[] } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: path,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(options.webgpu ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] : ["--disable-gpu"]),
      "--enable-precise-memory-info",
      "--js-flags=--expose-gc",
      ...(options.args ?? []),
    ],
  });
}

/** Runs one of the tests that a page holds, there. */
export function inPage<K extends keyof Tests>(
  page: Page,
  name: K,
  argument: Parameters<Tests[K]>[0],
): Promise<Awaited<ReturnType<Tests[K]>>> {
  return page.evaluate(([n, a]) => (globalThis as unknown as { tests: Record<string, (a: unknown) => never> }).tests[n]!(a), [
    name,
    argument,
  ] as const);
}
