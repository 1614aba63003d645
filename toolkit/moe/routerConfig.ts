import { ConfigError } from "../errors.ts";
import { checkCount, checkWeight, type MoeConfig } from "./config.ts";
import { refuseUnknownSettings } from "./knownSettings.ts";

/** First the best groups of experts, then the best experts inside them. Group g has the experts g·E/numGroups and the
 *  E/numGroups − 1 after it. Source: DeepSeek-V2, arXiv:2405.04434 §2.1.2; DeepSeek-V3, arXiv:2412.19437 §2.1.2 */
export interface GroupLimit {
  /** divides E */
  readonly numGroups: number;
  /** groups that the experts of a token come from, 1 ≤ groupsPerToken ≤ numGroups */
  readonly groupsPerToken: number;
}

/** The K most probable experts. */
export interface TopKConfig {
  readonly kind: "topK";
  /** Make the K weights of a token sum to 1 (Mixtral, Qwen3-MoE: true; OLMoE: false); true by default where K > 1. */
  readonly renormalize: boolean;
  /** a group's score is its largest probability (DeepSeek-V2) */
  readonly groupLimit?: GroupLimit;
}

/** The one most probable expert, weighted by its probability. */
export interface SwitchConfig {
  readonly kind: "switch";
  /** ε: in training the router's input is multiplied by U(1 − ε, 1 + ε); 0.01 by default */
  readonly jitter: number;
}

/** Top-k of logits with learned noise in training; the weights are a softmax over the K. */
export interface NoisyTopKConfig {
  readonly kind: "noisyTopK";
  /** weight of CV² of the summed combine weights; 0.1 by default */
  readonly importanceLossWeight: number;
  /** weight of CV² of the smooth load; 0.1 by default */
  readonly loadLossWeight: number;
}

/** Sigmoid scores, chosen by score + bias. */
export interface SigmoidConfig {
  readonly kind: "sigmoid";
  /** u: after each optimizer step the bias of an expert changes by u·sign(mean count − its count); 0.001 by default. 0 leaves
   *  the bias out: balance then comes from balanceLossWeight. */
  readonly biasUpdateRate: number;
  /** Divide the K scores of a token by their sum; true by default where K > 1. */
  readonly renormalize: boolean;
  /** the weights are multiplied by it; 1 by default (DeepSeek-V3: 2.5) */
  readonly routedScalingFactor: number;
  /** a group's score is the sum of its two best scores with bias (DeepSeek-V3) */
  readonly groupLimit?: GroupLimit;
}

/** Each expert takes its best tokens of the batch. */
export interface ExpertChoiceConfig {
  readonly kind: "expertChoice";
  /** an expert takes ceil(N·capacityFactor/E) tokens; K by default, so a token has K experts on average */
  readonly capacityFactor: number;
  /** What a causal model does outside of training, where later tokens are not known: each token's K best experts, or every
   *  expert whose score reaches the lowest score that it took in training, averaged over steps. "topK" by default. */
  readonly inference: "topK" | "threshold";
}

/** Choice from balanced scores in training, plain top-k outside of it. */
export interface SinkhornConfig {
  readonly kind: "sinkhorn";
  /** what the weights are of the unbalanced logits; "sigmoid" by default where K = 1, else "softmax" */
  readonly scores: "softmax" | "sigmoid";
  /** largest relative error of an expert's share at which the normalisation ends; 1e-4 by default */
  readonly tolerance: number;
}

/** Experts by a fixed hash of the token id. */
export interface HashConfig {
  readonly kind: "hash";
  /** other seeds give other experts; 0 by default */
  readonly seed: number;
}

/** Every expert whose logit is above 0, weighted by it; K is the number aimed at. */
export interface ReMoeConfig {
  readonly kind: "reMoE";
  /** λ of the L1 loss at first; 1e-8 by default */
  readonly initialCoefficient: number;
  /** after each step λ is multiplied by it where too many experts are active, else divided; 1.2 by default */
  readonly coefficientFactor: number;
}

/** Experts work on mixtures of tokens; not for causal models. */
export interface SoftMoeConfig {
  readonly kind: "softMoe";
  /** mixtures that each expert gets of a row; 1 by default */
  readonly slotsPerExpert: number;
}

