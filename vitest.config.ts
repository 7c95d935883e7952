import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/order.js";

/** Short tests on devices that no file of them sets up otherwise than the next. */
const tensors = ["autocast", "autograd", "compile/form", "compile/held", "compile/repeat", "derived", "pending", "tensor"];
const runtime = ["index", "inline", "safetensors", "session", "sha256"];
/**
 * Tests that share processes: folders of code without devices, of which each test starts anew, and files that are short beside loading
 * what they test. The setup file `shared.ts` holds them to it.
 */
const shared = [
  ...["core", "ir", "ops", "autodiff", "kernel", "compile", "nn", "optim", "data"].map((layer) => `src/${layer}/**/*.test.ts`),
  ...tensors.map((name) => `src/tensor/${name}.test.ts`),
  ...runtime.map((name) => `src/runtime/${name}.test.ts`),
  "test/golden/{nn,ops}.test.ts",
];
const every = "test/support/typed-arrays.ts";

export default defineConfig({
  test: {
    // What a machine has besides decides nothing in tests that do not ask for it.
    env: { TREEPIE_BLAS_PATH: process.env["TREEPIE_BLAS_PATH"] ?? "none" },
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      // Each file is its own process: native devices and their threads must not outlive or disturb a neighbour.
      {
        extends: true,
        test: { name: "apart", include: ["src/**/*.test.ts", "test/**/*.test.ts"], exclude: shared, setupFiles: [every] },
      },
      // A process of its own would cost each file a second of loading.
      {
        extends: true,
        test: {
          name: "shared",
          include: shared,
          isolate: false,
          unstubEnvs: true,
          unstubGlobals: true,
          setupFiles: [every, "test/support/shared.ts"],
        },
      },
    ],
  },
});
