import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { MoeLayer } from "../moe/layer.ts";
import type { Routing } from "../moe/router.ts";
import { SelfAttention, type KeyValueCache } from "../nn/attention.ts";
import type { ForwardContext } from "../nn/forwardContext.ts";
import { initialStandardDeviation, WeightScope, type ModelVariables } from "../nn/module.ts";
import { embedding } from "../ops/embedding.ts";
import { addRmsNorm, rmsNorm } from "../ops/rmsNorm.ts";
import { balanceLoss, zLoss } from "../ops/routerLosses.ts";
import { RandomSource } from "../random.ts";
import { checkTransformerConfig, type TransformerConfig } from "./config.ts";

/** What the router of one layer decided, kept for losses and analysis. */
export interface RoutingRecord extends Routing {
  /** 0 for the layer next to the embedding */
  readonly layer: number;
}

export interface ForwardResult {
  /** scores of the next token, [B·T, V] float32 */
  readonly logits: tf.Tensor2D;
  /** one record a layer */
  readonly routing: readonly RoutingRecord[];
}

/** What a forward pass may be told beside the tokens. */
export interface ForwardOptions {
  /** One entry a layer when decoding: keys and values of the tokens before; extended in place. */
  readonly cache?: readonly KeyValueCache[];
  /** Present in training only: source of the step's noise, jitter and dropout. */
  readonly training?: ForwardContext["training"];
  /** [B·T] float32, 0 for padding tokens */
  readonly tokenMask?: tf.Tensor1D;
  /** [B·T] int32, for packed rows: where in its row each token's document begins */
  readonly documentStart?: tf.Tensor1D;
}

/** The residual stream between two parts of the model: its value is x + added. The norm that reads it forms the sum. */
interface Residual {
  readonly x: tf.Tensor2D;
  readonly added?: tf.Tensor2D;
}

function normed({ x, added }: Residual, gain: tf.Tensor1D, epsilon: number): { x: tf.Tensor2D; normed: tf.Tensor2D } {
  if (!added) return { x, normed: rmsNorm(x, gain, epsilon) };
  const { sum, y } = addRmsNorm(x, added, gain, epsilon);
  return { x: sum, normed: y };
}

/** Pre-norm residual block: x + attention(norm(x)), then x + moe(norm(x)). */
class Block {
  private readonly attentionNorm: tf.Variable<tf.Rank.R1>;
  private readonly attention: SelfAttention;
  private readonly moeNorm: tf.Variable<tf.Rank.R1>;
  private readonly moe: MoeLayer;
  private readonly epsilon: number;

  constructor(config: TransformerConfig, weights: WeightScope) {
    this.epsilon = config.normEpsilon;
    this.attentionNorm = weights.ones("attentionNorm", [config.width]);
    this.attention = new SelfAttention(config, weights.scope("attention"));
    this.moeNorm = weights.ones("moeNorm", [config.width]);
    this.moe = new MoeLayer(config, config.moe, weights.scope("moe"));
  }

  forward(residual: Residual, context: ForwardContext, cache?: KeyValueCache): { residual: Residual; routing: Routing } {
    const before = normed(residual, this.attentionNorm, this.epsilon);
    const attended = this.attention.forward(before.normed, context, cache);
    const between = normed({ x: before.x, added: attended }, this.moeNorm, this.epsilon);
    const { y, routing } = this.moe.forward(between.normed, context);
    return { residual: { x: between.x, added: y }, routing };
  }

  afterStep(counts: Float64Array): void {
    this.moe.afterStep(counts);
  }
}

/** Decoder-only language model with a MoE layer in every block:
 *  embedding → L × block → norm → head. Weights are float32 and named by place, e.g. `layers.3.moe.experts.gateUp`. */
export class Transformer {
  readonly config: TransformerConfig;
  private readonly variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  private readonly embedding: tf.Variable<tf.Rank.R2>;
  private readonly blocks: readonly Block[];
  private readonly finalNorm: tf.Variable<tf.Rank.R1>;
  /** undefined when the embedding serves as head */
  private readonly head: tf.Variable<tf.Rank.R2> | undefined;

