import { ConfigError } from "../errors.ts";
import { sparseLayers } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";
import type { MoeConfig } from "../moe/config.ts";
import { defaultExpert, type ExpertConfig } from "../moe/expertConfig.ts";
import { buildModel, stateOf, type HostArray } from "./modelState.ts";

/** What a new expert is made of. */
export interface NewExpert {
  /** ids of old experts; those of one new expert are of one group where kinds are mixed */
  readonly members: readonly number[];
  /** one for each member, together 1 */
  readonly shares: readonly number[];
}

/** The new experts of a layer, in order. */
export type LayerPlan = readonly NewExpert[];

/** Builds a model whose experts and router columns are weighted means of those of another. Whatever else has the same shape
 *  in both is carried over.
 *  @param plans one for each layer with experts; each makes as many experts, in each group of mixed kinds
 *  @param prepare may change the weights of a layer's experts before they are combined: `weights` by their name below
 *    `experts.`
 *  @throws ConfigError E_CONFIG_*, E_SURGERY_GROUPS, E_SURGERY_ROUTER */
export function regroup(model: Transformer, plans: readonly LayerPlan[], prepare?: (weights: Map<string, HostArray>, plan: LayerPlan) => void): Transformer {
  const { moe } = model.config;
  if (moe.router.kind === "hash" || moe.router.kind === "softMoe") {
    throw new ConfigError({
      code: "E_SURGERY_ROUTER", what: `the router of the model is ${moe.router.kind}`, why: "it gives experts no columns of their own that could be removed or merged",
      fix: "build and train a model with the wanted number of experts",
    });
  }
  const layers = sparseLayers(model.config);
  const state = stateOf(model);
  layers.forEach((layer, i) => {
    const prefix = `layers.${layer}.moe.experts.`;
    prepare?.(new Map([...state].filter(([name]) => name.startsWith(prefix)).map(([name, array]) => [name.slice(prefix.length), array])), plans[i]);
  });
  const config = { ...model.config, moe: { ...moe, numExperts: plans[0].length, experts: newExperts(moe, plans) } };
  return buildModel(config, 0, (name, shape) => {
    const [, layer, part, inner] = /^layers\.(\d+)\.moe\.(router|experts)\.(.+)$/.exec(name) ?? [];
    if (part === undefined) return state.get(name);
    const plan = plans[layers.indexOf(Number(layer))];
    const prefix = `layers.${layer}.moe.${part}.`;
    if (part === "router") return combined(state.get(prefix + inner), shape, plan);
    return newExpertWeight(moe, plan, inner, shape, (old) => state.get(prefix + old));
  });
}

/** First expert and number of experts of each group; one group where all are of one kind. */
export function groupBounds({ numExperts, experts = defaultExpert }: MoeConfig): { readonly first: number; readonly count: number }[] {
  if (experts.kind !== "mixed") return [{ first: 0, count: numExperts }];
  let first = 0;
  return experts.groups.map(({ count }) => {
    first += count;
    return { first: first - count, count };
  });
}

/** The new experts of each old group, with members numbered inside the group; groups that are left empty are left out. */
function groupPlans(moe: MoeConfig, plan: LayerPlan): { readonly group: number; readonly plan: LayerPlan }[] {
  return groupBounds(moe).flatMap(({ first, count }, group) => {
    const own = plan.filter(({ members }) => members[0] >= first && members[0] < first + count)
      .map(({ members, shares }) => ({ members: members.map((id) => id - first), shares }));
    return own.length > 0 ? [{ group, plan: own }] : [];
  });
}

function newExperts(moe: MoeConfig, plans: readonly LayerPlan[]): ExpertConfig | undefined {
  const { experts } = moe;
  const counts = plans.map((plan) => groupPlans(moe, plan).map(({ group, plan: own }) => `${own.length} of group ${group}`).join(", "));
  const odd = counts.findIndex((text) => text !== counts[0]);
  if (odd > 0) {
    throw new ConfigError({
      code: "E_SURGERY_GROUPS", what: `layer plan 0 keeps ${counts[0]} and layer plan ${odd} keeps ${counts[odd]}`,
      why: "one config describes the experts of all layers", fix: "keep as many experts of each group in every layer",
    });
  }
  if (experts?.kind !== "mixed") return experts;
  return { kind: "mixed", groups: groupPlans(moe, plans[0]).map(({ group, plan }) => ({ ...experts.groups[group], count: plan.length })) };
}

/** @param inner new name below `experts.`: a stack over the experts of a group, or one weight of one custom expert */
function newExpertWeight(moe: MoeConfig, plan: LayerPlan, inner: string, shape: readonly number[], old: (name: string) => HostArray | undefined): HostArray | undefined {
  const { experts = defaultExpert } = moe;
  const isMixed = experts.kind === "mixed";
  const [place, rest] = isMixed ? [Number(inner.split(".")[0]), inner.slice(inner.indexOf(".") + 1)] : [0, inner];
  const { group, plan: own } = groupPlans(moe, plan)[place];
  const scope = isMixed ? `${group}.` : "";
  const kind = isMixed ? experts.groups[group].expert.kind : experts.kind;
  if (kind !== "custom") return combined(old(scope + rest), shape, own);
  const [expert, name] = [Number(rest.split(".")[0]), rest.slice(rest.indexOf(".") + 1)];
  const { members, shares } = own[expert];
  return weightedMean(members.map((member) => old(`${scope}${member}.${name}`)), shares, shape);
}

/** The array with its experts combined: along the dimension in which the old shape differs from the new one. Where none
 *  does, the array doesn't depend on the number of experts, or each new expert is one old expert. */
function combined(array: HostArray | undefined, shape: readonly number[], plan: LayerPlan): HostArray | undefined {
  if (!array) return undefined;
  const axis = shape.findIndex((size, i) => size !== array.shape[i]);
  if (axis < 0) return array;
  const oldCount = array.shape[axis], newCount = shape[axis];
  const outer = product(shape.slice(0, axis)), inner = product(shape.slice(axis + 1));
  const values = new Float32Array(outer * newCount * inner);
  for (let o = 0; o < outer; o++) for (let e = 0; e < newCount; e++) for (let i = 0; i < inner; i++) {
    const { members, shares } = plan[e];
    let sum = 0;
    members.forEach((member, m) => { sum += shares[m] * array.values[(o * oldCount + member) * inner + i]; });
    values[(o * newCount + e) * inner + i] = sum;
  }
  return { shape, values };
}

function weightedMean(arrays: readonly (HostArray | undefined)[], shares: readonly number[], shape: readonly number[]): HostArray {
  const values = new Float32Array(product(shape));
  arrays.forEach((array, m) => { array?.values.forEach((value, i) => { values[i] += shares[m] * value; }); });
  return { shape, values };
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
