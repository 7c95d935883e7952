/** How the page looks and is reached: colours that can be read in light and dark, narrow screens, and everything by keyboard alone. */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { dropOn, generate, generated, picture, press, shows, type Visit, visitForTests } from "./site.js";

let here: Visit;
let page: Page;
const why = visitForTests("the look of the page", async (opened) => {
  here = opened;
  page = here.page;
  await shows(page, "device-note", /threads/);
});

/** What a page has, as far as it is used here. */
interface Style {
  readonly color: string;
  readonly backgroundColor: string;
  readonly borderTopColor: string;
  readonly borderTopWidth: string;
  readonly fill: string;
}
interface Piece {
  readonly id: string;
  readonly className: string | object;
  readonly tagName: string;
  readonly parentElement: Piece | null;
  readonly childNodes: Iterable<{ readonly nodeType: number; readonly textContent: string }>;
  checkVisibility(): boolean;
  matches(selector: string): boolean;
}
interface Scope {
  readonly document: { querySelectorAll(selector: string): Iterable<Piece> };
  getComputedStyle(piece: Piece): Style;
}
interface Pair {
  readonly what: string;
  readonly kind: "text" | "edge";
  readonly front: string;
  readonly back: string;
}
/** Colours that stand on each other: of all text that is seen, and of the edges of what can be used. */
const pairs = (): Promise<Pair[]> =>
  page.evaluate(() => {
    const { document, getComputedStyle } = globalThis as unknown as Scope;
    const clear = "rgba(0, 0, 0, 0)";
    const under = (piece: Piece | null): string => {
      for (let p = piece; p; p = p.parentElement)
        if (getComputedStyle(p).backgroundColor !== clear) return getComputedStyle(p).backgroundColor;
      return "rgb(255, 255, 255)";
    };
    const found: Pair[] = [];
    for (const piece of document.querySelectorAll("body *")) {
      if (!piece.checkVisibility()) continue;
      const style = getComputedStyle(piece);
      const what = `${piece.tagName.toLowerCase()}#${piece.id}.${String(piece.className)}`;
      const isField = piece.matches("input, textarea, select");
      if (isField || [...piece.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
        found.push({ what, kind: "text", front: piece.tagName === "text" ? style.fill : style.color, back: under(piece) });
      if (piece.matches("button:enabled, input:enabled, textarea:enabled, select:enabled") && style.borderTopWidth !== "0px")
        found.push({ what, kind: "edge", front: style.borderTopColor, back: under(piece.parentElement) });
    }
    return found;
  });
/** WCAG 2.2's ratio of two colours. */
function contrast(a: string, b: string): number {
  const luminance = (color: string): number => {
    const parts = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(color);
    if (!parts) throw new Error(`${color} is no opaque colour`);
    const [red, green, blue] = parts.slice(1).map((x) => {
      const v = Number(x) / 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    }) as [number, number, number];
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}
/** Text has a contrast of 4.5 at least, edges 3; gives what has not. */
async function unreadable(): Promise<string[]> {
  const all = await pairs();
  expect(all.length).toBeGreaterThan(30);
  return all
    .map((p) => ({ ...p, ratio: contrast(p.front, p.back) }))
    .filter((p) => p.ratio < (p.kind === "text" ? 4.5 : 3))
    .map((p) => `${p.what} ${p.kind} ${p.front} on ${p.back}: ${p.ratio.toFixed(2)}`);
}
/** Moves on by keyboard until something is reached, and sees to it that each stop is marked. */
async function tabTo(name: string): Promise<void> {
  type Focused = { document: { activeElement: Piece }; getComputedStyle(p: Piece): { outlineStyle: string; outlineWidth: string } };
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const { id, tag, outline } = await page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as unknown as Focused;
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return { id: document.activeElement.id, tag: document.activeElement.tagName, outline: `${outlineStyle} ${outlineWidth}` };
    });
    if (tag !== "BODY") expect(outline, id).toBe("solid 2px");
    if (id === name) return;
  }
  throw new Error(`${name} was not reached by keyboard`);
}
const focused = (): Promise<string> => page.evaluate("document.activeElement.id");

describe.skipIf(why)(`the look of the page ${why ?? ""}`, () => {
  test("everything is done by keyboard alone", async () => {
    await tabTo("device");
    await tabTo("load-demo");
    await page.keyboard.press("Enter");
    await shows(page, "model-note", /^Loaded the demo model/);
    await tabTo("prompt");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type("type ");
    await tabTo("length");
    await page.keyboard.type("1000000");
    await tabTo("generate");
    await page.keyboard.press("Enter");
    await shows(page, "speed", /^\d+ tokens, /);
    expect(await focused()).toBe("stop-generate");
    await page.keyboard.press("Space");
    await shows(page, "speed", /^Stopped/);
    expect(await focused()).toBe("generate");
    expect(await generated(page)).toMatch(/type /);
    await tabTo("text");
    await tabTo("steps");
    await tabTo("choose-corpus");
    await tabTo("train");
    await tabTo("measure");
    await page.keyboard.press("Enter");
    await shows(page, "kernels-note", /^\d+ kernels/);
    await tabTo("kernels-box");
  });
  test("every text and every edge can be seen, in light and in dark", async () => {
    await dropOn(page, here.at("demo.pie"));
    await shows(page, "kept", /demo.pie/);
    await press(page, "Measure");
    await shows(page, "kernels-note", /^\d+ kernels/);
    await dropOn(page, here.at("letter.txt"));
    await shows(page, "failure", /letter.txt is no model/);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await unreadable(), colorScheme).toEqual([]);
    }
    await press(page, "Close");
    await page.getByLabel("Tokens").fill("1000000");
    await press(page, "Generate");
    await shows(page, "speed", /^\d+ tokens, /);
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await unreadable(), `${colorScheme}, while something runs`).toEqual([]);
    }
    await press(page, "Stop", "generate");
    await shows(page, "speed", /^Stopped/);
    // What is paler is found.
    const paler = await page.addStyleTag({ content: ":root { --quiet: #999; --line: #ccc }" });
    const found = (await unreadable()).join("\n");
    expect(found).toMatch(/p#device-note.note text rgb\(153, 153, 153\) on rgb\(255, 255, 255\): 2.85/);
    expect(found).toMatch(/textarea#prompt. edge/);
    await paler.evaluate((style: unknown) => (style as { remove(): void }).remove());
  });
  test("fits narrow screens", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await press(page, "Load the demo model");
    await shows(page, "model-note", /^Loaded the demo model/);
    await generate(page, 100);
    await dropOn(page, here.at("letter.txt"));
    await shows(page, "failure", /letter.txt is no model/);
    for (const width of [360, 320]) {
      await page.setViewportSize({ width, height: 740 });
      const [wide, seen] = await page.evaluate(() => {
        const { document } = globalThis as unknown as { document: { documentElement: { scrollWidth: number; clientWidth: number } } };
        return [document.documentElement.scrollWidth, document.documentElement.clientWidth];
      });
      expect(wide).toBe(seen);
    }
    await press(page, "Close");
    await page.setViewportSize({ width: 360, height: 740 });
    await picture(page, "page-narrow");
    expect(here.errors).toEqual([]);
  });
});
