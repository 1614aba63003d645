#pragma once
#include "elementwise.h"
#include "reduction.h"

/* Arithmetic of int32 tensors. Results are those of real numbers in float64, brought into int32 as JavaScript does:
 * the fraction is dropped, the rest taken modulo 2³², NaN and infinity become 0. */
namespace moe {

enum class IntBinaryOp {
  add, subtract, multiply, maximum, minimum, squaredDifference,
  floorDivide,  // ⌊a / b⌋, 0 where b is 0
  modulo        // a − b · ⌊a / b⌋, 0 where b is 0
};
enum class IntUnaryOp {
  negate, abs, square,
  sign,  // −1, 0 or 1
  relu,  // the larger of x and 0
  clip   // to [first, second]
};

}  // namespace moe

/** out = op(a, b); out may be a or b where that operand isn't repeated. */
MOE_KERNEL(Status, binaryInts,
           (IntBinaryOp op, const Broadcast& shape, const int32_t* a, const int32_t* b, int32_t* out))

/** out [count] = op(x); out may be x. `first` and `second` are the op's settings. */
MOE_KERNEL(Status, unaryInts,
           (IntUnaryOp op, int64_t count, double first, double second, const int32_t* x, int32_t* out))

/** out [outer, inner] = the reduction of x [outer, length, inner] over its middle dimension; length ≥ 1 for maximum and
 *  minimum, otherwise 0 gives 0 for sum and 1 for product. Sums are exact before they are brought into int32. */
MOE_KERNEL(Status, reduceInts,
           (ReduceOp op, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out))

/** out [outer, inner] = 1 where all (or any) of x [outer, length, inner] are not 0, else 0. */
MOE_KERNEL(Status, reduceBytes, (bool ofAll, int64_t outer, int64_t length, int64_t inner, const uint8_t* x, uint8_t* out))

/** out [outer, inner] = the index of the largest (or smallest) of x [outer, length, inner]; ties go to the lower index.
 *  1 ≤ length < 2³¹ */
MOE_KERNEL(Status, indexOfExtremeInt,
           (bool ofLargest, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out))

/** The k largest of each row of x [rows, columns], largest first, ties to the lower index: values [rows, k] and
 *  indices [rows, k]. 1 ≤ k ≤ columns */
MOE_KERNEL(Status, largestIntsOfRows,
           (int64_t rows, int64_t columns, int64_t k, const int32_t* x, int32_t* values, int32_t* indices))
