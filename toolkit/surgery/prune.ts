import { ConfigError } from "../errors.ts";
import type { Transformer } from "../models/transformer.ts";
import { checkCount } from "../moe/config.ts";
import { checkIds, checkLayers, checkLoads, expertLayers } from "./layerSettings.ts";
import { regroup } from "./regroup.ts";

/** Which experts go. */
export type PruneChoice =
  /** these, in every layer with experts */
  | { readonly experts: readonly number[] }
  /** these of each layer with experts, as many in each */
  | { readonly perLayer: readonly (readonly number[])[] }
  /** so many in each layer, those with the smallest loads; equal loads: the higher id goes.
   *  loads: choices or shares of each expert of each layer with experts, e.g. expertLoad of analyzeRouting */
  | { readonly leastLoaded: number; readonly loads: readonly (readonly number[])[] };

/** A model without some of its experts: their weights and their router columns are gone, the others keep their order. A token
 *  that would have chosen one of them takes the next best. Where nobody chose them and the router renormalises its weights,
 *  the output stays the same.
 *  @param model stays as it is
 *  @throws ConfigError E_SURGERY_EXPERTS, E_SURGERY_LAYERS, E_SURGERY_LOADS, E_SURGERY_GROUPS, E_SURGERY_ROUTER, and E_CONFIG_* when too few are left for a token */
export function pruneExperts(model: Transformer, choice: PruneChoice): Transformer {
  const { numExperts } = model.config.moe;
  const layers = expertLayers(model);
  const removed = removedExperts(choice, layers.length, numExperts);
  const count = new Set(removed[0]).size;
  if (count === numExperts || removed.some((ids) => new Set(ids).size !== count)) {
    throw new ConfigError({
      code: "E_SURGERY_EXPERTS", what: `${removed.map((ids) => ids.length).join(", ")} of ${numExperts} experts would be removed from the layers`,
      why: "one config describes all layers, so each has to keep as many, and at least one", fix: "remove as many of each layer",
    });
  }
  return regroup(model, removed.map((ids) => Array.from({ length: numExperts }, (_, id) => id).filter((id) => !ids.includes(id)).map((id) => ({ members: [id], shares: [1] }))));
}

function removedExperts(choice: PruneChoice, numLayers: number, numExperts: number): readonly (readonly number[])[] {
  if ("experts" in choice) {
    checkIds("experts", choice.experts, numExperts);
    return Array.from({ length: numLayers }, () => choice.experts);
  }
  if ("perLayer" in choice) {
    checkLayers("perLayer", choice.perLayer, numLayers);
    for (const ids of choice.perLayer) checkIds("perLayer", ids, numExperts);
    return choice.perLayer;
  }
  checkCount("leastLoaded", choice.leastLoaded);
  checkLoads(choice.loads, numLayers, numExperts);
  return choice.loads.map((loads) => loads.map((_, id) => id).sort((a, b) => loads[a] - loads[b] || b - a).slice(0, choice.leastLoaded));
}
