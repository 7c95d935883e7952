import { readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { transformSync } from "esbuild";
import { expect, test } from "vitest";

/** Every source file that a module loads, by the imports that are left when types are gone. */
function loads(entry: string, lazily: boolean, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(entry)) return seen;
  seen.add(entry);
  const { code } = transformSync(readFileSync(entry, "utf8"), {
    loader: "ts",
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  for (const [, now, later] of code.matchAll(/(?:^|\n)\s*(?:import|export)[^;]*?from\s*"(\.[^"]+)"|import\(\s*"(\.[^"]+)"\s*\)/g)) {
    const spec = now ?? (lazily ? later : undefined);
    if (spec) loads(resolve(dirname(entry), spec).replace(/\.js$/, ".ts"), lazily, seen);
  }
  return seen;
}
const root = resolve(import.meta.dirname, "..");

test("the runtime loads nothing of ops, autodiff, kernel, compile or tensor, devices included", () => {
  const files = [...loads(resolve(root, "runtime/index.ts"), true)].map((f) => relative(root, f));
  expect(files).toContain("backends/c/device.ts");
  expect(files).toContain("backends/js/device.ts");
  expect([...new Set(files.map((f) => f.split("/")[0]))].sort()).toEqual(["backends", "core", "runtime"]);
});

test("importing the runtime loads no device and no native code", () => {
  const files = [...loads(resolve(root, "runtime/index.ts"), false)].map((f) => relative(root, f));
  expect(files.filter((f) => f.startsWith("backends") || f === "runtime/ffi.ts")).toEqual([]);
});
