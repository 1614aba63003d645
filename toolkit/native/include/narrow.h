#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** Floats of 16 bits. bfloat16 is the upper half of a float32; float16 is IEEE 754 binary16. */
enum class NarrowType { bfloat16, float16 };

}  // namespace moe

/** out[count] = x rounded to the nearest, ties to even: subnormals, infinities and the sign of 0 are kept, what is too
 *  large becomes infinity, NaN stays NaN (quiet, with the upper bits of its payload). */
MOE_KERNEL(Status, narrowFloats, (NarrowType type, int64_t count, const float* x, uint16_t* out))

/** out[count] = x, exactly; NaN stays NaN (a float16 one becomes quiet). */
MOE_KERNEL(Status, widenFloats, (NarrowType type, int64_t count, const uint16_t* x, float* out))
