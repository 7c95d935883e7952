/** Programs that a device has seen before. */
import { readdirSync } from "node:fs";
import { expect } from "vitest";
import type { Device, Loaded } from "../../src/runtime/device.js";
import type { Program } from "../../src/runtime/program.js";

/** A program that is loaded for the second time: nothing is built for it, and the folder of the cache has nothing new. */
export async function loadedAgain(device: Device, p: Program, cache: string): Promise<Loaded> {
  (await device.load(p)).unload();
  await device.sync();
  const known = (): readonly number[] => [device.counters.builds, readdirSync(cache).length];
  const before = known();
  const loaded = await device.load(p);
  expect(known()).toEqual(before);
  return loaded;
}
