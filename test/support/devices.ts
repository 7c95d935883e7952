/** Registers the backends that tests of the tensor layer run on. */
import { hostFunctions } from "../../src/backends/interp/host.js";
import { compile } from "../../src/compile/index.js";
import { registerBackend, setDefaultBackend, setHostFunctions } from "../../src/tensor/index.js";

/** Makes the interpreter and the C backend known, and one of them the default. */
export function useDevice(name: string = process.env["TREEPIE_TEST_DEVICE"] ?? "interp"): void {
  setHostFunctions(hostFunctions);
  registerBackend("interp", async () => (await import("../../src/backends/interp/index.js")).interp, compile);
  registerBackend("c", async () => (await import("../../src/backends/c/index.js")).c, compile);
  setDefaultBackend(name);
}
