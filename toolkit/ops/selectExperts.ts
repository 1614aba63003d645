import * as tf from "@tensorflow/tfjs-core";
import { hasNativeKernel, registerNativeKernel } from "../backend/nativeKernel.ts";
import { bestOfRows } from "./bestOfRows.ts";
import { runKernel } from "./runKernel.ts";
import { checkShapes } from "./shapes.ts";

/** Groups of experts next to each other, and how many of them a token may choose from. */
export interface ExpertGroups {
  readonly numGroups: number;
  readonly groupsPerToken: number;
  /** how many of a group's best scores are its score: 1 for their maximum (DeepSeek-V2), 2 (DeepSeek-V3) */
  readonly summed: 1 | 2;
}

export interface SelectExpertsOptions {
  /** [E] float32, added to the scores in double; −Infinity closes an expert */
  readonly bias?: tf.Tensor;
  /** closes, for each token, all experts outside its best groups; ties go to the lower group */
  readonly groups?: ExpertGroups;
}

/** The K experts of the best scores for each token, best first. Ties go to the lower id, NaN counts as the lowest score, and
 *  −Infinity closes an expert. The choice has no gradient.
 *  @param scores [N, E] float32
 *  @returns [N, K] int32, −1 where fewer than K are open
 *  @throws ShapeError */
export function selectExperts(scores: tf.Tensor, expertsPerToken: number, { bias, groups }: SelectExpertsOptions = {}): tf.Tensor2D {
  const { N, E } = checkShapes("selectExperts", bias ? { scores: [scores, "N E"], bias: [bias, "E"] } : { scores: [scores, "N E"] });
  const attrs: SelectExpertsAttrs = { scores, bias, K: expertsPerToken, groups };
  if (hasNativeKernel("SelectExperts")) return runKernel<tf.Tensor2D>("SelectExperts", {}, attrs);
  const shifts = bias?.dataSync<"float32">();
  const choice = Float64Array.from(scores.dataSync<"float32">(), (score, i) => score + (shifts?.[i % E] ?? 0));
  if (groups) closeOtherGroups(choice, E, groups);
  return tf.tensor2d(bestOfRows(choice, N, E, expertsPerToken, -Infinity), [N, expertsPerToken], "int32");
}

/** Closes the experts outside each token's best groups, in place.
 *  @param scores [N·E] */
function closeOtherGroups(scores: Float64Array, E: number, { numGroups, groupsPerToken, summed }: ExpertGroups): void {
  const size = E / numGroups;
  const N = scores.length / E;
  const groupScores = Float64Array.from({ length: N * numGroups }, (_, i) => sumOfBest(scores.subarray(i * size, (i + 1) * size), summed));
  const isOpen = new Uint8Array(N * numGroups);
  bestOfRows(groupScores, N, numGroups, groupsPerToken, -Infinity).forEach((group, i) => { if (group >= 0) isOpen[Math.floor(i / groupsPerToken) * numGroups + group] = 1; });
  for (let i = 0; i < isOpen.length; i++) if (!isOpen[i]) scores.fill(-Infinity, i * size, (i + 1) * size);
}

function sumOfBest(scores: Float64Array, summed: 1 | 2): number {
  let best = -Infinity, second = -Infinity;
  for (const score of scores) {
    if (score > best) { second = best; best = score; }
    else if (score > second) second = score;
  }
  return summed === 2 && second !== -Infinity ? best + second : best;
}

interface SelectExpertsAttrs {
  /** Not inputs of the kernel: tfjs would look for a gradient through whatever uses its output. */
  readonly scores: tf.Tensor;
  readonly bias: tf.Tensor | undefined;
  readonly K: number;
  readonly groups: ExpertGroups | undefined;
}

registerNativeKernel<SelectExpertsAttrs>("SelectExperts", ({ attrs: { scores, bias, K, groups }, backend, native }) => {
  const [N, E] = scores.shape;
  const ids = backend.allocate("int32", N * K);
  native.selectExperts(N, E, K, groups?.numGroups ?? 0, groups?.groupsPerToken ?? 0, groups?.summed ?? 1, backend.floats(scores), bias ? backend.floats(bias) : null, ids);
  return backend.output([N, K], "int32", ids);
});
