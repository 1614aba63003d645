import * as tf from "@tensorflow/tfjs-core";
import type { GatedKind, PlainKind } from "../expertConfig.ts";

/** The activation of a feed-forward part between its two products; with a gate, activation(gate) ∘ up.
 *  @param projected [S, 2H] for the gated kinds, gate left and up projection right; [S, H] for the plain ones
 *  @returns [S, H] */
export function activate(kind: GatedKind | PlainKind, projected: tf.Tensor2D): tf.Tensor2D {
  switch (kind) {
    case "swiglu": return gated(projected, silu);
    case "geglu": return gated(projected, gelu);
    case "reglu": return gated(projected, (gate) => tf.relu(gate));
    case "glu": return gated(projected, (gate) => tf.sigmoid(gate));
    case "gelu": return gelu(projected);
    case "relu": return tf.relu(projected);
    case "relu2": return tf.square(tf.relu(projected));
    case "silu": return silu(projected);
  }
}

function gated(projected: tf.Tensor2D, activation: (x: tf.Tensor2D) => tf.Tensor2D): tf.Tensor2D {
  const [gate, up] = tf.split<tf.Tensor2D>(projected, 2, 1);
  return tf.mul(activation(gate), up);
}

function silu(x: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(x, tf.sigmoid(x));
}

/** x·Φ(x) with the exact Φ. Source: Hendrycks & Gimpel 2016, arXiv:1606.08415 */
function gelu(x: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(x, tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5));
}
