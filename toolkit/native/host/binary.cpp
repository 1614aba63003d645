#include <cmath>

#include "broadcast.h"
#include "rows.h"

namespace moe::MOE_ISA {
namespace {

/** `picked`, but NaN where a or b is NaN, as JavaScript's Math.max and Math.min have it. */
MOE_INLINE vf keepNaN(vf a, vf b, vf picked) { return select(a != a, a, select(b != b, b, picked)); }

/** JavaScript's power differs from C's: any power of NaN, and ±1 to an infinite power, are NaN. */
MOE_INLINE float powerOf(float a, float b) {
  bool isUndefined = b != b || ((a == 1.0f || a == -1.0f) && std::fabs(b) == __builtin_inff());
  return isUndefined ? __builtin_nanf("") : std::pow(a, b);
}

template <BinaryOp Op>
MOE_INLINE vf apply(vf a, vf b) {
  if constexpr (Op == BinaryOp::add) return a + b;
  if constexpr (Op == BinaryOp::subtract) return a - b;
  if constexpr (Op == BinaryOp::multiply) return a * b;
  if constexpr (Op == BinaryOp::divide) return a / b;
  if constexpr (Op == BinaryOp::maximum) return keepNaN(a, b, vmax(a, b));
  if constexpr (Op == BinaryOp::minimum) return keepNaN(a, b, vmin(a, b));
  if constexpr (Op == BinaryOp::squaredDifference) return (a - b) * (a - b);
  if constexpr (Op == BinaryOp::prelu) return select(a < 0.0f, a * b, a);
  if constexpr (Op == BinaryOp::power) {
    vf result;
    for (int i = 0; i < kLanes; ++i) result[i] = powerOf(a[i], b[i]);
    return result;
  }
}

template <BinaryOp Op, bool AMoves, bool BMoves>
void rowOf(const float* a, const float* b, float* out, int64_t count) {
  vf constantA = AMoves ? vf{} : broadcast(*a);
  vf constantB = BMoves ? vf{} : broadcast(*b);
  forEachVector(count, [&](int64_t i, auto lanes) {
    lanes.store(out + i, apply<Op>(AMoves ? lanes.load(a + i) : constantA, BMoves ? lanes.load(b + i) : constantB));
  });
}

template <BinaryOp Op>
Status run(const Broadcast& shape, const float* a, const float* b, float* out) {
  bool aMoves = shape.aStrides[shape.rank - 1] != 0, bMoves = shape.bStrides[shape.rank - 1] != 0;
  auto row = aMoves ? (bMoves ? rowOf<Op, true, true> : rowOf<Op, true, false>)
                    : (bMoves ? rowOf<Op, false, true> : rowOf<Op, false, false>);
  forEachRow(shape, [&](int64_t aOffset, int64_t bOffset, int64_t outOffset, int64_t count) {
    row(a + aOffset, b + bOffset, out + outOffset, count);
  });
  return Status::ok();
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

}  // namespace moe::MOE_ISA
