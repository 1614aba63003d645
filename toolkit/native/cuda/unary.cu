#include "elements.h"
#include "elementwise.h"

namespace moe::cuda {
namespace {

/** The larger of x and 0, NaN where x is NaN; +0 for −0, as in Math.max(0, x). */
__device__ inline float positivePart(float x) { return x <= 0.0f ? 0.0f : x; }

template <UnaryOp Op>
struct OfOne {
  float first, second;

  __device__ float operator()(float x) const {
    if constexpr (Op == UnaryOp::negate) return -x;
    if constexpr (Op == UnaryOp::exp) return expf(x);
    if constexpr (Op == UnaryOp::log) return logf(x);
    if constexpr (Op == UnaryOp::sqrt) return sqrtf(x);
    if constexpr (Op == UnaryOp::rsqrt) return 1.0f / sqrtf(x);
    if constexpr (Op == UnaryOp::square) return x * x;
    if constexpr (Op == UnaryOp::relu) return positivePart(x);
    if constexpr (Op == UnaryOp::relu6) return x > 6.0f ? 6.0f : positivePart(x);
    if constexpr (Op == UnaryOp::elu) return x >= 0.0f ? x : expm1f(x);
    if constexpr (Op == UnaryOp::leakyRelu) return x < 0.0f ? x * first : x;
    if constexpr (Op == UnaryOp::sigmoid) return 1.0f / (1.0f + expf(-x));
    if constexpr (Op == UnaryOp::tanh) return tanhf(x);
    if constexpr (Op == UnaryOp::abs) return fabsf(x);
    if constexpr (Op == UnaryOp::step) return x > 0.0f ? 1.0f : x != x ? x : first;
    if constexpr (Op == UnaryOp::reciprocal) return 1.0f / x;
    if constexpr (Op == UnaryOp::clip) return x > second ? second : x < first ? first : x;
    if constexpr (Op == UnaryOp::sin) return sinf(x);
    if constexpr (Op == UnaryOp::cos) return cosf(x);
    if constexpr (Op == UnaryOp::erf) return erff(x);
    if constexpr (Op == UnaryOp::log1p) return log1pf(x);
    if constexpr (Op == UnaryOp::expm1) return expm1f(x);
    if constexpr (Op == UnaryOp::floor) return floorf(x);
    if constexpr (Op == UnaryOp::ceil) return ceilf(x);
  }
};

template <UnaryOp Op>
Status run(int64_t count, float first, float second, const float* x, float* out) {
  return mapElements<4>(count, OfOne<Op>{first, second}, x, out);
}

}  // namespace

Status unary(UnaryOp op, int64_t count, float first, float second, const float* x, float* out) {
  switch (op) {
    case UnaryOp::negate: return run<UnaryOp::negate>(count, first, second, x, out);
    case UnaryOp::exp: return run<UnaryOp::exp>(count, first, second, x, out);
    case UnaryOp::log: return run<UnaryOp::log>(count, first, second, x, out);
    case UnaryOp::sqrt: return run<UnaryOp::sqrt>(count, first, second, x, out);
    case UnaryOp::rsqrt: return run<UnaryOp::rsqrt>(count, first, second, x, out);
    case UnaryOp::square: return run<UnaryOp::square>(count, first, second, x, out);
    case UnaryOp::relu: return run<UnaryOp::relu>(count, first, second, x, out);
    case UnaryOp::relu6: return run<UnaryOp::relu6>(count, first, second, x, out);
    case UnaryOp::elu: return run<UnaryOp::elu>(count, first, second, x, out);
    case UnaryOp::leakyRelu: return run<UnaryOp::leakyRelu>(count, first, second, x, out);
    case UnaryOp::sigmoid: return run<UnaryOp::sigmoid>(count, first, second, x, out);
    case UnaryOp::tanh: return run<UnaryOp::tanh>(count, first, second, x, out);
    case UnaryOp::abs: return run<UnaryOp::abs>(count, first, second, x, out);
    case UnaryOp::step: return run<UnaryOp::step>(count, first, second, x, out);
    case UnaryOp::reciprocal: return run<UnaryOp::reciprocal>(count, first, second, x, out);
    case UnaryOp::clip: return run<UnaryOp::clip>(count, first, second, x, out);
    case UnaryOp::sin: return run<UnaryOp::sin>(count, first, second, x, out);
    case UnaryOp::cos: return run<UnaryOp::cos>(count, first, second, x, out);
    case UnaryOp::erf: return run<UnaryOp::erf>(count, first, second, x, out);
    case UnaryOp::log1p: return run<UnaryOp::log1p>(count, first, second, x, out);
    case UnaryOp::expm1: return run<UnaryOp::expm1>(count, first, second, x, out);
    case UnaryOp::floor: return run<UnaryOp::floor>(count, first, second, x, out);
    case UnaryOp::ceil: return run<UnaryOp::ceil>(count, first, second, x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(UnaryOp::ceil));
}

}  // namespace moe::cuda
