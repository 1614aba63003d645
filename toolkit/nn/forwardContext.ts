import type * as tf from "@tensorflow/tfjs-core";
import type { RandomSource } from "../random.ts";

/** What the layers of one forward pass know beside their hidden states. N = B·T tokens, row after row. */
export interface ForwardContext {
  /** B */
  readonly batchSize: number;
  /** T, tokens of a row in this pass */
  readonly rowLength: number;
  /** token ids, [N] int32 */
  readonly ids: tf.Tensor1D;
  /** Present in training only: the source of noise, jitter and dropout of this step. A step repeats bit for bit with an
   *  equal source. */
  readonly training?: { readonly random: RandomSource };
  /** [N] float32, 0 for padding tokens: they reach no expert and count in no routing statistics */
  readonly tokenMask?: tf.Tensor1D;
  /** [N] int32, for packed rows: where in its row the document of each token begins. Attention stays within the document. */
  readonly documentStart?: tf.Tensor1D;
  /** true where no token may see a later one */
  readonly isCausal: boolean;
}
