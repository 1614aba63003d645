#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

enum class BinaryOp {
  add, subtract, multiply, divide, maximum, minimum, squaredDifference, power,
  prelu  // a where a ≥ 0, else a · b
};
enum class CompareOp { equal, notEqual, greater, greaterEqual, less, lessEqual };
enum class LogicalOp { both, either };
enum class UnaryOp {
  negate, exp, log, sqrt, rsqrt, square, relu, relu6, elu,
  leakyRelu,  // x where x ≥ 0, else first · x
  sigmoid, tanh, abs,
  step,  // 1 where x > 0, else first
  reciprocal,
  clip,  // to [first, second]
  sin, cos, erf, log1p, expm1, floor, ceil
};

inline constexpr int64_t kMostDimensions = 8;

/** How two operands spread over an output of `rank` dimensions: a stride of 0 repeats the operand along a dimension.
 *  The output is contiguous; strides are in elements, and those of the last dimension are 0 or 1. */
struct Broadcast {
  int64_t rank;  // 1 ≤ rank ≤ kMostDimensions
  const int64_t *sizes, *aStrides, *bStrides;
};

}  // namespace moe

/** out = op(a, b), float32; out may be a or b where that operand isn't repeated. NaN in gives NaN out. */
MOE_KERNEL(Status, binary, (BinaryOp op, const Broadcast& shape, const float* a, const float* b, float* out))

/** out = 1 where op(a, b) holds, else 0. Comparing with NaN: only notEqual holds. */
MOE_KERNEL(Status, compare, (CompareOp op, const Broadcast& shape, const float* a, const float* b, uint8_t* out))
MOE_KERNEL(Status, compareInts, (CompareOp op, const Broadcast& shape, const int32_t* a, const int32_t* b, uint8_t* out))
MOE_KERNEL(Status, compareBytes, (CompareOp op, const Broadcast& shape, const uint8_t* a, const uint8_t* b, uint8_t* out))

/** out = 1 or 0, from bytes of which any but 0 counts as true. */
MOE_KERNEL(Status, logical, (LogicalOp op, const Broadcast& shape, const uint8_t* a, const uint8_t* b, uint8_t* out))

/** out[count] = op(x), float32; out may be x. `first` and `second` are the op's settings. */
MOE_KERNEL(Status, unary, (UnaryOp op, int64_t count, float first, float second, const float* x, float* out))
