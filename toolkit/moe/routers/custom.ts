import * as tf from "@tensorflow/tfjs-core";
import { ConfigError, RoutingError, ShapeError } from "../../errors.ts";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import type { WeightScope } from "../../nn/module.ts";
import { chosenScores } from "../../ops/chosenScores.ts";
import { oneHotRows } from "../../ops/oneHotRows.ts";
import { selectExperts } from "../../ops/selectExperts.ts";
import type { MoeConfig } from "../config.ts";
import type { Router, RoutingDecision } from "../router.ts";
import type { CustomRouterConfig } from "../routerConfig.ts";
import { Gate } from "./gate.ts";

/** What a router of a user's own decides: the experts of each token, or a weight for every expert. */
export type CustomDecision = (
  | { /** [N, K] int32, best first, −1 for none; K may differ from the config's */ readonly ids: tf.Tensor2D; /** [N, K] float32 */ readonly weights: tf.Tensor2D }
  | { /** [N, E] float32; of each token the K largest above 0 are taken */ readonly denseWeights: tf.Tensor2D }
) & {
  /** [N, E] float32, read by the z-loss; those of the gate by default where it has one */
  readonly logits?: tf.Tensor2D;
  /** [N, E] float32, read by the balance losses; the softmax of the logits by default, else each weight's share */
  readonly probabilities?: tf.Tensor2D;
  /** joins the training loss with its weight */
  readonly ownLoss?: tf.Scalar;
};

/** Sizes that a router is built for. */
export interface RouterShape {
  /** C */
  readonly width: number;
  /** E */
  readonly numExperts: number;
  /** K */
  readonly expertsPerToken: number;
  /** of the config, {} by default */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A router of a user's own in tf functions; gradients go through the weights, probabilities, logits and ownLoss that it
 *  returns. */
export type CustomRoute = (
  | { /** from the scores x·W [N, E] of a gate that is made for it */ fromLogits(logits: tf.Tensor2D, context: ForwardContext): CustomDecision }
  | { /** from hidden states x [N, C] */ fromHidden(x: tf.Tensor2D, context: ForwardContext): CustomDecision }
) & {
  /** as in Router */
  afterStep?(counts: Float64Array): void;
};

/** Makes a router's weights and buffers, e.g. weights.normal("centres", [numExperts, width], 0.02), and returns the router. */
export type BuildRouter = (shape: RouterShape, weights: WeightScope) => CustomRoute;

/** Named by a config, which is plain JSON and can't hold a function. */
const registered = new Map<string, BuildRouter>();

/** Makes a router known under a name for { kind: "custom", name }. A second call with the name replaces it for models that
 *  are built later, so a notebook cell can be run again. A program that loads such a model has to register it too. */
export function registerRouter(name: string, build: BuildRouter): void {
  registered.set(name, build);
}

/** Runs a router that was named by registerRouter, checks what it returns and fills in what it leaves out. */
export class CustomRouter implements Router {
  private readonly name: string;
  private readonly custom: CustomRoute;
  /** The decision, and the gate's logits where there is a gate. */
  private readonly decide: (x: tf.Tensor2D, context: ForwardContext) => { readonly decision: CustomDecision; readonly scores?: tf.Tensor2D };
  private readonly config: MoeConfig;

  constructor(width: number, config: MoeConfig, router: CustomRouterConfig, weights: WeightScope) {
    const build = registered.get(router.name);
    if (!build) {
      throw new ConfigError({
        code: "E_ROUTER_NOT_REGISTERED", what: `no router is registered under the name "${router.name}"`,
        why: `known are ${registered.size === 0 ? "none" : [...registered.keys()].join(", ")}`,
        fix: `call registerRouter(${JSON.stringify(router.name)}, (shape, weights) => ({ fromLogits: (logits) => … })) before the model is built`,
      });
    }
    const { numExperts, expertsPerToken } = config;
    this.name = router.name;
    this.config = config;
    const custom = build({ width, numExperts, expertsPerToken, settings: router.settings ?? {} }, weights);
    this.custom = custom;
    if ("fromHidden" in custom) this.decide = (x, context) => ({ decision: custom.fromHidden(x, context) });
    else {
      const gate = new Gate(width, config, weights);
      this.decide = (x, context) => {
        const scores = gate.scores(x, context).logits;
        return { decision: custom.fromLogits(scores, context), scores };
      };
    }
  }

