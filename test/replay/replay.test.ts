import { expect, test } from "vitest";
import { mul, variable } from "../../src/core/expr.js";
import { codegens, programs, replay } from "./programs.js";

test("generated text depends on the program alone", { timeout: 60_000 }, () => {
  const first = replay();
  // Other expressions and names in between change nothing.
  for (let i = 0; i < 1000; i++) mul(variable(`n${i}`, 0, i + 1), i);
  const second = replay();
  expect([...second.keys()]).toEqual([...first.keys()]);
  for (const [name, text] of second) expect(text, name).toBe(first.get(name));
  const refused = [...first].filter(([name]) => name.split("/").length === 2);
  expect(refused.map(([name, why]) => `${name}: ${why}`)).toEqual([]);
  expect(first.size).toBeGreaterThanOrEqual(Object.keys(codegens).length * Object.keys(programs).length);
});
