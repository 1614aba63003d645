import * as tf from "@tensorflow/tfjs-core";
import { specialFloats, specialInts, type Chance } from "./chance.ts";

/** A tensor to make on each backend. */
export interface Sample {
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
  readonly values: Float32Array | Int32Array | Uint8Array;
}

export const numericTypes = ["float32", "int32", "bool"] as const;

export function tensorOf({ shape, dtype, values }: Sample): tf.Tensor {
  return tf.tensor(values.slice(), shape, dtype);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** Rank 0 to 6, a few thousand elements at most, one in ten without any; now and then so large that threads share it. */
export function shapeOf(chance: Chance, ranks: readonly [least: number, most: number] = [0, 6]): number[] {
  const rank = chance.int(...ranks);
  if (rank >= 1 && rank <= 2 && chance.isTrue(0.03)) return rank === 1 ? [chance.int(30_000, 70_000)] : [chance.int(100, 300), chance.int(100, 300)];
  const longest = [9, 40, 20, 8, 5, 4, 3][rank];
  const shape = Array.from({ length: rank }, () => chance.int(1, longest));
  if (rank > 0 && chance.isTrue(0.1)) shape[chance.int(0, rank - 1)] = 0;
  return shape;
}

/** How wild a tensor's values are: `calm` are near 0, `special` may be NaN and infinite, `extreme` also near the limits
 *  of the dtype, where sums in another order come out differently. */
export type Wildness = "calm" | "special" | "extreme";

export function floats(chance: Chance, shape: number[], wildness: Wildness = "extreme", [low, high]: readonly [number, number] = [-3, 3]): Sample {
  const share = wildness === "calm" || chance.isTrue(0.6) ? 0 : 0.2;
  const specials = specialFloats.filter((value) => wildness === "extreme" || Math.abs(value) <= 1 || !Number.isFinite(value));
  const values = Float32Array.from({ length: sizeOf(shape) }, () => (chance.isTrue(share) ? chance.pick(specials) : low + (high - low) * chance.next()));
  return { shape, dtype: "float32", values };
}

/** Integers from low to high, sometimes also at the limits of int32. */
export function ints(chance: Chance, shape: number[], low: number, high: number, share = 0): Sample {
  const values = Int32Array.from({ length: sizeOf(shape) }, () => (chance.isTrue(share) ? chance.pick(specialInts) : chance.int(low, high)));
  return { shape, dtype: "int32", values };
}

export function bools(chance: Chance, shape: number[]): Sample {
  return { shape, dtype: "bool", values: Uint8Array.from({ length: sizeOf(shape) }, () => chance.int(0, 1)) };
}

/** A tensor of any of the three dtypes. */
export function anySample(chance: Chance, shape: number[], wildness: Wildness = "extreme", dtype: Sample["dtype"] = chance.pick(numericTypes)): Sample {
  switch (dtype) {
    case "float32": return floats(chance, shape, wildness);
    case "int32": return ints(chance, shape, -50, 50, wildness === "calm" ? 0 : chance.pick([0, 0.2]));
    case "bool": return bools(chance, shape);
    default: return dtype satisfies never;
  }
}

/** A shape that broadcasts with the given one. */
export function partnerShape(chance: Chance, shape: readonly number[]): number[] {
  const kept = chance.isTrue(0.4) ? shape.slice() : shape.slice(chance.int(0, shape.length));
  return kept.map((length) => (chance.isTrue(0.25) ? 1 : length));
}

/** What was thrown, as text. */
export function errorText(error: unknown): string {
  return error instanceof Error ? String(error) : JSON.stringify(error);
}
