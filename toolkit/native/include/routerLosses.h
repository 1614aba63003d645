#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/* Losses of a router's choices. mask [N] weighs the tokens. */

/** loss [1] = E · Σₑ shareₑ · meanₑ, where share [E] gets Σ mask · (choices of e) / Σ mask · (choices) and meanₑ is
 *  Σ mask · probabilities[., e] / Σ mask. ids [N, K], −1 for no choice, probabilities [N, E].
 *  Without any choice share and loss are 0. outOfRange if an id isn't in [−1, E). */
MOE_KERNEL(Status, balanceLossForward,
           (const int32_t* ids, const float* probabilities, const float* mask, int64_t N, int64_t K, int64_t E,
            float* share, float* loss))

/** dProbabilities [N, E] = dLoss [1] · E · share · mask / Σ mask, 0 if Σ mask = 0. */
MOE_KERNEL(Status, balanceLossBackward,
           (const float* share, const float* mask, const float* dLoss, int64_t N, int64_t E, float* dProbabilities))

/** loss [1] = Σ mask · logsumexp(logits)² / Σ mask; logits [N, E], E ≥ 1. */
MOE_KERNEL(Status, zLossForward, (const float* logits, const float* mask, int64_t N, int64_t E, float* loss))

/** dLogits [N, E] = 2 · dLoss [1] · mask / Σ mask · logsumexp(logits) · softmax(logits). */
MOE_KERNEL(Status, zLossBackward,
           (const float* logits, const float* mask, const float* dLoss, int64_t N, int64_t E, float* dLogits))
