import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { ShapeError } from "../errors.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

export interface RotarySettings {
  /** Ratio of the longest to the shortest wavelength, e.g. 10000. */
  readonly base: number;
  /** Position of the first token of x: the number of tokens already in the key/value cache. Default 0. */
  readonly startPosition?: number;
}

/** Turns each pair (i, i + D/2) of a head by position · base^(−2i/D) radians ("rotate half", as HuggingFace does).
 *  @param x [B, T, heads, D] float32, D even
 *  @returns same shape; differentiable in x
 *  @throws ShapeError E_SHAPE_*, E_SHAPE_HEAD_ODD
 *  Source: Su et al. 2021, eq. 34, arXiv:2104.09864 */
export function rotary(x: tf.Tensor, settings: RotarySettings): tf.Tensor4D {
  const { T, D } = checkShapes("rotary", { x: [x, "B T heads D"] });
  if (D % 2 !== 0) {
    throw new ShapeError({
      code: "E_SHAPE_HEAD_ODD", what: `rotary got a head size of ${D}`, why: "it turns channels in pairs", fix: "choose an even headSize",
    });
  }
  const { base, startPosition = 0 } = settings;
  if (!hasNativeKernel("Rotary")) return composedRotary(x, anglesOf(T, D, base, startPosition));
  const attrs: RotaryAttrs = { base, startPosition, isInverse: false };
  return runKernel<tf.Tensor4D>("Rotary", { x }, attrs);
}

/** Cosine and sine of every angle, each [T · D/2]. */
interface Angles {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

let lastAngles: (Angles & { readonly key: string }) | undefined;

/** The angles of these positions. The last ones are remembered: queries and keys of all layers ask for the same. */
function anglesOf(T: number, D: number, base: number, startPosition: number): Angles {
  const key = [T, D, base, startPosition].join(" ");
  if (lastAngles?.key !== key) lastAngles = { key, ...computeAngles(T, D, base, startPosition) };
  return lastAngles;
}

/** In double, because positions grow large. */
function computeAngles(T: number, D: number, base: number, startPosition: number): Angles {
  const half = D / 2;
  const cos = new Float32Array(T * half);
  const sin = new Float32Array(T * half);
  for (let i = 0; i < half; i++) {
    const frequency = base ** (-i / half);
    for (let t = 0; t < T; t++) {
      const angle = (startPosition + t) * frequency;
      cos[t * half + i] = Math.cos(angle);
      sin[t * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** rotary out of tfjs ops, for backends without the kernel. */
function composedRotary(x: tf.Tensor, angles: Angles): tf.Tensor4D {
  return tf.tidy(() => {
    const [, T, , D] = x.shape as [number, number, number, number];
    const cos = tf.tensor(angles.cos.slice(), [1, T, 1, D / 2]);
    const sin = tf.tensor(angles.sin.slice(), [1, T, 1, D / 2]);
    const [first, second] = tf.split(x, 2, -1);
    const turned = [tf.sub(tf.mul(first, cos), tf.mul(second, sin)), tf.add(tf.mul(second, cos), tf.mul(first, sin))];
    return tf.concat(turned, -1) as tf.Tensor4D;
  });
}

interface RotaryAttrs {
  readonly base: number;
  readonly startPosition: number;
  /** Turn backwards: the gradient of a rotation. */
  readonly isInverse: boolean;
}

registerNativeKernel<RotaryAttrs>("Rotary", ({ inputs: { x }, attrs, backend, native }) => {
  const [B, T, heads, D] = x.shape;
  const { cos, sin } = anglesOf(T, D, attrs.base, attrs.startPosition);
  const y = backend.allocate("float32", B * T * heads * D);
  native.rotary(B, T, heads, D, attrs.isInverse, backend.floats(x), backend.constant(cos), backend.constant(sin), y);
  return backend.activation(x.shape, "float32", y);
});

tf.registerGradient({
  kernelName: "Rotary",
  gradFunc: (dy, _saved, attrs) => ({ x: () => runKernel("Rotary", { x: dy as tf.Tensor }, { ...attrs, isInverse: attrs.isInverse !== true }) }),
});
