import * as tf from "@tensorflow/tfjs-core";
import { countChoices } from "../ops/countChoices.ts";
import { balanceLoss, zLoss } from "../ops/routerLosses.ts";
import type { MoeConfig } from "./config.ts";
import type { Routing } from "./router.ts";

/** What the router losses of a batch need beside the routing. */
export interface RouterLossInput {
  /** [B·T] float32, 0 for padding tokens, which count in no router loss. Masks of the language loss have no say here: a token
   *  of a prompt is routed as any other. */
  readonly tokenMask?: tf.Tensor1D;
  /** B, for the loss within each row; 1 by default */
  readonly batchSize?: number;
  /** Of each sparse layer, in order: choices of each expert in the micro-batches of the step before this one, [E] float32. Read where
   *  balanceScope is "global". */
  readonly earlierCounts?: readonly tf.Tensor1D[];
}

/** Each the mean over layers; without their weights but for own. */
export interface RouterLosses {
  readonly balance: tf.Scalar;
  readonly z: tf.Scalar;
  /** undefined where its weight is 0 */
  readonly sequenceBalance?: tf.Scalar;
  /** losses of the routers' own, with their weights; undefined where routers have none */
  readonly own?: tf.Scalar;
  /** what joins the training loss: the losses whose weight isn't 0, weighted; undefined where there is none */
  readonly weighted?: tf.Scalar;
}

type LossWeights = Pick<MoeConfig, "balanceLossWeight" | "balanceScope" | "sequenceBalanceLossWeight" | "zLossWeight">;

/** The router losses of all layers.
 *  @param routing of each sparse layer; without any, losses are 0 */
export function routerLosses(routing: readonly Routing[], weights: LossWeights, { tokenMask, batchSize = 1, earlierCounts }: RouterLossInput = {}): RouterLosses {
  const { balanceLossWeight, sequenceBalanceLossWeight, zLossWeight, balanceScope } = weights;
  const balance = meanOf(routing.map(({ ids, probabilities }, layer) => loadBalance(ids, probabilities, tokenMask, balanceScope === "global" ? earlierCounts?.[layer] : undefined)));
  const z = meanOf(routing.map(({ logits }) => zLoss(logits, tokenMask)));
  const sequenceBalance = sequenceBalanceLossWeight > 0 && routing.length > 0
    ? meanOf(routing.map(({ ids, probabilities }) => sequenceBalanceLoss(ids, probabilities, batchSize, tokenMask))) : undefined;
  const ownLosses = routing.flatMap(({ ownLoss }) => ownLoss ?? []);
  // Every layer has the same router, so all of them have one or none has.
  const own = ownLosses.length > 0 ? meanOf(ownLosses) : undefined;
  const terms: tf.Scalar[] = [];
  if (routing.length > 0 && balanceLossWeight > 0) terms.push(tf.mul(balance, balanceLossWeight));
  if (routing.length > 0 && zLossWeight > 0) terms.push(tf.mul(z, zLossWeight));
  if (sequenceBalance) terms.push(tf.mul(sequenceBalance, sequenceBalanceLossWeight));
  if (own) terms.push(own);
  return { balance, z, ...(sequenceBalance && { sequenceBalance }), ...(own && { own }), ...(terms.length > 0 && { weighted: terms.length === 1 ? terms[0] : tf.addN(terms) }) };
}

function meanOf(losses: tf.Scalar[]): tf.Scalar {
  return losses.length === 0 ? tf.scalar(0) : tf.div(tf.addN(losses), losses.length);
}

/** balanceLoss with fᵢ over this batch and the counts before it.
 *  Source: Qiu et al. 2025, arXiv:2501.11873 (gradient accumulation: a buffer of counts) */
function loadBalance(ids: tf.Tensor2D, probabilities: tf.Tensor2D, tokenMask: tf.Tensor1D | undefined, earlier: tf.Tensor1D | undefined): tf.Scalar {
  if (!earlier) return balanceLoss(ids, probabilities, tokenMask);
  const E = probabilities.shape[1];
  return tf.tidy(() => {
    const counts = tf.add(earlier, tf.reshape(countChoices(ids, E, tokenMask ? { tokenMask } : {}), [E]));
    const share = tf.div(counts, tf.maximum(tf.sum(counts), smallestTotal));
    const meanProbability = tokenMask
      ? tf.div(tf.sum(tf.mul(probabilities, tf.reshape(tokenMask, [-1, 1])), 0), tf.maximum(tf.sum(tokenMask), smallestTotal))
      : tf.mean(probabilities, 0);
    return tf.mul(tf.sum(tf.mul(share, meanProbability)), E);
  });
}

/** In place of a total of 0: what is divided by it is 0 then. */
const smallestTotal = 1e-20;

/** Balance loss within each row: fᵢ = E/(K·T)·cᵢ of the row (no gradient), Pᵢ = mean over its tokens of the probability, Σᵢ fᵢ·Pᵢ;
 *  then the mean over rows, each weighted by its tokens, so that padding changes nothing. Perfect balance gives 1.
 *  @param probabilities [B·T, E] float32, rows that sum to 1
 *  @returns differentiable in probabilities
 *  Source: DeepSeek-V3, arXiv:2412.19437 eq. 17–20, without its α */
export function sequenceBalanceLoss(ids: tf.Tensor2D, probabilities: tf.Tensor2D, batchSize: number, tokenMask?: tf.Tensor1D): tf.Scalar {
  const [N, E] = probabilities.shape, B = batchSize, T = N / B;
  return tf.tidy(() => {
    const counts = countChoices(ids, E, { ...(tokenMask && { tokenMask }), batchSize: B });
    const numTokens = tokenMask ? tf.maximum(tf.sum(tokenMask), smallestTotal) : tf.scalar(N);
    // Mean over the row's tokens, times their share of all tokens: one division by all tokens.
    const factors = tf.div(tf.mul(counts, E), tf.mul(tf.maximum(tf.sum(counts, 1, true), smallestTotal), numTokens));
    const counted = tokenMask ? tf.mul(probabilities, tf.reshape(tokenMask, [N, 1])) : probabilities;
    return tf.sum(tf.mul(tf.sum(tf.reshape(counted, [B, T, E]), 1), factors));
  });
}
