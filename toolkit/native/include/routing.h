#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** The K largest of each row of logits [N, E], best first, ties to the lower id, NaN lowest: ids [N, K].
 *  probabilities [N, E] = softmax(logits); weights [N, K] = those of the chosen, divided by their sum if renormalize. */
MOE_KERNEL(Status, routeTopKForward,
           (const float* logits, int64_t N, int64_t E, int64_t K, bool renormalize, int32_t* ids, float* weights,
            float* probabilities))

/** dLogits [N, E] from dWeights [N, K] and dProbabilities [N, E]. Reads every id only after checking it. */
MOE_KERNEL(Status, routeTopKBackward,
           (const int32_t* ids, const float* weights, const float* probabilities, const float* dWeights,
            const float* dProbabilities, int64_t N, int64_t E, int64_t K, bool renormalize, float* dLogits))
