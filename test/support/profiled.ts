/** For tests of TREEPIE_PROFILE: what a device prints when its process ends. */
import { vi } from "vitest";
import type { Device } from "../../src/runtime/device.js";
import type { Program, Step } from "../../src/runtime/program.js";
import { launch } from "./device-contract.js";

/** Two launches of kernel 0 by name, over `grid` points each. */
export const namedSteps = (grid: number): Step[] =>
  ["first", "second"].map((label) => ({ ...launch(0, grid), note: { tier: "generated", label, ops: [], why: [], bytes: 16 } }));

/** Loads a device's module while programs are profiled; `printed` gives what its process would print at its end, and ends profiling. */
export async function profiling<M>(load: () => Promise<M>): Promise<{ readonly module: M; printed(): string }> {
  vi.stubEnv("TREEPIE_PROFILE", "1");
  vi.resetModules();
  const before = process.listeners("exit");
  const module = await load();
  const print = process.listeners("exit").find((l) => !before.includes(l))!;
  process.off("exit", print);
  return {
    module,
    printed() {
      const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
      (print as () => void)();
      const text = String(written.mock.calls[0]![0]);
      written.mockRestore();
      vi.unstubAllEnvs();
      vi.resetModules();
      return text;
    },
  };
}
/** Runs a program on 16 bytes of state that were 0 and closes the device: the first four of them. */
export async function runOnZeros(device: Device, program: Program, times: number): Promise<DataView> {
  const state = device.alloc(16);
  device.write(state, 0, new Uint8Array(16));
  const loaded = await device.load(program);
  for (let i = 0; i < times; i++) await device.submit(loaded, { dims: [], buffers: [state] });
  const bytes = await device.read(state, 0, 4);
  await device.close();
  return new DataView(bytes.buffer, bytes.byteOffset, 4);
}