  /** @param options.seed of the fresh weights; the same seed gives the same bits
   *  @throws ConfigError E_CONFIG_* */
  constructor(config: TransformerConfig, options: { seed: number } = { seed: 0 }) {
    this.config = checkTransformerConfig(config);
    const { vocabSize: V, width: C } = config;
    const scope = new WeightScope(this.variables, new RandomSource(options.seed));
    this.embedding = scope.normal("embedding", [V, C], initialStandardDeviation);
    const layers = scope.scope("layers");
    this.blocks = Array.from({ length: config.numLayers }, (_, layer) => new Block(config, layers.scope(String(layer))));
    this.finalNorm = scope.ones("finalNorm", [C]);
    this.head = config.tiedEmbeddings ? undefined : scope.normal("head", [C, V], initialStandardDeviation);
  }

  /** All weights by name, in a fixed order. */
  parameters(): ReadonlyMap<string, tf.Variable> {
    return this.variables.weights;
  }

  /** State without a gradient by name, e.g. a router's bias; belongs to the model as its weights do. */
  buffers(): ReadonlyMap<string, tf.Variable> {
    return this.variables.buffers;
  }

  /** Weights and buffers: all that a file of the model holds. */
  state(): ReadonlyMap<string, tf.Variable> {
    return new Map([...this.variables.weights, ...this.variables.buffers]);
  }

  /** @param ids token ids, [B, T] int32, 0 ≤ id < V
   *  @throws ShapeError E_CONTEXT_LENGTH when there are more tokens than contextLength */
  forward(ids: tf.Tensor2D, { cache, ...options }: ForwardOptions = {}): ForwardResult {
    const [B, T] = ids.shape;
    const seen = cache?.[0]?.key?.shape[1] ?? 0;
    if (seen + T > this.config.contextLength) {
      throw new ShapeError({
        code: "E_CONTEXT_LENGTH", what: `the model got ${seen + T} tokens with contextLength ${this.config.contextLength}`,
        why: "it was built for at most contextLength tokens in one sequence",
        fix: "shorten the input, or train with a larger contextLength",
      });
    }
    const context: ForwardContext = { batchSize: B, rowLength: T, ids: tf.reshape(ids, [B * T]), isCausal: true, ...options };
    let residual: Residual = { x: embedding(this.embedding, context.ids) };
    const routing: RoutingRecord[] = [];
    this.blocks.forEach((block, layer) => {
      const result = block.forward(residual, context, cache?.[layer]);
      residual = result.residual;
      routing.push({ layer, ...result.routing });
    });
    const last = normed(residual, this.finalNorm, this.config.normEpsilon).normed;
    const logits: tf.Tensor2D = this.head ? tf.matMul(last, this.head) : tf.matMul(last, this.embedding, false, true);
    return { logits, routing };
  }

  /** The two router losses, each the mean over layers and without its weight.
   *  @param tokenMask [B·T] float32, 0 for padding */
  routerLosses(routing: readonly RoutingRecord[], tokenMask?: tf.Tensor1D): { balance: tf.Scalar; z: tf.Scalar } {
    const mean = (losses: tf.Scalar[]): tf.Scalar => tf.div(tf.addN(losses), losses.length);
    return {
      balance: mean(routing.map((record) => balanceLoss(record.ids, record.probabilities, tokenMask))),
      z: mean(routing.map((record) => zLoss(record.logits, tokenMask))),
    };
  }

  /** To be called after each optimizer step: routers that learn from loads change their buffers.
   *  @param counts of each layer with a router, in order: choices of each expert in the whole batch of the step, [E] */
  afterStep(counts: readonly Float64Array[]): void {
    this.blocks.forEach((block, layer) => { block.afterStep(counts[layer]); });
  }

  /** Frees the variables. */
  dispose(): void {
    for (const variable of this.state().values()) variable.dispose();
    this.variables.weights.clear();
    this.variables.buffers.clear();
  }
}
