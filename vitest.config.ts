import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // What a machine has besides decides nothing in tests that do not ask for it.
    env: { TREEPIE_BLAS_PATH: process.env["TREEPIE_BLAS_PATH"] ?? "none" },
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Each file is its own process: native devices and their threads must not outlive or disturb a neighbour.
    pool: "forks",
    maxWorkers: 2,
  },
});
