import { beforeAll, describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import { buildFuzz, runFuzz } from "./fuzz/run.ts";
import { signatures } from "./fuzz/signatures.ts";

/** FUZZ_SECONDS: how long each part runs; FUZZ_SEED: its first case; BIG_TENSORS=1: also tensors of more than 2³¹ bytes. */
const { FUZZ_SECONDS, FUZZ_SEED, BIG_TENSORS } = process.env;
const seconds = Number(FUZZ_SECONDS ?? 5);
const seed = Number(FUZZ_SEED ?? 1);
const limitMs = (seconds + 180) * 1000;

beforeAll(buildFuzz);

describe("random calls", () => {
  test("every function of the addon is fuzzed", () => {
    expect(Object.keys(nativeBinding()).sort()).toEqual(Object.keys(signatures).sort());
  });

  test("with arguments of any kind a function returns or throws a typed error, and writes nothing but its outputs", async () => {
    const { cases, wrong } = await runFuzz("native", seed, seconds);
    expect(wrong).toEqual([]);
    expect(cases).toBeGreaterThan(Object.keys(signatures).length); // each function had its turn
  }, limitMs);

  test("ops of tfjs give what the cpu backend gives, or an error, for any shape, dtype and value", async () => {
    const { wrong } = await runFuzz("ops", seed, seconds);
    expect(wrong).toEqual([]);
  }, limitMs);

  test("fused ops give what their composed form gives, and refuse plans, ids and tensors that can't be", async () => {
    const { wrong } = await runFuzz("fused", seed, seconds);
    expect(wrong).toEqual([]);
  }, limitMs);

  test("a crash is reported with the case that repeats it", async () => {
    await expect(runFuzz("crash", 40, 5)).rejects.toThrow(/SIGKILL in case 43 crash[^]*--part crash --seed 43 --cases 1/);
  });
});

describe.runIf(BIG_TENSORS === "1")("tensors of more than 2³¹ bytes or elements", () => {
  test("are computed like small ones", async () => {
    expect((await runFuzz("big", 0, 600)).wrong).toEqual([]);
  }, 900_000);
});
