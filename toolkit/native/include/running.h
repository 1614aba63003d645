#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** Which way a running sum or product goes along the middle dimension of [outer, length, inner]. */
struct Running {
  int64_t outer, length, inner;
  bool ofProducts;
  bool isExclusive;  // without the element itself
  bool isReversed;   // from the end
};

}  // namespace moe

/** out [outer, length, inner] = running sums or products of x, each rounded to the element type: integers wrap, products
 *  of integers are taken in float64 first. */
MOE_KERNEL(Status, runFloats, (const Running& running, const float* x, float* out))
MOE_KERNEL(Status, runInts, (const Running& running, const int32_t* x, int32_t* out))
