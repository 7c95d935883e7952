import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findCompiler } from "../../src/backends/c/cc.js";
import { openSafetensors } from "../../src/runtime/safetensors.js";
import { builtPackage, type CommandOptions, type Ended, treepie } from "../support/build.js";
import { hasCompiler } from "../support/kernels-in-c.js";
import { sampleText, tiny } from "./model.js";

const folder = mkdtempSync(join(tmpdir(), "treepie-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const text = join(folder, "text.txt");
beforeAll(() => {
  writeFileSync(text, sampleText());
  builtPackage();
});

/** `treepie train` of a tiny model on the js device, under `folder/name`. */
const train = (name: string, args: readonly string[], o: CommandOptions = {}): Promise<Ended> =>
  treepie(["train", "--text", text, ...tiny, "--device", "js", "--out", join(folder, name), ...args], o);
const checkpoint = (name: string): string => join(folder, name, "checkpoint.safetensors");
/** Everything that training changes, by name, and how many steps it took. */
function saved(name: string): { readonly tensors: Record<string, string>; readonly done: number } {
  const file = openSafetensors(checkpoint(name));
  const { done } = JSON.parse(file.metadata["progress"]!) as { done: number };
  const tensors = Object.fromEntries([...file.tensors.keys()].map((k) => [k, Buffer.from(file.bytes(k)).toString("base64")]));
  file.close();
  return { tensors, done };
}

test("trains, measures, saves, exports, and lets a process with the runtime alone write", async () => {
  const json = join(folder, "results.json");
  const { code, out, err } = await train("whole", ["--steps", "3", "--json", json]);
  expect({ code, err: err.replace(/^\d+\/3 steps .*\n/gm, "") }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/A GPT of 1 layers of width 16 learns .* on js/);
  expect(out).toMatch(/validation loss \d\.\d{4} nats per byte; on the same split a smoothed bigram has/);
  expect(out).toMatch(/\ninterface [\s\S]*\n300 bytes, \d+ a second/);
  const results = JSON.parse(readFileSync(json, "utf8")) as Record<string, unknown>;
  const numbers = "validationLoss bigramLoss trigramLoss fourgramLoss steps trainTokensPerSecond generateTokensPerSecond seconds".split(
    " ",
  );
  for (const key of numbers) expect([key, Number.isFinite(results[key])]).toEqual([key, true]);
  expect(Object.keys(results).sort()).toEqual([...numbers, "device"].sort());
  expect(results).toMatchObject({ steps: 3, device: "js" });
  expect(readFileSync(join(folder, "whole/loss.svg"), "utf8")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  expect(existsSync(join(folder, "whole/model.pie"))).toBe(true);
});

describe("a run that goes on", () => {
  const plan = ["--steps", "300", "--seed", "7"];

  test("is the run that was never stopped, bit for bit", async () => {
    const [whole] = await Promise.all([
      train("ten", [...plan, "--stop-at", "10"]),
      train("five", [...plan, "--stop-at", "5"]).then(() => train("five", ["--resume", "--stop-at", "10"])),
    ]);
    expect(whole.out).toMatch(/stopped after 10 of 300 steps; .*--resume/);
    expect(saved("ten").done).toBe(10);
    expect(saved("five")).toEqual(saved("ten"));
  });

  test("after Ctrl-C, too, which saves and leaves cleanly", async () => {
    const stopped = await train("interrupted", plan, {
      watch: (said, child) => {
        if (/1\/300 steps/.test(said) && !child.killed) child.kill("SIGINT");
      },
    });
    expect(stopped.code).toBe(0);
    expect(stopped.out).toMatch(/stopped after \d+ of 300 steps; the checkpoint is in/);
    const { done } = saved("interrupted");
    expect(done).toBeLessThan(300);
    const to = ["--stop-at", `${done + 3}`];
    await Promise.all([train("interrupted", ["--resume", ...to]), train("straight", [...plan, ...to])]);
    expect(saved("interrupted")).toEqual(saved("straight"));
    expect(saved("straight").done).toBe(done + 3);
  });

  test("must be the same run", async () => {
    const cases = [
      ["--seed", "8"],
      ["--batch", "3"],
      ["--steps", "301"],
      ["--layers", "2"],
    ];
    for (const { code, err } of await Promise.all(cases.map((c) => train("ten", ["--resume", ...c]))))
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringMatching(/^treepie: ArgumentError: .* is of another run: (seed|batch|steps|layers) was \d+ and is \d+;[^\n]*\n$/),
      });
  });

  test("keeps the old checkpoint where the disk is full", async () => {
    await train("full", [...plan, "--stop-at", "2"]);
    const before = saved("full");
    // Files may not grow beyond 8 blocks: writing fails half way.
    const { code, err } = await train("full", ["--resume", "--stop-at", "4"], { before: "ulimit -f 8" });
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(
        /treepie: FileError: .*checkpoint\.safetensors was not written: .*; what was there before is unchanged\n$/,
      ),
    });
    expect(saved("full")).toEqual(before);
  });
});

test("a loss that is no number is reported with its step", async () => {
  const { code, err } = await train("diverged", ["--steps", "100", "--stop-at", "8", "--lr", "1e30"]);
  expect(code).toBe(0);
  expect(err.match(/warning: the loss is (NaN|Infinity) at step [2-8]: training has diverged; a lower learning rate/g)).toHaveLength(1);
});

test.skipIf(!hasCompiler())("Ctrl-C does not wait for the compiler of the first step", async () => {
  const compiler = findCompiler();
  if (typeof compiler === "string") return;
  const cc = join(folder, "slow-cc");
  const late = join(folder, "late");
  // Slow for kernels, not for the device's own code.
  writeFileSync(
    cc,
    `#!/bin/sh\nfor a in "$@"; do case "$a" in *.c) grep -q tp_open "$a" || { sleep 60; : > "${late}"; };; esac; done\nexec ${compiler.command.join(" ")} "$@"\n`,
  );
  chmodSync(cc, 0o755);
  const { code, out } = await train("slow", ["--steps", "5", "--device", "c"], {
    env: { CC: cc, TREEPIE_CACHE_DIR: join(folder, "cache") },
    watch: (said, child) => {
      if (/learns/.test(said) && !child.killed) child.kill("SIGINT");
    },
  });
  expect(code).toBe(0);
  expect(out).toMatch(/stopped after 0 of 5 steps; nothing was to be saved/);
  expect(existsSync(late)).toBe(false);
});
