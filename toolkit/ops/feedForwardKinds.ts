import * as tf from "@tensorflow/tfjs-core";

/** Feed-forward parts with a gate: down(f(gate(x)) ∘ up(x)). Source: Shazeer 2020, arXiv:2002.05202 */
export const gatedKinds = ["swiglu", "geglu", "reglu", "glu"] as const;
/** Feed-forward parts without one: down(f(up(x))). relu2 squares the ReLU: So et al. 2021, arXiv:2109.08668 */
export const plainKinds = ["gelu", "relu", "relu2", "silu"] as const;
/** All of them; their order is that of FeedForwardKind in native/include/expertFeedForward.h. */
export const feedForwardKinds = [...gatedKinds, ...plainKinds] as const;

export type GatedKind = (typeof gatedKinds)[number];
export type PlainKind = (typeof plainKinds)[number];
export type FeedForwardKind = GatedKind | PlainKind;

export function isGated(kind: FeedForwardKind): kind is GatedKind {
  return (gatedKinds as readonly string[]).includes(kind);
}

/** The activation of a feed-forward part between its two products; with a gate, activation(gate) ∘ up.
 *  @param projected [S, 2H] for the gated kinds, gate left and up projection right; [S, H] for the plain ones
 *  @returns [S, H] */
export function activate(kind: FeedForwardKind, projected: tf.Tensor2D): tf.Tensor2D {
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
