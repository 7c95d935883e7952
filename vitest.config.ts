import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/order.js";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // What a machine has besides decides nothing in tests that do not ask for it.
    env: { TREEPIE_BLAS_PATH: process.env["TREEPIE_BLAS_PATH"] ?? "none" },
    setupFiles: ["test/support/typed-arrays.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Each file is its own process: native devices and their threads must not outlive or disturb a neighbour.
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
