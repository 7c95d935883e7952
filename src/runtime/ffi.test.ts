import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { UnsupportedError } from "../core/errors.js";
import { ffi } from "./ffi.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a library that is missing or damaged is named with its path, a function with its library", () => {
  const [missing, damaged] = [join(folder, "libmissing.so"), join(folder, "libdamaged.so")];
  writeFileSync(damaged, "no library");
  for (const path of [missing, damaged]) {
    expect(() => ffi().load(path)).toThrow(UnsupportedError);
    expect(() => ffi().load(path)).toThrow(`the library ${path} does not load: `);
  }
  const own = ffi().load(null);
  expect(() => own.func("not_a_function", "i32", [])).toThrow(/this process has no function not_a_function: /);
  expect(() => own.symbol("not_a_symbol")).toThrow(/this process has no symbol not_a_symbol: /);
});
