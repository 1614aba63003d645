import { isGated, type FeedForwardKind } from "./feedForwardKinds.ts";
import { floats, type SampleInput } from "./opSample.ts";

/* Inputs of the samples of opTable.ts: the same numbers in every run. */

export type Inputs = Readonly<Record<string, SampleInput>>;

export const rmsNormInputs = (shape: number[]): Inputs => ({ x: floats(shape, 1), gain: floats([shape[shape.length - 1]], 2) });

export const layerNormInputs = (shape: number[]): Inputs => ({ ...rmsNormInputs(shape), bias: floats([shape[shape.length - 1]], 67) });

export const attentionInputs = ([B, Tq, Tk, Q, G, D]: readonly number[]): Inputs => ({
  query: floats([B, Tq, Q, D], 3, 2), key: floats([B, Tk, G, D], 4, 2), value: floats([B, Tk, G, D], 5),
});

/** firstKey of two rows: all keys in the first, the last `window` ones in the second. */
export const windowInSecondRow = (T: number, window: number): SampleInput => ({
  shape: [2, T], dtype: "int32", values: Int32Array.from({ length: 2 * T }, (_, i) => (i < T ? 0 : Math.max(0, i - T - window + 1))),
});

export const projectionInputs = ([N, C, Q, G, H]: readonly number[]): Inputs => ({
  x: floats([N, C], 80), query: floats([C, Q], 81, 1 / Math.sqrt(C)), key: floats([C, G], 82, 1 / Math.sqrt(C)), value: floats([C, H], 83, 1 / Math.sqrt(C)),
});

export const moeInputs = ([N, C, H, E, K]: readonly number[], ids: SampleInput, kind: FeedForwardKind = "swiglu"): Inputs => ({
  x: floats([N, C], 6), weights: floats([N, K], 7), ids, first: floats([E, C, isGated(kind) ? 2 * H : H], 8, 1 / Math.sqrt(C)), down: floats([E, H, C], 9, 1 / Math.sqrt(H)),
});

export const everyExpert = (E: number): number[] => Array.from({ length: E }, (_, e) => e);

export const adamwInputs = (shape: number[]): Inputs => {
  const secondMoment = floats(shape, 13);
  return {
    value: floats(shape, 10), gradient: floats(shape, 11), firstMoment: floats(shape, 12),
    secondMoment: { ...secondMoment, values: secondMoment.values.map((v) => v * v) },
  };
};
export const adamwSettings = { learningRate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, step: 3, gradientScale: 0.5, weightDecay: 0.1 };

export const halfMask: SampleInput = { shape: [4], dtype: "float32", values: Float32Array.of(1, 0, 1, 1) };
