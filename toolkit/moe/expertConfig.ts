import { ConfigError } from "../errors.ts";
import { feedForwardKinds, type FeedForwardKind } from "../ops/feedForwardKinds.ts";
import { checkCount, type MoeConfig } from "./config.ts";
import { refuseUnknownSettings } from "./knownSettings.ts";

/** A feed-forward part: gated (swiglu with SiLU, geglu with the exact GELU, reglu with ReLU, glu with the sigmoid) or plain. */
export interface FeedForwardConfig {
  readonly kind: FeedForwardKind;
  /** a bias after each product; false by default */
  readonly bias?: boolean;
}

/** What an expert is. zero, copy and constant: MoE++ (Jin et al. 2024, arXiv:2410.07348 §3.1). */
export type SingleExpertConfig =
  | FeedForwardConfig
  /** gives 0: the token skips the layer */
  | { readonly kind: "zero" }
  /** gives the token as it came */
  | { readonly kind: "copy" }
  /** gives a₁·x + a₂·v, v learned, [a₁, a₂] = softmax(W·x) */
  | { readonly kind: "constant" }
  /** One feed-forward part for all experts, to which each adds a low-rank change of its own, scaled by alpha / rank. */
  | { readonly kind: "lora"; readonly rank: number; /** rank by default */ readonly alpha?: number; /** swiglu by default */ readonly base?: FeedForwardConfig }
  /** A function that was named by registerExpert. */
  | { readonly kind: "custom"; readonly name: string; /** handed to its build; plain JSON */ readonly settings?: Readonly<Record<string, unknown>> };

/** Experts of one kind among those of a layer. */
export interface ExpertGroup {
  readonly count: number;
  readonly expert: SingleExpertConfig;
  /** H of this group; the layer's expertWidth by default */
  readonly expertWidth?: number;
}

/** The experts of a layer: all of one kind, or groups, whose experts are numbered in the order of the groups. */
export type ExpertConfig = SingleExpertConfig | { readonly kind: "mixed"; readonly groups: readonly ExpertGroup[] };

/** Experts that every token passes, added to those that the router chooses. Computed as one wide expert.
 *  Source: DeepSeekMoE, arXiv:2401.06066 eq. 9; gate: Qwen2-MoE, arXiv:2407.10671 and its published code */
export interface SharedExpertsConfig {
  readonly count: number;
  /** H of one shared expert; the layer's expertWidth by default */
  readonly width?: number;
  /** multiply by sigmoid(w·x); false by default */
  readonly isGated?: boolean;
  /** the kind of the layer's experts where that is a feed-forward part, else swiglu */
  readonly expert?: FeedForwardConfig;
}

/** A dense feed-forward part beside the experts. Source: Residual-MoE of DeepSpeed, arXiv:2201.05596 §4.1 */
export interface ResidualConfig {
  /** H of the dense part; the layer's expertWidth by default */
  readonly width?: number;
  /** add c₁·experts + c₂·dense with [c₁, c₂] = softmax(W·x + b) learned, as DeepSpeed does; else their sum. True by default */
  readonly isWeighted?: boolean;
  /** the kind of the layer's experts where that is a feed-forward part, else swiglu */
  readonly expert?: FeedForwardConfig;
}

export const defaultExpert: FeedForwardConfig = { kind: "swiglu" };

export function isFeedForward(expert: ExpertConfig): expert is FeedForwardConfig {
  return (feedForwardKinds as readonly string[]).includes(expert.kind);
}

/** The kind of feed-forward part that shared experts and the dense branch have. */
export function denseKind(own: FeedForwardConfig | undefined, experts: ExpertConfig = defaultExpert): FeedForwardConfig {
  return own ?? (isFeedForward(experts) ? experts : defaultExpert);
}

/** Cuts each expert into `parts` narrow ones of which a token takes `parts` times as many: the same parameters and FLOPs,
 *  more combinations. Source: DeepSeekMoE, arXiv:2401.06066 §3.1
 *  @throws ConfigError E_CONFIG_FINE_GRAINED when parts doesn't divide expertWidth */
export function fineGrained<Config extends Pick<MoeConfig, "numExperts" | "expertsPerToken" | "expertWidth">>(config: Config, parts: number): Config {
  checkCount("parts", parts);
  if (config.expertWidth % parts !== 0) {
    throw new ConfigError({
      code: "E_CONFIG_FINE_GRAINED", what: `expertWidth ${config.expertWidth} can't be cut into ${parts} parts`,
      why: "the narrow experts have expertWidth / parts hidden channels each", fix: `choose a divisor of ${config.expertWidth}`,
    });
  }
  return {
    ...config, numExperts: config.numExperts * parts, expertsPerToken: config.expertsPerToken * parts, expertWidth: config.expertWidth / parts,
  };
}

