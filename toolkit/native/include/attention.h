#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** Sizes of one call. Query i sees keys j ≤ i + (Tk − Tq); query head h uses key/value head h / (Q / G). */
struct AttentionSizes {
  int64_t B, Tq, Tk, Q, G, D;  // Tk ≥ Tq, Q a multiple of G
};

/* firstKey [B, Tq]: query i sees keys from firstKey[i] on, 0 ≤ firstKey[i] ≤ i + (Tk − Tq). May be null: from 0 on. Keys
 * that no query of a block sees take no time, so with a window of keys the work is linear in Tk. */

}  // namespace moe

/** y = softmax(query · keyᵀ / √D) · value, causal. query, y [B, Tq, Q, D]; key, value [B, Tk, G, D];
 *  logSumExp [B, Q, Tq] of the scaled scores is kept for the backward pass. Memory grows with Tk, not with Tq · Tk. */
MOE_KERNEL(Status, attentionForward,
           (const AttentionSizes& sizes, const float* query, const float* key, const float* value,
            const int32_t* firstKey, float* y, float* logSumExp))

/** dQuery, dKey, dValue (shaped like the inputs) from dy and what the forward pass gave: y and logSumExp.
 *  Makes the probabilities again, a block of queries at a time; the bits don't depend on the number of threads. */
MOE_KERNEL(Status, attentionBackward,
           (const AttentionSizes& sizes, const float* query, const float* key, const float* value,
            const int32_t* firstKey, const float* y, const float* logSumExp, const float* dy, float* dQuery,
            float* dKey, float* dValue))
