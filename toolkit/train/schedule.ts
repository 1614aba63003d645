import { ConfigError } from "../errors.ts";
import { checkWeight } from "../moe/config.ts";
import { refuseUnknownSettings } from "../moe/knownSettings.ts";

/** How WSD goes down at its end; u runs from 0 to 1 and r is finalLearningRateRatio.
 *  linear: 1 − u; cosine: (1 + cos πu)/2; oneMinusSqrt: 1 − √u (Hägele et al. 2024, arXiv:2405.18392), each from 1 to r;
 *  exponential: rᵘ (MiniCPM, arXiv:2404.06395). */
export const decayShapes = ["linear", "cosine", "oneMinusSqrt", "exponential"] as const;
export type DecayShape = (typeof decayShapes)[number];

/** What the learning rate does after warm-up. */
export type ScheduleConfig =
  | { readonly kind: "constant" }
  /** ends at learningRate · finalLearningRateRatio with the last step */
  | { readonly kind: "cosine" | "linear"; readonly finalLearningRateRatio: number }
  /** Warm-up, stable, decay: the highest rate for a share of the steps after warm-up, then down. */
  | {
      readonly kind: "wsd";
      /** 0 ≤ share < 1 */
      readonly stableShare: number;
      readonly decayShape: DecayShape;
      readonly finalLearningRateRatio: number;
    };

/** What has to be said of a schedule; the rest has defaults. */
export type ScheduleSettings =
  | { readonly kind: "constant" }
  | { readonly kind: "cosine" | "linear"; readonly finalLearningRateRatio?: number }
  | { readonly kind: "wsd"; readonly stableShare?: number; readonly decayShape?: DecayShape; readonly finalLearningRateRatio?: number };

const wsdDefaults = { stableShare: 0.9, decayShape: "oneMinusSqrt", finalLearningRateRatio: 0.1 } as const;

/** @throws ConfigError E_CONFIG_SCHEDULE, E_CONFIG_WEIGHT, E_CONFIG_UNKNOWN */
export function schedule(settings: ScheduleSettings): ScheduleConfig {
  switch (settings.kind) {
    case "constant":
      refuseUnknownSettings("schedule", settings, ["kind"]);
      return settings;
    case "cosine":
    case "linear": {
      refuseUnknownSettings("schedule", settings, ["kind", "finalLearningRateRatio"]);
      const whole = { finalLearningRateRatio: 0.1, ...settings };
      checkWeight("schedule.finalLearningRateRatio", whole.finalLearningRateRatio);
      return whole;
    }
    case "wsd": return checkWsd({ ...wsdDefaults, ...settings });
    default: {
      const { kind } = settings as { kind: unknown };
      throw new ConfigError({ code: "E_CONFIG_SCHEDULE", what: `schedule.kind is ${JSON.stringify(kind)}`, why: "there is no such schedule", fix: 'use "cosine", "linear", "wsd" or "constant"' });
    }
  }
}

function checkWsd(config: Extract<ScheduleConfig, { kind: "wsd" }>): ScheduleConfig {
  refuseUnknownSettings("schedule", config, ["kind", ...Object.keys(wsdDefaults)]);
  checkWeight("schedule.finalLearningRateRatio", config.finalLearningRateRatio);
  if (!(config.stableShare >= 0 && config.stableShare < 1)) {
    throw new ConfigError({ code: "E_CONFIG_SCHEDULE", what: `schedule.stableShare is ${config.stableShare}`, why: "it is the share of the steps after warm-up before the decay begins, at least 0 and less than 1", fix: `leave it out for ${wsdDefaults.stableShare}` });
  }
  if (!decayShapes.includes(config.decayShape)) {
    throw new ConfigError({ code: "E_CONFIG_SCHEDULE", what: `schedule.decayShape is ${JSON.stringify(config.decayShape)}`, why: "there is no such shape", fix: `use ${decayShapes.map((name) => `"${name}"`).join(", ")}` });
  }
  if (config.decayShape === "exponential" && config.finalLearningRateRatio === 0) {
    throw new ConfigError({ code: "E_CONFIG_SCHEDULE", what: "schedule.finalLearningRateRatio is 0 with decayShape exponential", why: "a power of 0 is 0 at once, not a decay", fix: "choose a small positive ratio, or another decayShape" });
  }
  return config;
}

/** Learning rate of a step: linear warm-up from 0, then what the schedule says.
 *  @param step 1-based
 *  Source: cosine: Loshchilov & Hutter 2016, eq. 5, arXiv:1608.03983, without restarts; WSD: Hu et al. 2024, arXiv:2404.06395 */
export function learningRateAt(step: number, recipe: { readonly steps: number; readonly warmupSteps: number; readonly learningRate: number; readonly schedule: ScheduleConfig }): number {
  const { steps, warmupSteps, learningRate, schedule: config } = recipe;
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  if (config.kind === "constant") return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  const stableShare = config.kind === "wsd" ? config.stableShare : 0;
  if (progress <= stableShare) return learningRate;
  const shape = config.kind === "wsd" ? config.decayShape : config.kind;
  return learningRate * decayed(shape, (progress - stableShare) / (1 - stableShare), config.finalLearningRateRatio);
}

/** From 1 at u = 0 to the ratio at u = 1. */
function decayed(shape: DecayShape, u: number, ratio: number): number {
  switch (shape) {
    case "linear": return ratio + (1 - ratio) * (1 - u);
    case "cosine": return ratio + (1 - ratio) * 0.5 * (1 + Math.cos(Math.PI * u));
    case "oneMinusSqrt": return ratio + (1 - ratio) * (1 - Math.sqrt(u));
    case "exponential": return ratio ** u;
  }
}
