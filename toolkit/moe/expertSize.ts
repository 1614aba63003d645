import { isGated } from "../ops/feedForwardKinds.ts";
import type { MoeConfig } from "./config.ts";
import { defaultExpert, denseKind, type ExpertConfig, type FeedForwardConfig, type SingleExpertConfig } from "./expertConfig.ts";
import { customExpertSize } from "./experts/custom.ts";

/** Size and cost of one expert. */
export interface ExpertSize {
  readonly parametersPerExpert: number;
  /** Weights that all experts of the kind have together (lora: the shared feed-forward part), once a layer. */
  readonly sharedParameters: number;
  /** Floating-point operations of one token in one expert; products with weights only, a multiply-add is 2. */
  readonly flopsPerToken: number;
}

/** Size and cost of the feed-forward part of a layer without its router. */
export interface ExpertLayerSize {
  readonly totalParameters: number;
  /** What one token uses: K experts, and all that every token passes. Experts of different size count as their mean. */
  readonly activeParameters: number;
  readonly forwardFlopsPerToken: number;
}

/** By formula, C = width and H = expertWidth: gated 3·C·H, plain 2·C·H, their biases; constant 3·C.
 *  @param shape.expertWidth H; without meaning for zero, copy and constant
 *  @throws ConfigError E_EXPERT_NOT_REGISTERED */
export function expertSize(expert: SingleExpertConfig, shape: { readonly width: number; readonly expertWidth: number }): ExpertSize {
  const { width: C, expertWidth: H } = shape;
  switch (expert.kind) {
    case "zero": case "copy": return { parametersPerExpert: 0, sharedParameters: 0, flopsPerToken: 0 };
    case "constant": return { parametersPerExpert: 3 * C, sharedParameters: 0, flopsPerToken: 4 * C };
    case "custom": return { sharedParameters: 0, ...customExpertSize(expert, shape) };
    case "lora": {
      const base = feedForwardSize(expert.base ?? defaultExpert, C, H);
      const lowRank = expert.rank * (C + columns(expert.base ?? defaultExpert, H)) + expert.rank * (H + C);
      return { parametersPerExpert: lowRank, sharedParameters: base.parameters, flopsPerToken: base.flopsPerToken + 2 * lowRank };
    }
    default: {
      const { parameters, flopsPerToken } = feedForwardSize(expert, C, H);
      return { parametersPerExpert: parameters, sharedParameters: 0, flopsPerToken };
    }
  }
}

/** Experts, shared experts and dense branch of a layer. The router is counted apart.
 *  @param width C */
export function expertLayerSize(width: number, config: Pick<MoeConfig, "numExperts" | "expertsPerToken" | "expertWidth" | "experts" | "sharedExperts" | "residual">): ExpertLayerSize {
  const { numExperts: E, expertsPerToken: K, expertWidth, experts = defaultExpert, sharedExperts, residual } = config;
  let [total, active, flops] = [0, 0, 0];
  for (const group of groupsOf(experts, E)) {
    const size = expertSize(group.expert, { width, expertWidth: group.expertWidth ?? expertWidth });
    const share = (K * group.count) / E;
    total += group.count * size.parametersPerExpert + size.sharedParameters;
    active += share * size.parametersPerExpert + size.sharedParameters;
    flops += share * size.flopsPerToken;
  }
  const addDense = (config: FeedForwardConfig, hidden: number, gate: { readonly parameters: number; readonly flops: number }): void => {
    const { parameters, flopsPerToken } = feedForwardSize(config, width, hidden);
    total += parameters + gate.parameters;
    active += parameters + gate.parameters;
    flops += flopsPerToken + gate.flops;
  };
  if (sharedExperts) {
    const gate = sharedExperts.isGated ? { parameters: width, flops: 2 * width } : { parameters: 0, flops: 0 };
    addDense(denseKind(sharedExperts.expert, experts), sharedExperts.count * (sharedExperts.width ?? expertWidth), gate);
  }
  if (residual) {
    const gate = residual.isWeighted ?? true ? { parameters: 2 * width + 2, flops: 4 * width } : { parameters: 0, flops: 0 };
    addDense(denseKind(residual.expert, experts), residual.width ?? expertWidth, gate);
  }
  return { totalParameters: total, activeParameters: active, forwardFlopsPerToken: flops };
}

/** Weights of one feed-forward part of hidden width H, and its FLOPs for one token. */
export function feedForwardSize(config: FeedForwardConfig, C: number, H: number): { readonly parameters: number; readonly flopsPerToken: number } {
  const matrices = C * columns(config, H) + H * C;
  return { parameters: matrices + (config.bias ? columns(config, H) + C : 0), flopsPerToken: 2 * matrices };
}

/** Columns of the first matrix: the gated kinds hold gate and up projection side by side. */
function columns({ kind }: FeedForwardConfig, H: number): number {
  return isGated(kind) ? 2 * H : H;
}

/** All experts as groups; one where they are of one kind. */
function groupsOf(experts: ExpertConfig, numExperts: number): readonly { readonly count: number; readonly expert: SingleExpertConfig; readonly expertWidth?: number }[] {
  return experts.kind === "mixed" ? experts.groups : [{ count: numExperts, expert: experts }];
}
