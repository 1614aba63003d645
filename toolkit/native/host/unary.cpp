#include "broadcast.h"
#include "rows.h"
#include "unaryMath.h"

namespace moe::MOE_ISA {
namespace {

/** The larger of x and 0, NaN where x is NaN; +0 for −0, as in Math.max(0, x). */
MOE_INLINE vf positivePart(vf x) { return select(x <= 0.0f, vf{}, x); }

template <UnaryOp Op>
MOE_INLINE vf apply(vf x, float first, float second) {
  if constexpr (Op == UnaryOp::negate) return -x;
  if constexpr (Op == UnaryOp::exp) return vexp(x);
  if constexpr (Op == UnaryOp::log) return vlog(x);
  if constexpr (Op == UnaryOp::sqrt) return vsqrt(x);
  if constexpr (Op == UnaryOp::rsqrt) return 1.0f / vsqrt(x);
  if constexpr (Op == UnaryOp::square) return x * x;
  if constexpr (Op == UnaryOp::relu) return positivePart(x);
  if constexpr (Op == UnaryOp::relu6) return select(x > 6.0f, broadcast(6.0f), positivePart(x));
  if constexpr (Op == UnaryOp::elu) return select(x >= 0.0f, x, expLessOne(x));
  if constexpr (Op == UnaryOp::leakyRelu) return select(x < 0.0f, x * first, x);
  if constexpr (Op == UnaryOp::sigmoid) return vsigmoid(x);
  if constexpr (Op == UnaryOp::tanh) return vtanh(x);
  if constexpr (Op == UnaryOp::abs) return vabs(x);
  if constexpr (Op == UnaryOp::step)
    return select(x > 0.0f, broadcast(1.0f), select(x != x, x, broadcast(first)));
  if constexpr (Op == UnaryOp::reciprocal) return 1.0f / x;
  if constexpr (Op == UnaryOp::clip)
    return select(x > second, broadcast(second), select(x < first, broadcast(first), x));
  if constexpr (Op == UnaryOp::sin) return sine<0>(x);
  if constexpr (Op == UnaryOp::cos) return sine<1>(x);
  if constexpr (Op == UnaryOp::erf) return errorFunction(x);
  if constexpr (Op == UnaryOp::log1p) return logOfOneMore(x);
  if constexpr (Op == UnaryOp::expm1) return expLessOne(x);
  if constexpr (Op == UnaryOp::floor) return eachLane(x, [](float v) { return __builtin_floorf(v); });
  if constexpr (Op == UnaryOp::ceil) return eachLane(x, [](float v) { return __builtin_ceilf(v); });
}

template <UnaryOp Op>
Status run(int64_t count, float first, float second, const float* x, float* out) {
  parallelRanges(count, taskElements(count), [&](int64_t begin, int64_t end, int) {
    const float* from = x + begin;
    float* to = out + begin;
    forEachVector(end - begin, [&](int64_t i, auto lanes) {
      lanes.store(to + i, apply<Op>(lanes.load(from + i), first, second));
    });
  });
  return Status::ok();
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

}  // namespace moe::MOE_ISA
