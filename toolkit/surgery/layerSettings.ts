import { ConfigError } from "../errors.ts";
import { sparseLayers } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";

/** Layers with experts, from the embedding up.
 *  @throws ConfigError E_SURGERY_LAYERS where there are none */
export function expertLayers({ config }: Transformer): number[] {
  const layers = sparseLayers(config);
  if (layers.length > 0) return layers;
  throw new ConfigError({
    code: "E_SURGERY_LAYERS", what: "no layer of the model has experts", why: "there is nothing to prune or merge", fix: "pass a model with experts, e.g. one that upcycle gave",
  });
}

/** Refuses ids that name no expert. */
export function checkIds(setting: string, ids: readonly number[], numExperts: number): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= numExperts);
  if (wrong === undefined) return;
  throw new ConfigError({
    code: "E_SURGERY_EXPERTS", what: `${setting} names expert ${wrong}`, why: `the layers have experts 0 to ${numExperts - 1}`, fix: "name experts that are there",
  });
}

/** Refuses a setting that isn't given once for each layer with experts. */
export function checkLayers(setting: string, lists: readonly unknown[], numLayers: number): void {
  if (lists.length === numLayers) return;
  throw new ConfigError({
    code: "E_SURGERY_LAYERS", what: `${setting} has ${lists.length} lists`, why: `the model has ${numLayers} layers with experts`, fix: "give one list for each of these layers",
  });
}

/** Refuses loads that aren't one number of at least 0 for each expert of each layer. */
export function checkLoads(loads: readonly (readonly number[])[], numLayers: number, numExperts: number): void {
  checkLayers("loads", loads, numLayers);
  const layer = loads.findIndex((own) => own.length !== numExperts || own.some((load) => !(Number.isFinite(load) && load >= 0)));
  if (layer < 0) return;
  throw new ConfigError({
    code: "E_SURGERY_LOADS", what: `loads[${layer}] is [${loads[layer].join(", ")}]`, why: `it has to hold a number of at least 0 for each of ${numExperts} experts`,
    fix: "pass counts or shares of choices, e.g. the expertLoad of analyzeRouting",
  });
}
