#pragma once
#include "elementwise.h"

namespace moe {

/** Functions that are seldom on large tensors: computed element by element, most of them in float64. */
enum class MathFunction {
  tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh,
  softplus,  // log(1 + e^x)
  selu,      // 1.0507 · (x where x ≥ 0, else 1.6733 · (e^x − 1)); Klambauer et al. 2017, arXiv:1706.02515
  round,     // to the nearest, halves to even
  sign       // −1, 0 or 1; 0 of NaN
};

enum class MathBinary {
  modulo,  // a − b · ⌊a / b⌋, with the sign of b
  atan2
};

}  // namespace moe

/** out [count] = op(x), float32; out may be x. */
MOE_KERNEL(Status, mathFunction, (MathFunction op, int64_t count, const float* x, float* out))

/** out = op(a, b), float32; out may be a or b where that operand isn't repeated. */
MOE_KERNEL(Status, mathBinary, (MathBinary op, const Broadcast& shape, const float* a, const float* b, float* out))
