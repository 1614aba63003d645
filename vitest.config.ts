import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    // The native addon keeps a thread pool for each process: forks keep tests apart, and two of them fit two cores.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Kernels of tests keep no history in the user's home.
    env: { MOE_LAB_HISTORY: "off" },
  },
});