  route(x: tf.Tensor2D, context: ForwardContext): RoutingDecision {
    const { decision, scores } = this.decide(x, context);
    const N = x.shape[0], { numExperts: E, expertsPerToken: K } = this.config;
    const { ids, weights } = "ids" in decision ? this.checked(decision, N) : this.bestOf(decision.denseWeights, N, K);
    const logits = decision.logits ?? scores;
    this.checkLosses(logits, decision.probabilities ?? logits);
    return {
      ids, weights, logits: logits ?? tf.zeros([N, E]), ...(decision.ownLoss && { ownLoss: decision.ownLoss }),
      probabilities: decision.probabilities ?? (logits ? tf.softmax(logits) : weightShares(ids, weights, E)),
    };
  }

  afterStep(counts: Float64Array): void {
    this.custom.afterStep?.(counts);
  }

  private bestOf(dense: tf.Tensor2D, N: number, K: number): Pick<RoutingDecision, "ids" | "weights"> {
    const E = this.config.numExperts;
    this.checkShape("denseWeights", dense, [N, E], "float32");
    const ids = selectExperts(tf.where(tf.greater(dense, 0), dense, tf.fill([N, E], -Infinity)), K);
    return { ids, weights: chosenScores(dense, ids) };
  }

  private checked({ ids, weights }: Pick<RoutingDecision, "ids" | "weights">, N: number): Pick<RoutingDecision, "ids" | "weights"> {
    const K = ids.shape[1], E = this.config.numExperts;
    this.checkShape("ids", ids, [N, K], "int32");
    this.checkShape("weights", weights, [N, K], "float32");
    const host = ids.dataSync<"int32">();
    for (let i = 0; i < host.length; i++) {
      const isRepeated = host[i] >= 0 && host.subarray(i - (i % K), i).includes(host[i]);
      if (host[i] >= -1 && host[i] < E && !isRepeated) continue;
      throw new RoutingError({
        code: "E_ROUTER_IDS", what: `the router "${this.name}" sent token ${Math.floor(i / K)} to expert ${host[i]}${isRepeated ? " twice" : ""}`,
        why: `experts are 0 to ${E - 1}, each at most once a token, and −1 for none`, fix: "change the ids that it returns",
      });
    }
    return { ids, weights };
  }

  private checkShape(what: string, tensor: tf.Tensor, shape: number[], dtype: string): void {
    if (tensor.dtype === dtype && tf.util.arraysEqual(tensor.shape, shape)) return;
    throw new ShapeError({
      code: "E_ROUTER_SHAPE", what: `the router "${this.name}" gave ${what} [${tensor.shape.join(", ")}] ${tensor.dtype}`,
      why: `for this batch ${what} is [${shape.join(", ")}] ${dtype}`, fix: "return a row for each token",
    });
  }

  /** A loss without a gradient would look as if it were at work. */
  private checkLosses(logits: tf.Tensor2D | undefined, probabilities: tf.Tensor2D | undefined): void {
    const { zLossWeight, balanceLossWeight, sequenceBalanceLossWeight } = this.config;
    const missing = zLossWeight > 0 && !logits ? "logits" : (balanceLossWeight > 0 || sequenceBalanceLossWeight > 0) && !probabilities ? "probabilities" : undefined;
    if (missing === undefined) return;
    throw new RoutingError({
      code: "E_ROUTER_LOSS", what: `the router "${this.name}" returns no ${missing}`, why: "a loss of the config reads them",
      fix: `return ${missing} [N, E] too, or set moe.${missing === "logits" ? "zLossWeight" : "balanceLossWeight and moe.sequenceBalanceLossWeight"} to 0`,
    });
  }
}

/** Weights by expert over their sum in each row, [N, E]. */
function weightShares(ids: tf.Tensor2D, weights: tf.Tensor2D, E: number): tf.Tensor2D {
  const [N, K] = ids.shape;
  const dense = tf.sum<tf.Tensor2D>(tf.mul(oneHotRows(ids, E), tf.reshape(weights, [N, K, 1])), 1);
  return tf.div(dense, tf.maximum(tf.sum(dense, 1, true), 1e-20));
}
