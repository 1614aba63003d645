import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { routerLosses, type RouterLosses, type RouterLossInput } from "../moe/balance.ts";
import { DenseFeedForward } from "../moe/experts/dense.ts";
import { MoeLayer } from "../moe/layer.ts";
import type { Routing } from "../moe/router.ts";
import { SelfAttention, type KeyValueCache } from "../nn/attention.ts";
import type { ForwardContext } from "../nn/forwardContext.ts";
import { loraTargets, type LoraConfig } from "../nn/lora.ts";
import { initialStandardDeviation, WeightScope, type ModelVariables } from "../nn/module.ts";
import { Norm, type Residual } from "../nn/norm.ts";
import { embedding } from "../ops/embedding.ts";
import { RandomSource } from "../random.ts";
import { transformerConfig, isSparseLayer, type TransformerConfig } from "./config.ts";

/** What the router of one layer decided, kept for losses and analysis. */
export interface RoutingRecord extends Routing {
  /** 0 for the layer next to the embedding */
  readonly layer: number;
}

export interface ForwardResult {
  /** scores of the next token, [B·T, V] float32 */
  readonly logits: tf.Tensor2D;
  /** one record a sparse layer, from the embedding up */
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
  /** [B·T] int32, for packed rows: where in its row each token's document begins. Not with a cache. */
  readonly documentStart?: tf.Tensor1D;
}

/** Pre-norm residual block: x + attention(norm(x)), then x + moe(norm(x)), or x + feedForward(norm(x)) in a dense layer. */
class Block {
  private readonly attentionNorm: Norm;
  private readonly attention: SelfAttention;
  private readonly feedForwardNorm: Norm;
  private readonly feedForward: MoeLayer | DenseFeedForward;

  constructor(config: TransformerConfig, layer: number, weights: WeightScope) {
    this.attentionNorm = new Norm("attentionNorm", config, weights);
    this.attention = new SelfAttention(config, weights.scope("attention"));
    const name = isSparseLayer(config, layer) ? "moe" : "feedForward";
    this.feedForwardNorm = new Norm(`${name}Norm`, config, weights);
    this.feedForward = name === "moe"
      ? new MoeLayer(config, config.moe, weights.scope(name))
      : new DenseFeedForward({ ...config, hiddenWidth: config.denseWidth }, config.denseExpert, weights.scope(name));
  }

  forward(residual: Residual, context: ForwardContext, cache?: KeyValueCache): { residual: Residual; routing?: Routing } {
    const before = this.attentionNorm.forward(residual);
    const attended = this.attention.forward(before.normed, context, cache);
    const { x, normed } = this.feedForwardNorm.forward({ x: before.x, added: attended });
    if (!(this.feedForward instanceof MoeLayer)) return { residual: { x, added: this.feedForward.forward(normed) } };
    const { y, routing } = this.feedForward.forward(normed, context);
    return { residual: { x, added: y }, routing };
  }

  /** The layer of experts; undefined in a dense layer. */
  get moe(): MoeLayer | undefined {
    return this.feedForward instanceof MoeLayer ? this.feedForward : undefined;
  }
}

/** Decoder-only language model with a MoE layer in every block, or in those that its config says:
 *  embedding → L × block → norm → head. Weights are float32 and named by place, e.g. `layers.3.moe.experts.gateUp`. */
export class Transformer {
  readonly config: TransformerConfig;
  private readonly variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  private readonly embedding: tf.Variable<tf.Rank.R2>;
  private readonly blocks: readonly Block[];
  private readonly finalNorm: Norm;
  /** undefined when the embedding serves as head */
  private readonly head: tf.Variable<tf.Rank.R2> | undefined;

  /** @param options.seed of the fresh weights; the same seed gives the same bits
   *  @throws ConfigError E_CONFIG_*, E_LORA_TARGET */
  constructor(given: TransformerConfig, options: { seed: number } = { seed: 0 }) {
    const config = transformerConfig(given);
    this.config = config;
    const { vocabSize: V, width: C } = config;
    const scope = new WeightScope(this.variables, new RandomSource(options.seed), "", config.lora);
    this.embedding = scope.normal("embedding", [V, C], initialStandardDeviation);
    const layers = scope.scope("layers");
    this.blocks = Array.from({ length: config.numLayers }, (_, layer) => new Block(config, layer, layers.scope(String(layer))));
    this.finalNorm = new Norm("finalNorm", config, scope);
    this.head = config.tiedEmbeddings ? undefined : scope.normal("head", [C, V], initialStandardDeviation);
    if (config.lora) this.checkTargets(config.lora);
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
   *  @throws ShapeError E_CONTEXT_LENGTH when there are more tokens than contextLength, E_CACHE_DOCUMENTS */
  forward(ids: tf.Tensor2D, { cache, ...options }: ForwardOptions = {}): ForwardResult {
    const [B, T] = ids.shape;
    this.checkLength(T, cache, options);
    const context: ForwardContext = { batchSize: B, rowLength: T, ids: tf.reshape(ids, [B * T]), isCausal: true, ...options };
    let residual: Residual = { x: embedding(this.embedding, context.ids) };
    const routing: RoutingRecord[] = [];
    this.blocks.forEach((block, layer) => {
      const result = block.forward(residual, context, cache?.[layer]);
      residual = result.residual;
      if (result.routing) routing.push({ layer, ...result.routing });
    });
    const last = this.finalNorm.forward(residual).normed;
    const logits: tf.Tensor2D = this.head ? tf.matMul(last, this.head) : tf.matMul(last, this.embedding, false, true);
    return { logits, routing };
  }

  /** A model whose adapters fit no weights leaves none behind. */
  private checkTargets(lora: LoraConfig): void {
    try {
      loraTargets(lora, this.variables.weights.keys());
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  private checkLength(T: number, cache: readonly KeyValueCache[] | undefined, { documentStart }: ForwardOptions): void {
    const numTokens = (cache?.[0]?.numSeen ?? 0) + T;
    if (numTokens > this.config.contextLength) {
      throw new ShapeError({
        code: "E_CONTEXT_LENGTH", what: `the model got ${numTokens} tokens with contextLength ${this.config.contextLength}`,
        why: "it was built for at most contextLength tokens in one sequence",
        fix: "shorten the input, or train with a larger contextLength",
      });
    }
    if (cache && documentStart) {
      throw new ShapeError({
        code: "E_CACHE_DOCUMENTS", what: "the model got a key/value cache and documentStart",
        why: "a cache holds one document a row", fix: "decode each document with a cache of its own, or pass whole packed rows without a cache",
      });
    }
  }

  /** The router losses of a forward pass: balance, z-loss and what its config and routers have beside them. */
  routerLosses(routing: readonly RoutingRecord[], input: RouterLossInput = {}): RouterLosses {
    return routerLosses(routing, this.config.moe, input);
  }

  /** To be called after each optimizer step: routers that learn from loads change their buffers.
   *  @param counts of each sparse layer, from the embedding up: choices of each expert in the whole batch of the step, [E] */
  afterStep(counts: readonly Float64Array[]): void {
    const layers = this.blocks.flatMap(({ moe }) => moe ?? []);
    layers.forEach((layer, i) => { layer.afterStep(counts[i]); });
  }

  /** Frees the variables. */
  dispose(): void {
    for (const variable of this.state().values()) variable.dispose();
    this.variables.weights.clear();
    this.variables.buffers.clear();
  }
}
