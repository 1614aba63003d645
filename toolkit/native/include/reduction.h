#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

enum class ReduceOp { sum, product, maximum, minimum };

}  // namespace moe

/** out [outer, inner] = the reduction of x [outer, length, inner] over its middle dimension, times `scale`.
 *  Sums are kept in float32 over at most 512 terms, then in float64; no result depends on the number of threads. A NaN
 *  gives NaN. length ≥ 1 for maximum and minimum; otherwise 0 gives 0 for sum and 1 for product. */
MOE_KERNEL(Status, reduce,
           (ReduceOp op, int64_t outer, int64_t length, int64_t inner, float scale, const float* x, float* out))

/** out [outer, inner] int32 = the index of the largest (or smallest) of x [outer, length, inner]; ties go to the lower
 *  index, NaN is passed over unless it comes first. length ≥ 1 */
MOE_KERNEL(Status, indexOfExtreme,
           (bool ofLargest, int64_t outer, int64_t length, int64_t inner, const float* x, int32_t* out))

/** out [rows, columns] = softmax of each row of x */
MOE_KERNEL(Status, softmaxRows, (int64_t rows, int64_t columns, const float* x, float* out))

/** The k largest of each row of x [rows, columns], largest first, ties to the lower index: values [rows, k] and
 *  indices [rows, k] int32. 1 ≤ k ≤ columns */
MOE_KERNEL(Status, largestOfRows,
           (int64_t rows, int64_t columns, int64_t k, const float* x, float* values, int32_t* indices))
