import { RoutingError } from "../errors.ts";
import { type LoadMetrics, loadMetrics, normalizedEntropy } from "./load.ts";

export interface LayerRouting extends LoadMetrics {
  readonly layer: number;
  /** (token, slot) assignments by expert, [E]; they sum to numTokens · K where every token has K experts */
  readonly counts: readonly number[];
  readonly numTokens: number;
  /** mean over tokens of the entropy of the router's probabilities / ln E, 0 (sure) … 1 (undecided) */
  readonly tokenEntropy: number;
}

/** Metrics that are averaged over layers; each has the same name in LayerRouting. */
export const averagedMetrics = ["maxVio", "loadBalancingEfficiency", "loadCv", "tokenEntropy", "loadEntropy"] as const;

export interface RoutingSummary {
  readonly numExperts: number;
  readonly expertsPerToken: number;
  readonly layers: readonly LayerRouting[];
  /** plain means over layers */
  readonly mean: Readonly<Record<(typeof averagedMetrics)[number], number>>;
  /** dead experts of all layers together */
  readonly numDeadExperts: number;
}

/** What one layer has seen so far. */
interface LayerTally {
  readonly counts: Float64Array;
  tokenEntropySum: number;
  numTokens: number;
}

/** Adds up router decisions batch by batch; needs E numbers a layer however many tokens there are. */
export class RoutingStats {
  readonly numLayers: number;
  readonly numExperts: number;
  readonly expertsPerToken: number;
  private readonly tallies: readonly LayerTally[];

  constructor(numLayers: number, numExperts: number, expertsPerToken: number) {
    this.numLayers = numLayers;
    this.numExperts = numExperts;
    this.expertsPerToken = expertsPerToken;
    this.tallies = Array.from({ length: numLayers }, () => ({ counts: new Float64Array(numExperts), tokenEntropySum: 0, numTokens: 0 }));
  }

  /** Adds the N tokens of one batch in one layer.
   *  @param ids chosen experts, as many for each of the N tokens, row by row; −1 where a token has fewer
   *  @param probabilities softmax of the router scores, [N·E] row by row
   *  @param tokenMask [N], 0 for padding tokens: they count nowhere
   *  @throws RoutingError E_ROUTING_LAYER, E_ROUTING_LENGTH, E_ROUTING_EXPERT; then nothing was added */
  add(layer: number, ids: Int32Array, probabilities: Float32Array, tokenMask?: ArrayLike<number>): void {
    const E = this.numExperts;
    const tally = this.tallyOf(layer);
    const N = probabilities.length / E, K = ids.length / N;
    this.checkBatch(ids, probabilities, N, tokenMask);
    for (let token = 0; token < N; token++) {
      if (tokenMask && tokenMask[token] === 0) continue;
      for (let slot = token * K; slot < (token + 1) * K; slot++) {
        if (ids[slot] >= 0) tally.counts[ids[slot]] += 1;
      }
      tally.tokenEntropySum += normalizedEntropy(probabilities, token * E, E);
      tally.numTokens += 1;
    }
  }

  /** The metrics over all tokens added so far: the *global* ones when that is a whole evaluation set.
   *  Layers of which nothing was added, as the dense ones of a model, are left out.
   *  @throws RoutingError E_ROUTING_NO_TOKENS when there is no other */
  summary(): RoutingSummary {
    const layers = [...this.tallies.entries()].filter(([, { numTokens }]) => numTokens > 0).map(([layer, tally]): LayerRouting => ({
      layer, numTokens: tally.numTokens, counts: Array.from(tally.counts),
      ...loadMetrics(tally.counts), tokenEntropy: tally.tokenEntropySum / tally.numTokens,
    }));
    if (layers.length === 0) {
      throw new RoutingError({
        code: "E_ROUTING_NO_TOKENS", what: `no layer of ${this.numLayers} has the routing of any token`,
        why: "shares of nothing have no value", fix: "add the routing of at least one token first",
      });
    }
    const meanOf = (metric: (typeof averagedMetrics)[number]): number =>
      layers.reduce((sum, one) => sum + one[metric], 0) / layers.length;
    return {
      numExperts: this.numExperts, expertsPerToken: this.expertsPerToken, layers,
      mean: {
        maxVio: meanOf("maxVio"), loadBalancingEfficiency: meanOf("loadBalancingEfficiency"), loadCv: meanOf("loadCv"),
        tokenEntropy: meanOf("tokenEntropy"), loadEntropy: meanOf("loadEntropy"),
      },
      numDeadExperts: layers.reduce((sum, one) => sum + one.deadExperts.length, 0),
    };
  }

  private tallyOf(layer: number): LayerTally {
    if (layer in this.tallies) return this.tallies[layer];
    throw new RoutingError({
      code: "E_ROUTING_LAYER", what: `routing of layer ${layer} was added to statistics of ${this.numLayers} layers`,
      why: "layers count from 0", fix: `pass a layer from 0 to ${this.numLayers - 1}`,
    });
  }

  private checkBatch(ids: Int32Array, probabilities: Float32Array, N: number, tokenMask: ArrayLike<number> | undefined): void {
    const E = this.numExperts;
    if (!Number.isInteger(N) || !Number.isInteger(ids.length / N) || (tokenMask && tokenMask.length !== N)) {
      throw new RoutingError({
        code: "E_ROUTING_LENGTH",
        what: `got ${ids.length} expert ids, ${probabilities.length} probabilities${tokenMask ? ` and a mask of ${tokenMask.length}` : ""}`,
        why: `N tokens need N · ${E} probabilities, equally many ids each and, if any, N mask values`,
        fix: "pass ids and probabilities of the same routing record",
      });
    }
    const strange = ids.find((expert) => expert < -1 || expert >= E);
    if (strange !== undefined) {
      throw new RoutingError({
        code: "E_ROUTING_EXPERT", what: `a token went to expert ${strange} of ${E}`,
        why: "experts count from 0, and -1 stands for none", fix: "give RoutingStats the numExperts of the model",
      });
    }
  }
}
