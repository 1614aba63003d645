import * as tf from "@tensorflow/tfjs-core";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { HashConfig } from "../routerConfig.ts";

/** Sends each token to K experts that a hash of its id names, with weights 1/K; nothing is learned and there are no scores:
 *  logits are 0 and probabilities 1/K at the chosen experts.
 *  Source: Roller et al. 2021, arXiv:2106.04426 (random hash; several experts as MultiHash does, but without repeats) */
export class HashRouter implements Router {
  private readonly numExperts: number;
  private readonly expertsPerToken: number;
  private readonly seed: number;

  constructor(config: MoeConfig, router: HashConfig) {
    this.numExperts = config.numExperts;
    this.expertsPerToken = config.expertsPerToken;
    this.seed = router.seed;
  }

  route(x: tf.Tensor2D, { ids: tokenIds }: ForwardContext): RoutingDecision {
    const { numExperts: E, expertsPerToken: K, seed } = this;
    const N = x.shape[0];
    const ids = new Int32Array(N * K);
    const probabilities = new Float32Array(N * E);
    tokenIds.dataSync<"int32">().forEach((tokenId, n) => {
      const experts = hashExperts(tokenId, E, K, seed);
      ids.set(experts, n * K);
      for (const e of experts) probabilities[n * E + e] = 1 / K;
    });
    return {
      ids: tf.tensor2d(ids, [N, K], "int32"), weights: tf.fill([N, K], 1 / K), probabilities: tf.tensor2d(probabilities, [N, E]), logits: tf.zeros([N, E]),
    };
  }
}

/** K different experts of a token id; the same on every machine and in every process. */
export function hashExperts(tokenId: number, E: number, K: number, seed: number): number[] {
  const open = Array.from({ length: E }, (_, e) => e);
  return Array.from({ length: K }, (_, k) => open.splice(hash32(tokenId, seed, k) % open.length, 1)[0]);
}

/** A hash of three numbers, uniform over the unsigned 32-bit integers.
 *  Source: the finaliser of MurmurHash3 (Appleby, public domain), applied after each number */
function hash32(...numbers: number[]): number {
  return numbers.reduce((state, number) => {
    let word = (state ^ Math.imul(number >>> 0, 0x9e3779b1) ^ Math.floor(number / 2 ** 32)) + 0x9e3779b9;
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return (word ^ (word >>> 16)) >>> 0;
  }, 0);
}
