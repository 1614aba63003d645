import { ConfigError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import type { MoeConfig } from "../moe/config.ts";
import { defaultExpert, isFeedForward, type FeedForwardConfig } from "../moe/expertConfig.ts";
import { isGated } from "../ops/feedForwardKinds.ts";
import { alignNeurons, type FeedForwardStack } from "./alignNeurons.ts";
import { checkIds, checkLayers, checkLoads, expertLayers } from "./layerSettings.ts";
import type { HostArray } from "./modelState.ts";
import { groupBounds, regroup, type LayerPlan } from "./regroup.ts";

export interface MergeSettings {
  /** Ids of experts that become one, for each layer with experts, or once for all layers; experts that are in no group stay.
   *  Every layer has to end with as many experts. */
  readonly groups: readonly (readonly number[])[] | { readonly perLayer: readonly (readonly (readonly number[])[])[] };
  /** Choices or shares of each expert of each layer with experts: experts count by them. Equal by default. */
  readonly loads?: readonly (readonly number[])[];
  /** Give the hidden neurons of each expert the order in which they fit those of the first of its group best, before the
   *  mean: an order means nothing to an expert and much to a mean. True by default; for feed-forward parts only.
   *  Source: Ainsworth et al. 2022, arXiv:2209.04836 §3.2 */
  readonly align?: boolean;
}

/** A model in which groups of experts are replaced by their weighted mean, and their router columns likewise. Experts come in
 *  the order of their lowest old id. Experts that compute the same, if only with neurons in another order, merge into one that
 *  computes it too; the routing between what is left is close to the old one, not equal to it.
 *  @param model stays as it is
 *  @throws ConfigError E_SURGERY_EXPERTS, E_SURGERY_LAYERS, E_SURGERY_LOADS, E_SURGERY_GROUPS, E_SURGERY_KIND, E_SURGERY_ROUTER; E_CONFIG_* when too few are left
 *  Source: Li et al. 2023 (MC-SMoE), arXiv:2310.01334 §3.1 */
export function mergeExperts(model: Transformer, { groups, loads, align = true }: MergeSettings): Transformer {
  const { moe, lora } = model.config;
  const { numExperts } = moe;
  const layers = expertLayers(model);
  const perLayer = "perLayer" in groups ? groups.perLayer : layers.map(() => groups);
  checkLayers("groups.perLayer", perLayer, layers.length);
  if (loads) checkLoads(loads, layers.length, numExperts);
  if (lora) refuseKind("the model has adapters", "call mergeLora first");
  const plans = perLayer.map((own, i) => planOf(own, moe, loads?.[i]));
  if (plans.some((plan) => plan.length !== plans[0].length)) {
    throw new ConfigError({
      code: "E_SURGERY_EXPERTS", what: `the layers would have ${plans.map((plan) => plan.length).join(", ")} experts`,
      why: "one config describes all layers, so each has to keep as many", fix: "merge as many experts in each layer",
    });
  }
  return regroup(model, plans, (weights, plan) => {
    if (!align) return;
    groupBounds(moe).forEach(({ first, count }, g) => {
      const { experts = defaultExpert } = moe;
      const [kind, scope] = experts.kind === "mixed" ? [experts.groups[g].expert, `${g}.`] : [experts, ""];
      if (!isFeedForward(kind)) return;
      const own = plan.filter(({ members }) => members.length > 1 && members[0] >= first && members[0] < first + count);
      alignNeurons(stackOf(kind, weights, scope), own.map(({ members }) => members.map((id) => id - first)));
    });
  });
}

function stackOf({ kind }: FeedForwardConfig, weights: ReadonlyMap<string, HostArray>, scope: string): FeedForwardStack {
  const name = isGated(kind) ? "gateUp" : "up";
  const first = weights.get(`${scope}${name}`), down = weights.get(`${scope}down`);
  if (!first || !down) throw new Error(`${kind} experts without ${name} or down`);
  return { first, firstBias: weights.get(`${scope}${name}Bias`), down, parts: isGated(kind) ? 2 : 1 };
}

function planOf(groups: readonly (readonly number[])[], moe: MoeConfig, loads?: readonly number[]): LayerPlan {
  const { numExperts, experts = defaultExpert } = moe;
  const named = groups.flat();
  checkIds("groups", named, numExperts);
  if (new Set(named).size !== named.length || groups.some((group) => group.length === 0)) {
    throw new ConfigError({ code: "E_SURGERY_EXPERTS", what: `the groups are ${JSON.stringify(groups)}`, why: "an expert can be in one group only, and a group has at least one", fix: "name each expert once" });
  }
  const alone = Array.from({ length: numExperts }, (_, id) => id).filter((id) => !named.includes(id)).map((id) => [id]);
  const bounds = groupBounds(moe);
  return [...groups, ...alone].map((group) => [...group].sort((a, b) => a - b)).sort((a, b) => a[0] - b[0]).map((members) => {
    const g = bounds.findIndex(({ first, count }) => members[0] >= first && members[0] < first + count);
    const { first, count } = bounds[g];
    if (members.some((id) => id < first || id >= first + count)) refuseKind(`experts ${members.join(", ")} are of different kinds`, "merge experts of one group of moe.experts.groups");
    const kind = experts.kind === "mixed" ? experts.groups[g].expert.kind : experts.kind;
    if (members.length > 1 && kind === "lora") refuseKind("the experts are low-rank changes", "prune them instead: the mean of products isn't the product of means");
    const weights = members.map((id) => loads?.[id] ?? 1);
    const total = weights.reduce((a, b) => a + b, 0);
    // Experts that nobody chose count alike.
    return { members, shares: weights.map((weight) => (total > 0 ? weight / total : 1 / members.length)) };
  });
}

function refuseKind(what: string, fix: string): never {
  throw new ConfigError({ code: "E_SURGERY_KIND", what, why: "their mean is no expert of the same form", fix });
}
