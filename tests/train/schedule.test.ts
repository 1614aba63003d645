import { describe, expect, test } from "vitest";
import { learningRateAt, schedule, type ScheduleSettings } from "../../toolkit/train/schedule.ts";

const rateAt = (step: number, settings: ScheduleSettings) => learningRateAt(step, { steps: 110, warmupSteps: 10, learningRate: 2, schedule: schedule(settings) });

describe("the learning rate", () => {
  test.each<ScheduleSettings>([{ kind: "constant" }, { kind: "linear" }, { kind: "cosine" }, { kind: "wsd" }])("rises in a line over the warm-up: %j", (settings) => {
    expect([1, 5, 10].map((step) => rateAt(step, settings))).toEqual([0.2, 1, 2]);
  });

  test("of a constant schedule stays at the highest", () => {
    expect([11, 60, 110].map((step) => rateAt(step, { kind: "constant" }))).toEqual([2, 2, 2]);
  });

  test("of a linear schedule falls in a line to the final ratio", () => {
    expect(rateAt(35, { kind: "linear", finalLearningRateRatio: 0.2 })).toBeCloseTo(2 * (1 - 0.8 / 4), 12);
    expect(rateAt(110, { kind: "linear", finalLearningRateRatio: 0.2 })).toBeCloseTo(0.4, 12);
  });

  test.each([[60, 0.55], [35, 0.1 + 0.9 * 0.5 * (1 + Math.SQRT1_2)], [110, 0.1]])("of a cosine schedule is half a cosine: step %i", (step, ratio) => {
    expect(rateAt(step, { kind: "cosine" })).toBeCloseTo(2 * ratio, 12);
  });

  test.each([
    ["linear", 0.1 + 0.9 * 0.75], ["cosine", 0.1 + 0.9 * 0.5 * (1 + Math.SQRT1_2)], ["oneMinusSqrt", 0.1 + 0.9 * 0.5], ["exponential", 0.1 ** 0.25],
  ] as const)("of WSD is stable for its share of the steps, then decays: %s", (decayShape, quarterRatio) => {
    const settings = { kind: "wsd", stableShare: 0.6, decayShape, finalLearningRateRatio: 0.1 } as const;
    // 100 steps after warm-up: stable up to step 70, then 40 steps of decay.
    expect([11, 50, 70].map((step) => rateAt(step, settings))).toEqual([2, 2, 2]);
    expect(rateAt(71, settings)).toBeLessThan(2);
    expect(rateAt(80, settings)).toBeCloseTo(2 * quarterRatio, 12);
    expect(rateAt(110, settings)).toBeCloseTo(0.2, 12);
  });

  test("without warm-up begins at the highest", () => {
    expect(learningRateAt(1, { steps: 10, warmupSteps: 0, learningRate: 2, schedule: { kind: "constant" } })).toBe(2);
  });
});

describe("schedules that cannot be", () => {
  test.each([
    [{ kind: "cosin" }, "E_CONFIG_SCHEDULE"], [{ kind: "wsd", stableShare: 1 }, "E_CONFIG_SCHEDULE"], [{ kind: "wsd", decayShape: "sqrt" }, "E_CONFIG_SCHEDULE"],
    [{ kind: "wsd", decayShape: "exponential", finalLearningRateRatio: 0 }, "E_CONFIG_SCHEDULE"], [{ kind: "linear", finalLearningRateRatio: -1 }, "E_CONFIG_WEIGHT"],
    [{ kind: "cosine", stableShare: 0.5 }, "E_CONFIG_UNKNOWN"],
  ])("%j", (settings, code) => {
    expect(() => schedule(settings as ScheduleSettings)).toThrow(expect.objectContaining({ code }));
  });
});
