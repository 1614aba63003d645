import type * as tf from "@tensorflow/tfjs-core";
import type { RoutingRecord } from "../models/transformer.ts";

/** What analysis needs of a model; Transformer has it. */
export interface RoutedModel {
  readonly config: {
    readonly numLayers: number;
    readonly contextLength: number;
    readonly moe: { readonly numExperts: number; readonly expertsPerToken: number };
  };
  /** @param ids [B, T] int32
   *  @returns one routing record a layer */
  forward(ids: tf.Tensor2D): { readonly routing: readonly Pick<RoutingRecord, "layer" | "ids" | "weights" | "probabilities">[] };
}
