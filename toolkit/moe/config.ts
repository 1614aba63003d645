import { ConfigError } from "../errors.ts";
import { checkExpertConfig, type ExpertConfig, type ResidualConfig, type SharedExpertsConfig } from "./expertConfig.ts";
import { refuseUnknownSettings } from "./knownSettings.ts";
import {
  checkChoice, checkPositive, checkRouterConfig, checkShare, defaultLossWeights, routerConfig, type RouterConfig, type RouterSettings,
} from "./routerConfig.ts";

/** How many tokens an expert takes. Dropless: every token reaches all its experts, however uneven the load. Factor: an expert
 *  takes at most ceil(N·K·factor/E) choices of the N tokens without padding; the others are dropped, and a token without any
 *  expert left passes through the residual stream only. Source: Switch, arXiv:2101.03961 §2.2; order: Megatron-Core's
 *  drop policies `position` and `probs`. */
export type CapacityConfig =
  | { readonly kind: "dropless" }
  | {
      readonly kind: "factor";
      /** 1.25 by default */
      readonly factor: number;
      /** Whom a full expert drops: "position", the later tokens, so that no token changes the fate of an earlier one; or
       *  "weight", those of the smallest combine weights of the batch. "position" by default. */
      readonly dropOrder: "position" | "weight";
      /** Drop outside of training too, as Switch does. true by default; a sequence that is decoded in pieces then loses
       *  other choices than one that is read at once, because N is the number of tokens of a pass. */
      readonly applyInEvaluation: boolean;
    };

export interface MoeConfig {
  /** E */
  readonly numExperts: number;
  /** K, 1 ≤ K ≤ E */
  readonly expertsPerToken: number;
  /** H, hidden width of one expert */
  readonly expertWidth: number;
  /** what the experts are; { kind: "swiglu" } by default */
  readonly experts?: ExpertConfig;
  /** experts that every token passes; none by default */
  readonly sharedExperts?: SharedExpertsConfig;
  /** a dense feed-forward part beside the experts; none by default */
  readonly residual?: ResidualConfig;
  readonly router: RouterConfig;
  readonly capacity: CapacityConfig;
  /** α of the load-balancing loss (Switch eq. 4); 0 turns it off; by default 0.01, but 0 for routers that balance otherwise */
  readonly balanceLossWeight: number;
  /** The loads that the balance loss reads: of all micro-batches of a step so far, or of each micro-batch alone. "global" by
   *  default (arXiv:2501.11873). */
  readonly balanceScope: "global" | "local";
  /** α of the balance loss within each row (DeepSeek-V3: 1e-4); 0, which is off, by default */
  readonly sequenceBalanceLossWeight: number;
  /** coefficient of the router z-loss (ST-MoE eq. 5); 0 turns it off; by default 0.001 for routers with a softmax, else 0 */
  readonly zLossWeight: number;
  /** Probability with which a whole expert is left out of the choice in a training pass; K experts always stay. 0 by default */
  readonly expertDropout: number;
}

/** The names of all settings: one that is missing here doesn't compile. */
const knownSettings = {
  numExperts: true, expertsPerToken: true, expertWidth: true, experts: true, sharedExperts: true, residual: true, router: true, capacity: true,
  balanceLossWeight: true, balanceScope: true, sequenceBalanceLossWeight: true, zLossWeight: true, expertDropout: true,
} as const satisfies Record<keyof MoeConfig, true>;

type CapacitySettings = Extract<CapacityConfig, { kind: "dropless" }> | Pick<Extract<CapacityConfig, { kind: "factor" }>, "kind"> & Partial<Extract<CapacityConfig, { kind: "factor" }>>;

/** What a user has to say of the experts; the rest has defaults. */
export type MoeSettings = Pick<MoeConfig, "numExperts" | "expertsPerToken" | "expertWidth">
  & Partial<Omit<MoeConfig, "router" | "capacity">> & { readonly router?: RouterSettings; readonly capacity?: CapacitySettings };

/** Fills in the defaults, also for files of older versions, and checks every setting.
 *  @throws ConfigError E_CONFIG_* naming the setting */
export function moeConfig(settings: MoeSettings): MoeConfig {
  refuseUnknownSettings("moe", settings, Object.keys(knownSettings));
  const router = routerConfig(settings.router ?? { kind: "topK" }, settings);
  return checkMoeConfig({
    ...defaultLossWeights(router), balanceScope: "global", sequenceBalanceLossWeight: 0, expertDropout: 0,
    ...settings, router, capacity: capacityConfig(settings.capacity, router),
  });
}

function capacityConfig(capacity: CapacitySettings | undefined, router: RouterConfig): CapacityConfig {
  const byDefault = { factor: 1.25, dropOrder: "position", applyInEvaluation: true } as const; // factor: Switch, table 1
  if (!capacity) return router.kind === "switch" ? { kind: "factor", ...byDefault } : { kind: "dropless" };
  if (capacity.kind !== "factor") return capacity;
  refuseUnknownSettings("moe.capacity", capacity, ["kind", ...Object.keys(byDefault)]);
  return { ...byDefault, ...capacity };
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
  checkWeight("moe.sequenceBalanceLossWeight", config.sequenceBalanceLossWeight);
  checkChoice("moe.balanceScope", config.balanceScope, ["global", "local"]);
  checkShare("moe.expertDropout", config.expertDropout);
  checkChoice("moe.capacity.kind", config.capacity.kind, ["dropless", "factor"]);
  if (config.capacity.kind === "factor") {
    checkPositive("moe.capacity.factor", config.capacity.factor);
    checkChoice("moe.capacity.dropOrder", config.capacity.dropOrder, ["position", "weight"]);
  }
  checkRouterConfig(config);
  checkExpertConfig(config);
  return config;
}
