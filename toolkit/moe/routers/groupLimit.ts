import type { GroupLimit } from "../routerConfig.ts";
import { bestExperts } from "../selection.ts";

/** Closes, for each token, all experts outside its best groups: their scores become −Infinity, in place.
 *  @param scores [N·E]; −Infinity where an expert is closed already
 *  @param summed how many of a group's best scores are its score: 1 for their maximum (DeepSeek-V2), 2 (DeepSeek-V3). Ties
 *    go to the lower group. */
export function closeOtherGroups(scores: Float64Array, E: number, { numGroups, groupsPerToken }: GroupLimit, summed: 1 | 2): void {
  const size = E / numGroups;
  const N = scores.length / E;
  const groupScores = new Float64Array(N * numGroups);
  for (let i = 0; i < groupScores.length; i++) groupScores[i] = sumOfBest(scores, i * size, size, summed);
  const isOpen = new Uint8Array(N * numGroups);
  bestExperts(groupScores, N, numGroups, groupsPerToken).forEach((group, i) => { if (group >= 0) isOpen[Math.floor(i / groupsPerToken) * numGroups + group] = 1; });
  for (let i = 0; i < isOpen.length; i++) if (!isOpen[i]) scores.fill(-Infinity, i * size, (i + 1) * size);
}

function sumOfBest(scores: Float64Array, start: number, size: number, summed: 1 | 2): number {
  let best = -Infinity, second = -Infinity;
  for (let i = start; i < start + size; i++) {
    if (scores[i] > best) { second = best; best = scores[i]; }
    else if (scores[i] > second) second = scores[i];
  }
  return summed === 2 && second !== -Infinity ? best + second : best;
}
