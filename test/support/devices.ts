/** Registers the backends that tests of the tensor layer run on. */
import { hostFunctions } from "../../src/backends/interp/host.js";
import { compile } from "../../src/compile/index.js";
import { backends, preference } from "../../src/devices.js";
import { registerBackend, setDefaultBackend, setHostFunctions, setPreference } from "../../src/tensor/index.js";

/** Makes every backend known. The default is the one that is named; "" is the best that works here. */
export function useDevice(name: string = process.env["TREEPIE_TEST_DEVICE"] ?? "js"): void {
  setHostFunctions(hostFunctions);
  for (const [key, load] of Object.entries(backends)) registerBackend(key, load, compile);
  setPreference(preference);
  if (name) setDefaultBackend(name);
}
