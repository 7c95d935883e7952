import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { treepie } from "../support/build.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every command has help", async () => {
  const all = await treepie(["--help"]);
  expect(all.code).toBe(0);
  const commands = ["doctor", "train", "generate", "export", "run", "inspect", "bench"];
  for (const name of commands) expect(all.out).toContain(`  ${name} `);
  const helps = await Promise.all(commands.slice(0, -1).map((name) => treepie([name, "--help"])));
  helps.forEach((help, i) => {
    expect(help.code).toBe(0);
    expect(help.out).toContain(`Usage: treepie ${commands[i]}`);
  });
});

test("doctor says what works and why the rest does not", async () => {
  const [json, text, without] = await Promise.all([
    treepie(["doctor", "--json"]),
    treepie(["doctor"]),
    treepie(["doctor", "--json"], { env: { CC: "false" } }),
  ]);
  expect([json.code, text.code, without.code]).toEqual([0, 0, 0]);
  const report = JSON.parse(json.out) as {
    cpu: { cores: number };
    backends: { name: string; works: boolean; why: string | null }[];
    default: string;
  };
  expect(report.cpu.cores).toBeGreaterThan(0);
  expect(report.backends.find((b) => b.name === "js")).toEqual({ name: "js", works: true, why: null });
  expect(report.backends.find((b) => b.name === report.default)!.works).toBe(true);
  expect(text.out).toContain("js        works");
  const off = JSON.parse(without.out) as typeof report;
  expect(off.default).toBe("wasm");
  expect(off.backends.find((b) => b.name === "c")).toMatchObject({ works: false, why: expect.stringContaining("CC=false") });
});

test("wrong arguments are one line that says what is wrong, and an exit code", async () => {
  const broken = join(folder, "broken.pie");
  writeFileSync(broken, "no program");
  const short = join(folder, "short.txt");
  writeFileSync(short, "too short");
  const cases: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
    [["fly"], 2, /unknown command 'fly'/],
    [["train", "--steps", "many"], 2, /--steps.*a whole number of at least 0 is needed/],
    [["train", "--speed", "9"], 2, /unknown option '--speed'/],
    [["run", "only.pie"], 2, /missing required argument 'method'/],
    [["train", "--text", join(folder, "nowhere.txt"), "--out", folder], 1, /nowhere\.txt/],
    [["train", "--text", short, "--out", folder], 1, /ArgumentError: .*short\.txt: 9 bytes are too few/],
    [["train", "--device", "abacus", "--out", folder], 1, /ArgumentError: there is no device abacus; known are c, cuda, webgpu, wasm, js/],
    [["train", "--json", join(folder, "none/x.json"), "--out", folder], 1, /ENOENT.*none/],
    [["generate", "--model", folder, "--threads", "0"], 1, /ArgumentError: setThreads: 0 threads; it is a whole number above 0/],
    [["generate", join(folder, "nowhere.pie")], 1, /FileError: .*nowhere\.pie/],
    [["run", broken, "decode", "--device", "js"], 1, /FormatError: .*broken\.pie/],
    [["inspect", broken], 1, /FormatError: .*broken\.pie/],
    [["export", join(folder, "nowhere")], 1, /ArgumentError: there is no checkpoint at .*nowhere/],
  ];
  const ends = await Promise.all(cases.map(([args]) => treepie(args)));
  ends.forEach(({ code, out, err }, i) => {
    const [args, expected, message] = cases[i]!;
    expect({ args, code, err }).toEqual({ args, code: expected, err: expect.stringMatching(message) });
    expect(out).toBe("");
    // One line, and perhaps the name that was meant.
    expect(err.replace(/\n\(Did you mean .*\)/, "").trim()).not.toContain("\n");
  });
});
