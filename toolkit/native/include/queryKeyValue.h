#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** N rows of C channels, and the columns of the three matrices. */
struct ProjectionSizes {
  int64_t N, C;
  int64_t columns[3];
};

}  // namespace moe

/** outputs[i] [N, columns[i]] = x [N, C] · weights[i] [C, columns[i]], on all threads together. */
MOE_KERNEL(Status, queryKeyValueForward,
           (const ProjectionSizes& sizes, const float* x, const float* const (&weights)[3], float* const (&outputs)[3]))

/** dWeights[i] = xᵀ · dOutputs[i]; dx [N, C] = Σᵢ dOutputs[i] · weights[i]ᵀ, added in the order of i. */
MOE_KERNEL(Status, queryKeyValueBackward,
           (const ProjectionSizes& sizes, const float* x, const float* const (&weights)[3],
            const float* const (&dOutputs)[3], float* dx, float* const (&dWeights)[3]))