/** A function that was named by registerRouter. */
export interface CustomRouterConfig {
  readonly kind: "custom";
  readonly name: string;
  /** handed to its build; plain JSON, for it is kept in checkpoints */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** How tokens choose experts. One member a router; see routers/. */
export type RouterConfig =
  | TopKConfig | SwitchConfig | NoisyTopKConfig | SigmoidConfig | ExpertChoiceConfig | SinkhornConfig | HashConfig | ReMoeConfig
  | SoftMoeConfig | CustomRouterConfig;

type Settings<Config extends { kind: string }> = Config extends CustomRouterConfig ? Config : Pick<Config, "kind"> & Partial<Config>;

/** What a user has to say of a router: its kind; the rest has defaults. */
export type RouterSettings = Settings<RouterConfig>;

type Sizes = Pick<MoeConfig, "numExperts" | "expertsPerToken">;

/** Fills in the defaults.
 *  @throws ConfigError E_CONFIG_KIND, E_CONFIG_UNKNOWN */
export function routerConfig(router: RouterSettings, sizes: Sizes): RouterConfig {
  const defaults = routerDefaults(router, sizes);
  refuseUnknownSettings("moe.router", router, [...Object.keys(defaults), ...(optionalSettings[router.kind] ?? [])]);
  return { ...defaults, ...router } as RouterConfig;
}

/** Settings without a default. */
const optionalSettings: Partial<Record<RouterConfig["kind"], readonly string[]>> = { topK: ["groupLimit"], sigmoid: ["groupLimit"], custom: ["name", "settings"] };

function routerDefaults({ kind }: RouterSettings, { expertsPerToken: K }: Sizes): RouterSettings | { kind: "custom" } {
  switch (kind) {
    case "topK": return { kind, renormalize: K > 1 };
    case "switch": return { kind, jitter: 0.01 }; // Switch, arXiv:2101.03961
    case "noisyTopK": return { kind, importanceLossWeight: 0.1, loadLossWeight: 0.1 }; // Shazeer 2017, arXiv:1701.06538
    case "sigmoid": return { kind, biasUpdateRate: 1e-3, renormalize: K > 1, routedScalingFactor: 1 }; // rate: arXiv:2408.15664
    case "expertChoice": return { kind, capacityFactor: K, inference: "topK" };
    case "sinkhorn": return { kind, scores: K === 1 ? "sigmoid" : "softmax", tolerance: 1e-4 };
    case "hash": return { kind, seed: 0 };
    case "reMoE": return { kind, initialCoefficient: 1e-8, coefficientFactor: 1.2 }; // arXiv:2412.14711 §3
    case "softMoe": return { kind, slotsPerExpert: 1 };
    case "custom": return { kind };
    default: return refuseKind({ kind } as never);
  }
}

/** Balance and z-loss weights that suit a router: routers that balance by themselves, or have no probabilities to change, get 0. */
export function defaultLossWeights(router: RouterConfig): { readonly balanceLossWeight: number; readonly zLossWeight: number } {
  const balanceLossWeight = 0.01; // Switch, arXiv:2101.03961 §2.2
  const zLossWeight = 0.001; // ST-MoE, arXiv:2202.08906
  switch (router.kind) {
    case "topK": case "switch": return { balanceLossWeight, zLossWeight };
    case "sigmoid": return { balanceLossWeight: router.biasUpdateRate > 0 ? 0 : balanceLossWeight, zLossWeight: 0 };
    case "noisyTopK": case "expertChoice": case "sinkhorn": return { balanceLossWeight: 0, zLossWeight };
    default: return { balanceLossWeight: 0, zLossWeight: 0 };
  }
}

/** @throws ConfigError E_CONFIG_* naming the setting */
export function checkRouterConfig(config: MoeConfig): void {
  const { router, expertsPerToken: K, numExperts: E } = config;
  switch (router.kind) {
    case "topK":
      checkRenormalize(router.renormalize, config);
      checkGroupLimit(router.groupLimit, config);
      break;
    case "switch":
      if (K !== 1) refuse("E_CONFIG_SWITCH", `moe.router is "switch" with moe.expertsPerToken ${K}`, "it sends each token to one expert", "set moe.expertsPerToken to 1, or moe.router.kind to \"topK\"");
      checkShare("moe.router.jitter", router.jitter);
      break;
    case "noisyTopK":
      if (K === 1) checkRenormalize(true, config);
      checkWeight("moe.router.importanceLossWeight", router.importanceLossWeight);
      checkWeight("moe.router.loadLossWeight", router.loadLossWeight);
      break;
    case "sigmoid":
      checkRenormalize(router.renormalize, config);
      checkWeight("moe.router.biasUpdateRate", router.biasUpdateRate);
      checkPositive("moe.router.routedScalingFactor", router.routedScalingFactor);
      checkGroupLimit(router.groupLimit, config);
      break;
    case "expertChoice":
      checkPositive("moe.router.capacityFactor", router.capacityFactor);
      if (router.capacityFactor > E) refuse("E_CONFIG_CAPACITY_FACTOR", `moe.router.capacityFactor is ${router.capacityFactor} with ${E} experts`, "an expert can't take a token twice", `set it to ${E} or less`);
      checkChoice("moe.router.inference", router.inference, ["topK", "threshold"]);
      break;
    case "sinkhorn":
      checkChoice("moe.router.scores", router.scores, ["softmax", "sigmoid"]);
      checkPositive("moe.router.tolerance", router.tolerance);
      break;
    case "hash": checkCount("moe.router.seed", router.seed, 0); break;
    case "reMoE":
      checkPositive("moe.router.initialCoefficient", router.initialCoefficient);
      if (!(router.coefficientFactor > 1)) refuse("E_CONFIG_COEFFICIENT_FACTOR", `moe.router.coefficientFactor is ${router.coefficientFactor}`, "λ has to grow where too many experts are active", "set it to a little more than 1, e.g. 1.2");
      break;
    case "softMoe": checkCount("moe.router.slotsPerExpert", router.slotsPerExpert); break;
    case "custom":
      if (typeof router.name !== "string" || router.name === "") refuse("E_CONFIG_ROUTER_NAME", `moe.router.name is ${JSON.stringify(router.name)}`, "a custom router is found by its name", "set the name that registerRouter was called with");
      break;
    default: refuseKind(router);
  }
  checkReach(config);
}

/** Losses and dropout that a router has no gradient or no choice for. */
function checkReach({ router, balanceLossWeight, sequenceBalanceLossWeight, zLossWeight, expertDropout, capacity }: MoeConfig): void {
  const isWithoutChoice = router.kind === "hash" || router.kind === "softMoe";
  const weight = Object.entries({ balanceLossWeight, sequenceBalanceLossWeight, zLossWeight }).find(([, value]) => value > 0)?.[0];
  if (isWithoutChoice && weight !== undefined) {
    refuse("E_CONFIG_ROUTER_LOSS", `moe.${weight} is more than 0 with the router "${router.kind}"`, "it has no scores that the loss could change", `set moe.${weight} to 0`);
  }
  if (router.kind === "expertChoice" && balanceLossWeight > 0) {
    refuse("E_CONFIG_ROUTER_LOSS", 'moe.balanceLossWeight is more than 0 with the router "expertChoice"', "its loads are equal, so the loss is always 1 and has no gradient", "set moe.balanceLossWeight to 0");
  }
  if (expertDropout > 0 && (isWithoutChoice || router.kind === "custom")) {
    refuse("E_CONFIG_EXPERT_DROPOUT", `moe.expertDropout is ${expertDropout} with the router "${router.kind}"`, "experts can't be taken from its choice", "set moe.expertDropout to 0");
  }
  if (router.kind === "softMoe" && capacity.kind === "factor") {
    refuse("E_CONFIG_SOFT_MOE_CAPACITY", 'moe.capacity is set with the router "softMoe"', "every expert has slotsPerExpert mixtures of a row, so none overflows", 'set moe.capacity to { kind: "dropless" }');
  }
}

function checkRenormalize(renormalize: boolean, { expertsPerToken: K, numExperts: E }: Sizes): void {
  if (!renormalize || K > 1 || E === 1) return;
  refuse("E_CONFIG_TOP1_RENORMALIZE", "the weights of moe.router are renormalized with moe.expertsPerToken 1",
    "the one weight is then always the same and the router gets no gradient from the loss", "set moe.router.renormalize to false where the router has it, or moe.expertsPerToken to 2");
}

function checkGroupLimit(limit: GroupLimit | undefined, { expertsPerToken: K, numExperts: E }: Sizes): void {
  if (!limit) return;
  refuseUnknownSettings("moe.router.groupLimit", limit, ["numGroups", "groupsPerToken"]);
  const { numGroups, groupsPerToken } = limit;
  checkCount("moe.router.groupLimit.numGroups", numGroups);
  checkCount("moe.router.groupLimit.groupsPerToken", groupsPerToken);
  const fix = "change numGroups or groupsPerToken of moe.router.groupLimit";
  if (E % numGroups !== 0) refuse("E_CONFIG_GROUPS", `numGroups ${numGroups} doesn't divide moe.numExperts ${E}`, "groups are of equal size", fix);
  if (groupsPerToken > numGroups) refuse("E_CONFIG_GROUPS", `groupsPerToken is ${groupsPerToken} of ${numGroups} groups`, "there are no more groups", fix);
  const reachable = groupsPerToken * (E / numGroups);
  if (reachable < K) refuse("E_CONFIG_GROUPS", `${groupsPerToken} groups have ${reachable} experts with moe.expertsPerToken ${K}`, "the experts of a token come from these groups", fix);
}

/** Refuses a value outside 0 ≤ value < 1. */
export function checkShare(name: string, value: number): void {
  if (!(value >= 0 && value < 1)) refuse("E_CONFIG_SHARE", `${name} is ${value}`, "it has to be at least 0 and less than 1", `set ${name} to 0 to turn it off, or to a small positive number`);
}

/** Refuses what isn't a finite number above 0. */
export function checkPositive(name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0)) refuse("E_CONFIG_POSITIVE", `${name} is ${value}`, "it has to be a positive number", `leave ${name} out for its default`);
}

/** Refuses a word that is none of the choices. */
export function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value)) refuse("E_CONFIG_KIND", `${name} is ${JSON.stringify(value)}`, `it is one of ${choices.join(", ")}`, `set ${name} to one of them`);
}

function refuseKind(router: never): never {
  return refuse("E_CONFIG_KIND", `moe.router.kind is ${JSON.stringify((router as { kind?: unknown }).kind)}`,
    "there is no such router", 'set it to topK, switch, noisyTopK, sigmoid, expertChoice, sinkhorn, hash, reMoE, softMoe or custom');
}

function refuse(code: string, what: string, why: string, fix: string): never {
  throw new ConfigError({ code, what, why, fix });
}
