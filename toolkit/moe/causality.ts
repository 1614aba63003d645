import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import { RandomSource } from "../random.ts";

export interface CausalityOptions {
  /** V: the tokens that are put in place of others are drawn from 0 to V − 1 */
  readonly vocabSize: number;
  /** T, tokens of the row; 32 by default */
  readonly rowLength?: number;
  /** how often tokens are exchanged; 8 by default */
  readonly trials?: number;
  /** of the tokens; 0 by default */
  readonly seed?: number;
  /** Largest change of an output that counts as rounding, as a share of the largest output; 1e-5 by default. A row's sums may
   *  be added in another order when another row changes. */
  readonly tolerance?: number;
}

export interface CausalityReport {
  readonly isCausal: boolean;
  /** largest change of an output before the exchanged tokens, as a share of the largest output */
  readonly largestChange: number;
  /** where it was: output `position` changed when the tokens from `changedFrom` on were exchanged; undefined where it is causal */
  readonly leak?: { readonly position: number; readonly changedFrom: number };
}

/** Finds out whether later tokens change earlier outputs: it exchanges all tokens of a row from a random place on and compares
 *  what comes out before that place. No leak in a few trials is no proof, but routers that leak do so nearly always.
 *  @param run from token ids [1, T] int32 to outputs [T, …], e.g. (ids) => model.forward(ids).logits. To check what happens in
 *    training give both passes an equal source: model.forward(ids, { training: { random: new RandomSource(1) } })
 *  @throws ConfigError E_CAUSALITY_OPTIONS */
export function checkCausality(run: (ids: tf.Tensor2D) => tf.Tensor, options: CausalityOptions): CausalityReport {
  const { vocabSize: V, rowLength: T = 32, trials = 8, seed = 0, tolerance = 1e-5 } = options;
  if (!(V >= 2 && T >= 2 && trials >= 1)) {
    throw new ConfigError({ code: "E_CAUSALITY_OPTIONS", what: `checkCausality got vocabSize ${V}, rowLength ${T} and ${trials} trials`, why: "it exchanges a token of at least two for another one", fix: "set vocabSize and rowLength to at least 2, trials to at least 1" });
  }
  const random = new RandomSource(seed);
  const outputs = (ids: Int32Array): Float32Array => tf.tidy(() => Float32Array.from(run(tf.tensor2d(ids, [1, T], "int32")).dataSync()));
  let worst = { change: 0, position: 0, changedFrom: 0 };
  for (let trial = 0; trial < trials; trial++) {
    const ids = Int32Array.from({ length: T }, () => random.nextInt(V));
    const changedFrom = 1 + random.nextInt(T - 1);
    const changed = ids.map((id, t) => (t < changedFrom ? id : (id + 1 + random.nextInt(V - 1)) % V));
    const [before, after] = [outputs(ids), outputs(changed)];
    const perToken = before.length / T;
    const largest = before.reduce((most, value) => Math.max(most, Math.abs(value)), Number.MIN_VALUE);
    for (let i = 0; i < changedFrom * perToken; i++) {
      const change = Math.abs(before[i] - after[i]) / largest;
      if (change > worst.change) worst = { change, position: Math.floor(i / perToken), changedFrom };
    }
  }
  const { change, ...leak } = worst;
  return change <= tolerance ? { isCausal: true, largestChange: change } : { isCausal: false, largestChange: change, leak };
}
