import { ConfigError } from "../errors.ts";

/** How tokens choose experts. One member a router; see routers/. */
export type RouterConfig =
  | { readonly kind: "topK"; /** Make the K weights of a token sum to 1 (Mixtral, Qwen3-MoE: true; OLMoE: false). */ readonly renormalize: boolean };

/** Dropless: every token reaches all its experts, however uneven the load. */
export type CapacityConfig = { readonly kind: "dropless" };

export interface MoeConfig {
  /** E */
  readonly numExperts: number;
  /** K, 1 ≤ K ≤ E */
  readonly expertsPerToken: number;
  /** H, hidden width of one expert */
  readonly expertWidth: number;
  readonly router: RouterConfig;
  readonly capacity: CapacityConfig;
  /** α of the load-balancing loss (Switch eq. 4); 0.01 by default, 0 turns it off */
  readonly balanceLossWeight: number;
  /** coefficient of the router z-loss (ST-MoE eq. 5); 0.001 by default, 0 turns it off */
  readonly zLossWeight: number;
}

/** Refuses a value that isn't an integer of at least `least`. */
export function checkCount(name: string, value: number, least = 1): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new ConfigError({
      code: "E_CONFIG_COUNT", what: `${name} is ${value}`, why: `it has to be an integer of at least ${least}`,
      fix: `set ${name} to ${least} or more`,
    });
  }
}

/** Refuses a value that isn't a finite number of at least 0. */
export function checkWeight(name: string, value: number): void {
  if (!Number.isFinite(value) || value < 0) {
    throw new ConfigError({
      code: "E_CONFIG_WEIGHT", what: `${name} is ${value}`, why: "it has to be a finite number of at least 0",
      fix: `set ${name} to 0 to turn it off, or to a small positive number`,
    });
  }
}

/** @throws ConfigError E_CONFIG_* naming the setting */
export function checkMoeConfig(config: MoeConfig): MoeConfig {
  checkCount("moe.numExperts", config.numExperts);
  checkCount("moe.expertsPerToken", config.expertsPerToken);
  checkCount("moe.expertWidth", config.expertWidth);
  checkWeight("moe.balanceLossWeight", config.balanceLossWeight);
  checkWeight("moe.zLossWeight", config.zLossWeight);
  if (config.expertsPerToken > config.numExperts) {
    throw new ConfigError({
      code: "E_CONFIG_EXPERTS_PER_TOKEN",
      what: `moe.expertsPerToken is ${config.expertsPerToken} with moe.numExperts ${config.numExperts}`,
      why: "a token can't be sent to more experts than there are",
      fix: `set moe.expertsPerToken to ${config.numExperts} or less`,
    });
  }
  if (config.router.kind === "topK" && config.router.renormalize && config.expertsPerToken === 1 && config.numExperts > 1) {
    throw new ConfigError({
      code: "E_CONFIG_TOP1_RENORMALIZE", what: "moe.router.renormalize is true with moe.expertsPerToken 1",
      why: "the one weight is then always 1 and the router gets no gradient from the loss",
      fix: "set moe.router.renormalize to false, or moe.expertsPerToken to 2",
    });
  }
  return config;
}
