import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { hasCompiler } from "../../test/support/kernels-in-c.js";
import { openCache, sha256, unique } from "./cache.js";

const root = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const key = sha256("some source");
const fresh = (): string => join(root, unique());
const built = (folder: string, text: string): string => {
  const path = join(folder, `build-${unique()}.so`);
  writeFileSync(path, text);
  return path;
};

describe("the disk cache", () => {
  test("keeps what it is given, in a folder of the user's own", () => {
    const folder = fresh();
    const cache = openCache(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(cache.get(key)).toBeUndefined();
    const path = cache.put(key, built(folder, "library"));
    expect(cache.get(key)).toBe(path);
    expect(openCache(folder).get(key)).toBe(path);
    expect(readFileSync(path, "utf8")).toBe("library");
    expect(readdirSync(folder).filter((f) => /build-|tmp/.test(f))).toEqual([]);
  });

  test("keeps contents of another kind beside them", () => {
    const folder = fresh();
    const cache = openCache(folder, "cubin");
    expect(cache.read(key)).toBeUndefined();
    cache.write(key, new Uint8Array([1, 2, 3]));
    expect([...openCache(folder, "cubin").read(key)!]).toEqual([1, 2, 3]);
    expect(openCache(folder, "so").read(key)).toBeUndefined();
    const path = cache.get(key)!;
    expect(path).toMatch(/\.cubin$/);
    writeFileSync(path, "4");
    expect(cache.read(key)).toBeUndefined();
  });

  test("a damaged, planted or foreign entry is a miss", () => {
    const folder = fresh();
    const cache = openCache(folder);
    const path = cache.put(key, built(folder, "library"));
    const index = join(folder, `${key}.json`);
    const entry = readFileSync(index, "utf8");
    const restore = (): void => {
      rmSync(path, { force: true });
      rmSync(index, { force: true });
      writeFileSync(path, "library", { mode: 0o600 });
      writeFileSync(index, entry, { mode: 0o600 });
      expect(cache.get(key)).toBe(path);
    };
    const spoil: (() => void)[] = [
      () => writeFileSync(path, "librarz"),
      () => writeFileSync(path, ""),
      () => rmSync(path),
      () => chmodSync(path, 0o666),
      () => chmodSync(index, 0o666),
      () => writeFileSync(index, "{"),
      () => writeFileSync(index, JSON.stringify({ key: sha256("another"), sha256: sha256("library") })),
      () => writeFileSync(index, JSON.stringify({ key, sha256: "../../etc/passwd" })),
      () => {
        rmSync(path);
        writeFileSync(join(root, "planted"), "library", { mode: 0o600 });
        symlinkSync(join(root, "planted"), path);
      },
      () => {
        rmSync(path);
        mkdirSync(path);
      },
    ];
    for (const f of spoil) {
      restore();
      f();
      expect(cache.get(key)).toBeUndefined();
      rmSync(path, { recursive: true, force: true });
      rmSync(index, { force: true });
    }
  });

  test("a folder that others may enter, or a link, is not used", () => {
    const open = fresh();
    mkdirSync(open, { mode: 0o755 });
    chmodSync(open, 0o755);
    expect(openCache(open).lasting).toBe(false);
    const link = fresh();
    mkdirSync(`${link}-real`, { mode: 0o700 });
    symlinkSync(`${link}-real`, link);
    expect(openCache(link).lasting).toBe(false);
    writeFileSync(`${link}-file`, "");
    expect(openCache(`${link}-file`).lasting).toBe(false);
  });

  test.skipIf(!hasCompiler())("two processes share it while they compile the same and different code", async () => {
    const folder = fresh();
    const script = join(root, "child.mts");
    writeFileSync(
      script,
      `import { buildSync } from ${JSON.stringify(join(import.meta.dirname, "../backends/c/build.ts"))};
       const source = (i) => "int answer(void) { return " + i + "; }";
       for (let i = 0; i < 6; i++) {
         const { libraries } = buildSync([source(i), source(i + 3)]);
         const got = libraries.map((l) => l.library.func("answer", "i32", [])());
         if (got[0] !== i || got[1] !== i + 3) throw new Error("wrong library: " + got);
         for (const l of libraries) l.release();
       }
       console.log("right");`,
    );
    const run = () =>
      promisify(execFile)(process.execPath, ["--import", "tsx", script], { env: { ...process.env, TREEPIE_CACHE_DIR: folder } });
    const ends = await Promise.all([run(), run()]);
    expect(ends.map((e) => e.stdout.trim())).toEqual(["right", "right"]);
    expect(readdirSync(folder).filter((f) => /build-|tmp/.test(f))).toEqual([]);
    // Beside the libraries lies what was found out about the compiler.
    const hashOf = (f: string): string => (JSON.parse(readFileSync(join(folder, f), "utf8")) as { sha256: string }).sha256;
    const entries = readdirSync(folder).filter((f) => f.endsWith(".json"));
    expect(entries.filter((f) => existsSync(join(folder, `${hashOf(f)}.so`))).length).toBe(9);
  });
});
