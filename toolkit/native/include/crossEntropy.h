#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** nats [1] = Σₙ maskₙ · (logSumExpₙ − logitsₙ[targetₙ]) / Σ mask, 0 if Σ mask = 0. logits [N, V], targets [N], mask [N];
 *  logSumExp [N] is kept for the backward pass. Rows with mask 0 are not looked at.
 *  outOfRange if a target with a mask isn't in [0, V). */
MOE_KERNEL(Status, crossEntropyForward,
           (const float* logits, const int32_t* targets, const float* mask, int64_t N, int64_t V, float* logSumExp,
            float* nats))

/** dLogits [N, V] = dNats [1] · mask / Σ mask · (softmax(logits) − one-hot(target)). */
MOE_KERNEL(Status, crossEntropyBackward,
           (const float* logits, const int32_t* targets, const float* mask, const float* logSumExp, const float* dNats,
            int64_t N, int64_t V, float* dLogits))
