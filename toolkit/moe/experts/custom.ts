import * as tf from "@tensorflow/tfjs-core";
import { ConfigError, ShapeError } from "../../errors.ts";
import type { ForwardContext } from "../../nn/forwardContext.ts";
import { WeightScope, type ModelVariables } from "../../nn/module.ts";
import { combine } from "../../ops/combine.ts";
import { dispatch, withoutUnusedSlots, type DispatchPlan } from "../../ops/dispatch.ts";
import { RandomSource } from "../../random.ts";
import type { SingleExpertConfig } from "../expertConfig.ts";
import type { Experts, ExpertShape } from "../experts.ts";

type CustomConfig = Extract<SingleExpertConfig, { kind: "custom" }>;

/** What one expert computes.
 *  @param rows its tokens, [S, C] float32, S ≥ 1
 *  @returns [S, C], differentiable in rows and in the weights it was built with */
export type ExpertFunction = (rows: tf.Tensor2D, context: ForwardContext) => tf.Tensor2D;

/** An expert written by a user in tf functions. */
export interface CustomExpert {
  /** Makes the weights of one expert, named `experts.<number>.<name>`, and returns what it computes.
   *  @param weights e.g. weights.normal("up", [width, expertWidth], 0.02)
   *  @param settings those of the config, {} by default */
  build(weights: WeightScope, shape: Pick<ExpertShape, "width" | "expertWidth" | "numLayers">, settings: Readonly<Record<string, unknown>>): ExpertFunction;
  /** Floating-point operations for one token; twice the elements of its matrices by default. */
  flopsPerToken?(shape: Pick<ExpertShape, "width" | "expertWidth">, settings: Readonly<Record<string, unknown>>): number;
}

/** Named by a config, which is plain JSON and can't hold a function. */
const registered = new Map<string, CustomExpert>();

/** Makes an expert known under a name for { kind: "custom", name }. A second call with the name replaces it for models that
 *  are built later, so a notebook cell can be run again. A program that loads such a model has to register it too. */
export function registerExpert(name: string, expert: CustomExpert): void {
  registered.set(name, expert);
}

function customExpert(name: string): CustomExpert {
  const expert = registered.get(name);
  if (expert) return expert;
  throw new ConfigError({
    code: "E_EXPERT_NOT_REGISTERED", what: `no expert is registered under the name "${name}"`,
    why: `known are ${registered.size === 0 ? "none" : [...registered.keys()].join(", ")}`,
    fix: `call registerExpert(${JSON.stringify(name)}, { build(weights, shape) { … return (rows) => … } }) before the model is built`,
  });
}

/** Weights of one expert, counted by building it once, and its FLOPs. */
export function customExpertSize({ name, settings = {} }: CustomConfig, shape: Pick<ExpertShape, "width" | "expertWidth">): { readonly parametersPerExpert: number; readonly flopsPerToken: number } {
  const expert = customExpert(name);
  const variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  tf.tidy(() => { expert.build(new WeightScope(variables, new RandomSource(0)), { ...shape, numLayers: 1 }, settings); });
  const weights = [...variables.weights.values()];
  const size = (counted: readonly tf.Variable[]): number => counted.reduce((sum, weight) => sum + weight.size, 0);
  const parametersPerExpert = size(weights);
  const flopsPerToken = expert.flopsPerToken?.(shape, settings) ?? 2 * size(weights.filter(({ rank }) => rank > 1));
  for (const variable of [...weights, ...variables.buffers.values()]) variable.dispose();
  return { parametersPerExpert, flopsPerToken };
}

/** Experts of a user's own; each is called with the rows of the tokens that chose it. One that no token chose isn't called, and
 *  its weights get no gradient in that pass. */
export class CustomExperts implements Experts {
  private readonly name: string;
  private readonly experts: readonly ExpertFunction[];

  constructor(shape: ExpertShape, { name, settings = {} }: CustomConfig, weights: WeightScope) {
    const expert = customExpert(name);
    this.name = name;
    this.experts = Array.from({ length: shape.numExperts }, (_, e) => expert.build(weights.scope(String(e)), shape, settings));
  }

  apply(rows: tf.Tensor2D, offsets: tf.Tensor1D, context: ForwardContext): tf.Tensor2D {
    const bounds = offsets.dataSync<"int32">(), C = rows.shape[1];
    const parts = this.experts.flatMap((compute, e) => {
      const count = bounds[e + 1] - bounds[e];
      if (count === 0) return [];
      const y = compute(tf.slice(rows, [bounds[e], 0], [count, C]), context);
      if (!tf.util.arraysEqual(y.shape, [count, C])) {
        throw new ShapeError({
          code: "E_EXPERT_SHAPE", what: `the expert "${this.name}" gave [${y.shape.join(", ")}] for rows [${count}, ${C}]`,
          why: "what experts give is added to the residual stream row by row", fix: "return a tensor of the shape of the rows",
        });
      }
      return [y];
    });
    return parts.length === 0 ? tf.zerosLike(rows) : tf.concat(parts, 0);
  }

  forward(x: tf.Tensor2D, weights: tf.Tensor2D, plan: DispatchPlan, context: ForwardContext): tf.Tensor2D {
    const used = withoutUnusedSlots(plan);
    return combine(this.apply(dispatch(x, used), used.offsets, context), weights, used);
  }
}
