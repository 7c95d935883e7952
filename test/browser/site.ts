/** The page of `web/`, built and served for tests, and what a person does with it. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { builtPackage } from "../support/build.js";
import { closeBuild, openBuild } from "../support/build-once.js";
import { startChromium, withoutChromium } from "./chromium.js";
import { serve } from "./serve.js";

const root = resolve(import.meta.dirname, "../..");
/** Pictures for the documentation, where they are wanted. */
export const pictures: boolean = Boolean(process.env["TREEPIE_SCREENSHOTS"]);

/** A folder with the built page in `site/` and files to give to it. One build serves every test file for as long as nothing changes. */
async function builtSite(): Promise<string> {
  const packed = builtPackage();
  // A model that was trained looks better in pictures, and is of a real size.
  const demo = process.env["TREEPIE_DEMO"];
  const hash = createHash("sha256").update(`${packed}\n${demo ?? ""}\n`);
  const sources = readdirSync(join(root, "web"), { recursive: true, encoding: "utf8" }).map((f) => join(root, "web", f));
  for (const path of [...sources, join(import.meta.dirname, "site-files.ts")].sort())
    if (statSync(path).isFile()) hash.update(path).update(readFileSync(path));
  const { folder, aside } = openBuild("site", hash.digest("hex"));
  if (!aside) return folder;
  // The framework is needed here only.
  const { siteFiles } = await import("./site-files.js");
  for (const [name, bytes] of Object.entries(await siteFiles())) writeFileSync(join(aside, name), bytes);
  const env = { TREEPIE_DIST: join(packed, "dist"), TREEPIE_WEB_OUT: join(aside, "site"), TREEPIE_DEMO: demo ?? join(aside, "demo.pie") };
  execFileSync(process.execPath, [join(root, "node_modules/vite/bin/vite.js"), "build", "-c", "web/vite.config.ts", "-l", "error"], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: "inherit",
  });
  return closeBuild({ folder, aside });
}

export interface VisitOptions {
  readonly webgpu?: boolean;
  /** The page comes over plain http from another machine's name, so that the browser gives it no isolation, files or WebGPU. */
  readonly plain?: boolean;
}
/** A browser with the page open. */
export interface Visit {
  readonly url: string;
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly page: Page;
  /** Errors that nobody caught. */
  readonly errors: readonly string[];
  /** One of the files to give to the page. */
  at(name: string): string;
  close(): Promise<void>;
}
/** Opens the page as somebody who was never there. */
export async function visit(o: VisitOptions = {}): Promise<Visit> {
  const folder = await builtSite();
  const server = await serve(
    (path) => {
      try {
        return readFileSync(join(folder, "site", path === "/" ? "index.html" : path));
      } catch {
        return undefined;
      }
    },
    { isolated: true },
  );
  const url = o.plain ? server.url.replace("127.0.0.1", "treepie.test") : server.url;
  const browser = await startChromium({ ...(o.webgpu && { webgpu: true }), args: ["--host-resolver-rules=MAP treepie.test 127.0.0.1"] });
  const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(pictures ? 90_000 : 60_000);
  const errors: string[] = [];
  page.on("pageerror", (e) => errors.push(e.message));
  await page.goto(url);
  return {
    url,
    browser,
    context,
    page,
    errors,
    at: (name) => join(folder, name),
    async close() {
      await browser.close();
      await server.close();
    },
  };
}
/** Opens the page before the tests of a file and closes it behind them; says, and returns, why there is none. */
export function visitForTests(what: string, came: (here: Visit) => void | Promise<void>): string | undefined {
  const why = withoutChromium();
  if (why) {
    console.error(`${what} skipped: ${why}`);
    return why;
  }
  let here: Visit | undefined;
  beforeAll(async () => {
    here = await visit();
    await came(here);
  }, 120_000);
  afterAll(() => here?.close());
  return undefined;
}

/** Waits for a text in a place of the page. */
export async function shows(page: Page, id: string, text: RegExp, timeout?: number): Promise<void> {
  const place = page.locator(`#${id}`);
  try {
    await place.filter({ hasText: text }).waitFor(timeout ? { timeout } : {});
  } catch (cause) {
    throw new Error(`${id} shows ${await place.innerText()}; the page says: ${await page.locator("#failure").innerText()}`, { cause });
  }
}
/** A part of the page by its name. */
export const part = (page: Page, name: string): Locator => page.locator(`section[aria-labelledby=${name}-title]`);
/** Presses a button, in the whole page or in a part of it. */
export const press = (page: Page, name: string, within?: string): Promise<void> =>
  (within ? part(page, within) : page).getByRole("button", { name, exact: true }).click();
/** The text that was generated, with its beginning. */
export const generated = async (page: Page): Promise<string> => (await page.locator("#text").textContent()) ?? "";
/** Generates that many tokens. */
export async function generate(page: Page, tokens: number, timeout?: number): Promise<string> {
  await page.getByLabel("Tokens").fill(String(tokens));
  await press(page, "Generate");
  await shows(page, "speed", new RegExp(`^${tokens} tokens, \\d+ tokens/s$`), timeout);
  await page.locator("#generate:enabled").waitFor();
  return generated(page);
}
/** Drops files or a folder of this machine onto the page, as a hand would. */
export async function dropOn(page: Page, ...paths: readonly string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await page.locator("#drop").scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await page.locator("#drop").boundingBox())!;
  const data = { items: [], files: [...paths], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await session.send("Input.dispatchDragEvent", { type, x: x + width / 2, y: y + height / 2, data });
  await session.detach();
}
/** A picture for the documentation: of the whole page, of what the window shows of it, or of one of its parts. */
export async function picture(page: Page, name: string, of: "page" | "window" | "generate" | "train" | "kernels" = "page"): Promise<void> {
  if (!pictures) return;
  const path = join(root, "docs/img", `${name}.png`);
  if (of === "page" || of === "window") await page.screenshot({ path, fullPage: of === "page" });
  else {
    await part(page, of).scrollIntoViewIfNeeded();
    const { x, y, width, height } = (await part(page, of).boundingBox())!;
    const scrolled = await page.evaluate<number>("scrollY");
    // A long table goes on as it begins.
    const clip = { x: x - 16, y: y + scrolled, width: width + 32, height: Math.min(height, 900) };
    await page.screenshot({ path, fullPage: true, clip });
  }
}
