#include "broadcast.h"

namespace moe::cuda {
namespace {

/** JavaScript's power differs from C's: any power of NaN, and ±1 to an infinite power, are NaN. */
__device__ inline float powerOf(float a, float b) {
  bool isUndefined = b != b || ((a == 1.0f || a == -1.0f) && fabsf(b) == INFINITY);
  return isUndefined ? NAN : powf(a, b);
}

template <BinaryOp Op>
struct OfTwo {
  __device__ float operator()(float a, float b) const {
    if constexpr (Op == BinaryOp::add) return a + b;
    if constexpr (Op == BinaryOp::subtract) return a - b;
    if constexpr (Op == BinaryOp::multiply) return a * b;
    if constexpr (Op == BinaryOp::divide) return a / b;
    // NaN where a or b is NaN, as JavaScript's Math.max and Math.min have it; fmaxf gives the other one
    if constexpr (Op == BinaryOp::maximum) return a != a ? a : b != b ? b : a > b ? a : b;
    if constexpr (Op == BinaryOp::minimum) return a != a ? a : b != b ? b : a < b ? a : b;
    if constexpr (Op == BinaryOp::squaredDifference) return (a - b) * (a - b);
    if constexpr (Op == BinaryOp::power) return powerOf(a, b);
    if constexpr (Op == BinaryOp::prelu) return a < 0.0f ? a * b : a;
  }
};

template <BinaryOp Op>
Status run(const Broadcast& shape, const float* a, const float* b, float* out) {
  return joinElements(shape, OfTwo<Op>{}, a, b, out);
}

}  // namespace

Status binary(BinaryOp op, const Broadcast& shape, const float* a, const float* b, float* out) {
  switch (op) {
    case BinaryOp::add: return run<BinaryOp::add>(shape, a, b, out);
    case BinaryOp::subtract: return run<BinaryOp::subtract>(shape, a, b, out);
    case BinaryOp::multiply: return run<BinaryOp::multiply>(shape, a, b, out);
    case BinaryOp::divide: return run<BinaryOp::divide>(shape, a, b, out);
    case BinaryOp::maximum: return run<BinaryOp::maximum>(shape, a, b, out);
    case BinaryOp::minimum: return run<BinaryOp::minimum>(shape, a, b, out);
    case BinaryOp::squaredDifference: return run<BinaryOp::squaredDifference>(shape, a, b, out);
    case BinaryOp::power: return run<BinaryOp::power>(shape, a, b, out);
    case BinaryOp::prelu: return run<BinaryOp::prelu>(shape, a, b, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(BinaryOp::prelu));
}

}  // namespace moe::cuda
