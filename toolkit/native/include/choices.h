#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** The groups of experts that a token may choose from. */
struct GroupLimit {
  int64_t numGroups;       // 0 for no limit; else E is a multiple of it
  int64_t groupsPerToken;
  int64_t summed;          // how many of a group's best scores are its score: 1 or 2
};

}  // namespace moe

/** ids [N, K]: the K best experts of each token by scores [N, E] + bias [E], added in double; best first, ties to the lower id,
 *  NaN lowest. A sum of −infinity closes an expert; −1 where fewer than K are open. bias may be null. With groups, all experts
 *  outside a token's best groups are closed, ties to the lower group. */
MOE_KERNEL(Status, selectExperts,
           (const float* scores, const float* bias, int64_t N, int64_t E, int64_t K, const GroupLimit& groups,
            int32_t* ids))

/** y [N, K]: scores [N, E] at ids [N, K], 0 where the id is −1. outOfRange if an id isn't in [−1, E). */
MOE_KERNEL(Status, chosenScores,
           (const float* scores, const int32_t* ids, int64_t N, int64_t E, int64_t K, float* y))

/** dScores [N, E]: dy [N, K] at the ids of its row, 0 elsewhere. No id twice in a row but −1. */
MOE_KERNEL(Status, chosenScoresBackward,
           (const int32_t* ids, const float* dy, int64_t N, int64_t E, int64_t K, float* dScores))

/** counts [B, E]: of each row of T tokens, Σ mask over its choices of each expert; ids [B·T, K], −1 for no choice, mask [B·T]
 *  or null for ones. outOfRange if an id isn't in [−1, E). */
MOE_KERNEL(Status, countChoices,
           (const int32_t* ids, const float* mask, int64_t B, int64_t T, int64_t K, int64_t E, float* counts))

/** assigned [N, K]: ids, but −1 for choices over their expert's capacity. Each expert keeps its earliest choices, with weights
 *  [N, K] those of the largest weights, of equal ones the earlier. outOfRange if an id isn't in [−1, E). */
MOE_KERNEL(Status, limitChoices,
           (const int32_t* ids, const float* weights, int64_t count, int64_t E, int64_t capacity, int32_t* assigned))
