import { expect, test } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { allEngines } from "./device.js";
import { memory, ones } from "./index.js";

test("ever new shapes do not keep every program for ever", async () => {
  useDevice("js");
  for (let n = 1; n <= 1100; n++) {
    const total = ones([n, 2]).add(n).sum(0).sum();
    if (n % 100 === 0) expect(await total.item()).toBe(n * 2 * (n + 1));
    else total.schedule();
  }
  const counts = allEngines().map((e) => e.programCount);
  expect(Math.max(...counts)).toBeLessThanOrEqual(1024);
  await memory.collect();
});
