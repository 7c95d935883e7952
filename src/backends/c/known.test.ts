import { chmodSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openCache } from "../../runtime/cache.js";
import { remembered } from "./known.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-known-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const program = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};

describe.skipIf(process.platform !== "linux")("answers of a compiler", () => {
  const cache = openCache(mkdtempSync(join(folder, "cache-")), "compiler");
  let asked = 0;
  const ask = (command: readonly string[], answer: string | undefined = "12.2", question = "version"): string | undefined =>
    remembered(
      command,
      [question],
      () => {
        asked++;
        return answer;
      },
      () => cache,
    );

  test("are kept while its file is the same", () => {
    const gcc = program("gcc-12", "one");
    expect(ask([gcc])).toBe("12.2");
    expect(ask([gcc], "other")).toBe("12.2");
    expect(asked).toBe(1);
    expect(ask([gcc], "yes", "features")).toBe("yes");
    expect(asked).toBe(2);
    program("gcc-12", "another");
    expect(ask([gcc], "13.1")).toBe("13.1");
    utimesSync(gcc, 1, 1);
    expect(ask([gcc], "13.2")).toBe("13.2");
    expect(asked).toBe(4);
  });
  test("are asked again of what may start another one, and where there was none", () => {
    asked = 0;
    for (const command of [
      [program("ccache", "x")],
      [program("gcc", "x"), "-m32"],
      [program("compile.sh", "x")],
      [join(folder, "none", "gcc")],
    ]) {
      ask(command);
      ask(command);
    }
    expect(asked).toBe(8);
    const clang = program("clang-17", "x");
    expect(
      remembered(
        [clang],
        ["v"],
        () => undefined,
        () => cache,
      ),
    ).toBe(undefined);
    expect(ask([clang], "17", "v")).toBe("17");
    expect(asked).toBe(9);
  });
});
