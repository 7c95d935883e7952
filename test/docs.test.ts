/** What the documentation names exists. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))].filter((name) => name.endsWith(".md"));
const inBackticks = /`([^`\s]+)`/g;
/** What a run or a build makes, and names of imports. */
const notFiles = /^(dist|runs|build|node_modules)\/|^treepie(\/|$)/;

/** Every path that a page names, with the folders it may be relative to: the root, `src/`, and the folders named before it. */
function pathsOf(page: string): { readonly path: string; readonly folders: readonly string[] }[] {
  const found: { path: string; folders: string[] }[] = [];
  const folders = [".", "src"];
  let fenced = false;
  for (const line of readFileSync(join(root, page), "utf8").split("\n")) {
    if (line.startsWith("```")) fenced = !fenced;
    if (fenced) continue;
    // `<name>` stands for any backend; `c` has every kind of file.
    for (const [, name] of line.replaceAll("<name>", "c").matchAll(inBackticks)) {
      if (!/^[\w./-]+$/.test(name!) || notFiles.test(name!) || !/\.(ts|md|mjs|py)$|\//.test(name!)) continue;
      found.push({ path: name!, folders: [...folders] });
      if (name!.endsWith("/")) folders.push(name!, join("src", name!));
    }
    for (const [, link] of line.matchAll(/\]\(([\w./-]+)\)/g)) found.push({ path: link!, folders: [dirname(page)] });
  }
  return found;
}

for (const page of pages)
  test(`${page} names files that exist`, () => {
    const paths = pathsOf(page);
    const missing = paths.filter(({ path, folders }) => !folders.some((folder) => existsSync(join(root, folder, path))));
    expect(missing.map(({ path }) => path)).toEqual([]);
  });

test("the documents name many files", () => {
  expect(pages.flatMap(pathsOf).length).toBeGreaterThan(50);
});
