import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import type { TransformerConfig } from "../models/config.ts";
import { Transformer } from "../models/transformer.ts";

/** A weight or buffer off the backend, row-major. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Copies of all weights and buffers of a model, by name. */
export function stateOf(model: Transformer): Map<string, HostArray> {
  return new Map([...model.state()].map(([name, variable]) => [name, hostArray(variable)]));
}

function hostArray(variable: tf.Variable): HostArray {
  // A copy, because the CPU backends hand out their live array.
  return { shape: variable.shape, values: Float32Array.from(variable.dataSync<"float32">()) };
}

/** Builds a model and sets what `valueOf` gives for a weight or buffer; the rest stays as a fresh model has it.
 *  @param seed of the fresh weights
 *  @param valueOf the new value of a name, of the shape given, or undefined; may read the fresh value
 *  @throws ConfigError E_CONFIG_*, E_SURGERY_SHAPE */
export function buildModel(config: TransformerConfig, seed: number, valueOf: (name: string, shape: readonly number[], fresh: () => HostArray) => HostArray | undefined): Transformer {
  const model = new Transformer(config, { seed });
  try {
    for (const [name, variable] of model.state()) {
      const value = valueOf(name, variable.shape, () => hostArray(variable));
      if (!value) continue;
      if (!tf.util.arraysEqual([...value.shape], variable.shape)) {
        throw new ConfigError({
          code: "E_SURGERY_SHAPE", what: `${name} is [${value.shape.join(", ")}] and has to become [${variable.shape.join(", ")}]`,
          why: "a weight is carried over only where the shapes of the two models agree", fix: "change one setting at a time, or start from a model of that shape",
        });
      }
      const tensor = tf.tensor(value.values, [...value.shape], "float32");
      variable.assign(tensor);
      tensor.dispose();
    }
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}