/** Checks what a layer's config says of experts, shared experts and the dense branch.
 *  @throws ConfigError E_CONFIG_* naming the setting */
export function checkExpertConfig(config: Pick<MoeConfig, "numExperts" | "experts" | "sharedExperts" | "residual">): void {
  const { numExperts, experts = defaultExpert, sharedExperts, residual } = config;
  if (experts.kind === "mixed") checkGroups(experts.groups, numExperts);
  else checkSingle("moe.experts", experts);
  if (sharedExperts) {
    refuseUnknownSettings("moe.sharedExperts", sharedExperts, ["count", "width", "isGated", "expert"]);
    checkCount("moe.sharedExperts.count", sharedExperts.count);
    if (sharedExperts.width !== undefined) checkCount("moe.sharedExperts.width", sharedExperts.width);
    if (sharedExperts.expert) checkFeedForward("moe.sharedExperts.expert", sharedExperts.expert);
  }
  if (residual) refuseUnknownSettings("moe.residual", residual, ["width", "isWeighted", "expert"]);
  if (residual?.width !== undefined) checkCount("moe.residual.width", residual.width);
  if (residual?.expert) checkFeedForward("moe.residual.expert", residual.expert);
}

function checkGroups(groups: readonly ExpertGroup[], numExperts: number): void {
  let total = 0;
  groups.forEach((group, i) => {
    const { count, expert, expertWidth } = group;
    refuseUnknownSettings(`moe.experts.groups[${i}]`, group, ["count", "expert", "expertWidth"]);
    checkCount(`moe.experts.groups[${i}].count`, count);
    if (expertWidth !== undefined) checkCount(`moe.experts.groups[${i}].expertWidth`, expertWidth);
    checkSingle(`moe.experts.groups[${i}].expert`, expert);
    total += count;
  });
  if (total === numExperts) return;
  throw new ConfigError({
    code: "E_CONFIG_EXPERT_GROUPS", what: `the groups of moe.experts have ${total} experts together with moe.numExperts ${numExperts}`,
    why: "every expert belongs to one group", fix: `change the counts so that they add up to ${numExperts}, or set moe.numExperts to ${total}`,
  });
}

function checkSingle(name: string, expert: SingleExpertConfig): void {
  switch (expert.kind) {
    case "zero": case "copy": case "constant": return refuseUnknownSettings(name, expert, ["kind"]);
    case "lora":
      refuseUnknownSettings(name, expert, ["kind", "rank", "alpha", "base"]);
      checkCount(`${name}.rank`, expert.rank);
      if (expert.alpha !== undefined) checkAlpha(`${name}.alpha`, expert.alpha);
      if (expert.base) checkFeedForward(`${name}.base`, expert.base);
      return;
    case "custom":
      refuseUnknownSettings(name, expert, ["kind", "name", "settings"]);
      if (typeof expert.name === "string" && expert.name !== "") return;
      throw new ConfigError({ code: "E_CONFIG_EXPERT_NAME", what: `${name}.name is ${JSON.stringify(expert.name)}`, why: "a custom expert is found by its name", fix: "set the name that registerExpert was called with" });
    default: checkFeedForward(name, expert);
  }
}

function checkFeedForward(name: string, config: FeedForwardConfig): void {
  if (isFeedForward(config)) return refuseUnknownSettings(name, config, ["kind", "bias"]);
  throw new ConfigError({
    code: "E_CONFIG_EXPERT_KIND", what: `${name}.kind is ${JSON.stringify((config as { kind?: unknown }).kind)}`,
    why: `feed-forward parts are ${feedForwardKinds.join(", ")}; moe.experts may also be zero, copy, constant, lora, custom, or mixed out of these`,
    fix: `set ${name}.kind to one of them`,
  });
}

/** Refuses a scale of low-rank changes that isn't a positive number. */
export function checkAlpha(name: string, alpha: number): void {
  if (Number.isFinite(alpha) && alpha > 0) return;
  throw new ConfigError({ code: "E_CONFIG_POSITIVE", what: `${name} is ${alpha}`, why: "it has to be a positive number", fix: `leave ${name} out for its default` });
}
