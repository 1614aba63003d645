import type * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import { elementwiseOps } from "./elementwiseOps.ts";
import { imageOps } from "./imageOps.ts";
import { layoutOps } from "./layoutOps.ts";
import { productOps } from "./productOps.ts";
import { reductionOps } from "./reductionOps.ts";
import type { Sample } from "./samples.ts";

/** One call of an op with all that it needs. */
export interface OpCase {
  readonly inputs: readonly Sample[];
  readonly run: (tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  /** what the call was besides its inputs, for the report */
  readonly settings?: unknown;
  /** allowed difference as a part of cpu's value */
  readonly relative?: number;
  /** allowed difference whatever the value */
  readonly absolute?: number;
}

export type OpMaker = (chance: Chance) => OpCase;

export const opMakers: Readonly<Record<string, OpMaker>> = { ...elementwiseOps, ...reductionOps, ...layoutOps, ...productOps, ...imageOps };
