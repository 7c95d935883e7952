/** For test files that share a process: none may leave it otherwise than it was. */
import { afterAll, expect } from "vitest";
import { restartRandom } from "./groups.js";

/** What a test may change by name: variables of the environment, the folder, names of globals. */
const state = (): ReadonlyMap<string, string | undefined> =>
  new Map([
    ...Object.entries(process.env),
    ["the current folder", process.cwd()],
    ...Object.getOwnPropertyNames(globalThis).map((name) => [`globalThis.${name}`, ""] as const),
  ]);
restartRandom();
const before = state();
afterAll(() => {
  const after = state();
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));
  expect(changed, "this file changes its process, which other files share: see vitest.config.ts").toEqual([]);
});
