import * as tf from "@tensorflow/tfjs-core";
import { withActivationStorage } from "../../backend/activationStorage.ts";
import { RoutingError } from "../../errors.ts";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import { initialStandardDeviation, type WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import { selectExperts } from "../../ops/selectExperts.ts";
import type { MoeConfig } from "../config.ts";
import type { Experts } from "../experts.ts";
import type { Routing } from "../router.ts";
import type { SoftMoeConfig } from "../routerConfig.ts";
import { withoutPadding } from "../selection.ts";

/** Added to the logits of padding tokens: no slot holds any of them. */
const paddingLogit = -1e30;

/** Gives every expert slotsPerExpert slots a row. With logits x·Φ, Φ [C, E·slotsPerExpert], a slot holds the tokens of its row
 *  mixed by a softmax over them, and a token gets the experts' results mixed by a softmax over all slots. A token is mixed
 *  with later ones, so a causal model can't use it. Tokens aren't normalised before Φ as the paper does for wide models.
 *  Source: Puigcerver et al. 2023, arXiv:2308.00951 §2.1 */
export class SoftMoeMixing {
  /** Φ, [C, E·P] */
  private readonly slots: tf.Variable<tf.Rank.R2>;
  private readonly config: MoeConfig;
  private readonly slotsPerExpert: number;

  constructor(width: number, config: MoeConfig, { slotsPerExpert }: SoftMoeConfig, weights: WeightScope) {
    this.slots = weights.normal("slots", [width, config.numExperts * slotsPerExpert], initialStandardDeviation);
    this.config = config;
    this.slotsPerExpert = slotsPerExpert;
  }

  /** @param x [N, C]
   *  @returns y [N, C], and for analysis a routing: probabilities are the share of a token's result that each expert has, ids
   *    the K experts of the largest shares
   *  @throws RoutingError E_SOFT_MOE_CAUSAL */
  forward(x: tf.Tensor2D, experts: Experts, context: ForwardContext): { y: tf.Tensor2D; routing: Routing } {
    if (context.isCausal) {
      throw new RoutingError({
        code: "E_SOFT_MOE_CAUSAL", what: "soft MoE was asked to work in a causal model", why: "every slot mixes all tokens of a row, later ones too",
        fix: "use it in an encoder, whose context has isCausal false, or choose another router",
      });
    }
    const { batchSize: B, rowLength: T, tokenMask } = context, [N, C] = x.shape;
    const { numExperts: E } = this.config, P = this.slotsPerExpert;
    const { slotShares, tokenShares, routing } = withActivationStorage("float32", () => this.shares(x, context));
    const slots = tf.matMul(slotShares, tf.reshape(x, [B, T, C]));
    const rows: tf.Tensor2D = tf.reshape(tf.transpose(tf.reshape(slots, [B, E, P, C]), [1, 0, 2, 3]), [E * B * P, C]);
    const offsets = tf.tensor1d(Int32Array.from({ length: E + 1 }, (_, e) => e * B * P), "int32");
    const results = tf.reshape(tf.transpose(tf.reshape(experts.apply(rows, offsets, context), [E, B, P, C]), [1, 0, 2, 3]), [B, E * P, C]);
    const y: tf.Tensor2D = tf.reshape(tf.matMul(tokenShares, results), [N, C]);
    return { y: tokenMask ? tf.mul(y, tf.reshape(tokenMask, [N, 1])) : y, routing };
  }

  /** slotShares [B, E·P, T] sum to 1 over tokens, tokenShares [B, T, E·P] over slots. */
  private shares(x: tf.Tensor2D, { batchSize: B, rowLength: T, tokenMask }: ForwardContext): { slotShares: tf.Tensor; tokenShares: tf.Tensor; routing: Routing } {
    const { numExperts: E, expertsPerToken: K } = this.config, P = this.slotsPerExpert, N = B * T;
    const bySlot = tf.reshape(tf.matMul(x, this.slots), [B, T, E * P]);
    const byToken = tf.transpose(bySlot, [0, 2, 1]);
    const slotShares = tf.softmax(tokenMask ? tf.add(byToken, tf.mul(tf.sub(1, tf.reshape(tokenMask, [B, 1, T])), paddingLogit)) : byToken);
    const tokenShares = tf.softmax(bySlot);
    const probabilities: tf.Tensor2D = tf.sum(tf.reshape(tokenShares, [N, E, P]), 2);
    const best = selectExperts(probabilities, K);
    const ids = tokenMask ? withoutPadding(best, tokenMask) : best;
    const logits: tf.Tensor2D = tf.logSumExp(tf.reshape(bySlot, [N, E, P]), 2);
    return { slotShares, tokenShares, routing: { ids, weights: chosenScores(probabilities, ids), probabilities, logits, assigned: ids } };
  }
}
