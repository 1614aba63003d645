#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/* Products of matrices as the ops ask for them. Row-major; a transposed operand is stored as its transpose. */

/** out [batch, m, n] = A · B. A is a [aBatches, m, k], or [aBatches, k, m] when transposed; aBatches is batch, or 1 for
 *  a matrix shared by all; B likewise. Zeros where k is 0. */
MOE_KERNEL(Status, matmulBatch,
           (int64_t batch, int64_t m, int64_t n, int64_t k, bool transposeA, bool transposeB, int64_t aBatches,
            int64_t bBatches, const float* a, const float* b, float* out))

/** out [rows, columns]: rows offsets[g] … offsets[g + 1] are those rows of a [rows, inner] times weights[g]
 *  ([groups, inner, columns], or [groups, columns, inner] when transposed). outOfRange unless the offsets [groups + 1]
 *  rise from 0 to rows; on a device the rows from offsets[groups] on are left as they are. */
MOE_KERNEL(Status, matmulGroups,
           (int64_t groups, int64_t rows, int64_t inner, int64_t columns, bool transposeWeights, const int32_t* offsets,
            const float* a, const float* weights, float* out))

/** out[g] [inner, columns] = Aᵀ · G over rows offsets[g] … offsets[g + 1] of a [rows, inner] and gradient
 *  [rows, columns]; zeros for a group without rows. */
MOE_KERNEL(Status, matmulGroupsWeightGradient,
           (int64_t groups, int64_t rows, int64_t inner, int64_t columns, const int32_t* offsets, const float* a,
            const float* gradient, float* out))
