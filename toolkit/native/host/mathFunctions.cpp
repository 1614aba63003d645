#include "mathFunctions.h"

#include <cmath>

#include "broadcast.h"

namespace moe::MOE_ISA {
namespace {

/** log(1 + e) for 0 ≤ e ≤ 1: the rounding of 1 + e is taken out again, so that small results keep their precision.
 *  Source: Kahan's log1p, in Goldberg 1991, doi:10.1145/103162.103163, theorem 4. */
MOE_INLINE vf logOnePlus(vf e) {
  vf sum = 1.0f + e;
  vf added = sum - 1.0f;
  return select(added == 0.0f, e, vlog(sum) * (e / added));
}

MOE_INLINE vf softplus(vf x) {
  vf positive = select(x > 0.0f, x, vf{});
  return select(x == x, positive + logOnePlus(vexp(-vabs(x))), x);
}

MOE_INLINE vf sign(vf x) {
  return select(x > 0.0f, broadcast(1.0f), select(x < 0.0f, broadcast(-1.0f), vf{}));
}

/** Both factors of SELU, to the precision that the paper's authors give. */
constexpr double kSeluScale = 1.05070098735548049342, kSeluAlpha = 1.67326324235437728482;

template <MathFunction Op>
MOE_INLINE double ofOne(double x) {
  if constexpr (Op == MathFunction::tan) return std::tan(x);
  if constexpr (Op == MathFunction::asin) return std::asin(x);
  if constexpr (Op == MathFunction::acos) return std::acos(x);
  if constexpr (Op == MathFunction::atan) return std::atan(x);
  if constexpr (Op == MathFunction::sinh) return std::sinh(x);
  if constexpr (Op == MathFunction::cosh) return std::cosh(x);
  if constexpr (Op == MathFunction::asinh) return std::asinh(x);
  if constexpr (Op == MathFunction::acosh) return std::acosh(x);
  if constexpr (Op == MathFunction::atanh) return std::atanh(x);
  if constexpr (Op == MathFunction::selu) return kSeluScale * (x >= 0 ? x : kSeluAlpha * std::expm1(x));
  if constexpr (Op == MathFunction::round) return __builtin_rint(x);
}

template <MathFunction Op>
MOE_INLINE vf apply(vf x) {
  if constexpr (Op == MathFunction::softplus) return softplus(x);
  if constexpr (Op == MathFunction::sign) return sign(x);
  if constexpr (Op != MathFunction::softplus && Op != MathFunction::sign) {
    vf result;
    for (int i = 0; i < kLanes; ++i) result[i] = static_cast<float>(ofOne<Op>(x[i]));
    return result;
  }
}

template <MathFunction Op>
Status run(int64_t count, const float* x, float* out) {
  constexpr int64_t kGrain = kElementwiseGrain / 8;  // each element takes long
  parallelRanges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) store(out + i, apply<Op>(load(x + i)));
    if (i < end) storeFirst(out + i, apply<Op>(loadFirst(x + i, end - i)), end - i);
  });
  return Status::ok();
}

/** JavaScript's remainder has the sign of a; this one has that of b. */
MOE_INLINE double moduloOf(double a, double b) {
  double rest = std::fmod(a, b);
  bool isRight = (a < 0 && b < 0) || (a >= 0 && b >= 0);
  return isRight ? rest : std::fmod(rest + b, b);
}

template <MathBinary Op>
MOE_INLINE float apply(double a, double b) {
  if constexpr (Op == MathBinary::modulo) return static_cast<float>(moduloOf(a, b));
  if constexpr (Op == MathBinary::atan2) return static_cast<float>(std::atan2(a, b));
}

template <MathBinary Op>
Status run(const Broadcast& shape, const float* a, const float* b, float* out) {
  int64_t aStep = shape.aStrides[shape.rank - 1] != 0, bStep = shape.bStrides[shape.rank - 1] != 0;
  forEachRow(shape, [&](int64_t aOffset, int64_t bOffset, int64_t outOffset, int64_t count) {
    const float *aRow = a + aOffset, *bRow = b + bOffset;
    float* to = out + outOffset;
    for (int64_t i = 0; i < count; ++i) to[i] = apply<Op>(aRow[i * aStep], bRow[i * bStep]);
  });
  return Status::ok();
}

}  // namespace

Status mathFunction(MathFunction op, int64_t count, const float* x, float* out) {
  switch (op) {
    case MathFunction::tan: return run<MathFunction::tan>(count, x, out);
    case MathFunction::asin: return run<MathFunction::asin>(count, x, out);
    case MathFunction::acos: return run<MathFunction::acos>(count, x, out);
    case MathFunction::atan: return run<MathFunction::atan>(count, x, out);
    case MathFunction::sinh: return run<MathFunction::sinh>(count, x, out);
    case MathFunction::cosh: return run<MathFunction::cosh>(count, x, out);
    case MathFunction::asinh: return run<MathFunction::asinh>(count, x, out);
    case MathFunction::acosh: return run<MathFunction::acosh>(count, x, out);
    case MathFunction::atanh: return run<MathFunction::atanh>(count, x, out);
    case MathFunction::softplus: return run<MathFunction::softplus>(count, x, out);
    case MathFunction::selu: return run<MathFunction::selu>(count, x, out);
    case MathFunction::round: return run<MathFunction::round>(count, x, out);
    case MathFunction::sign: return run<MathFunction::sign>(count, x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(MathFunction::sign));
}

Status mathBinary(MathBinary op, const Broadcast& shape, const float* a, const float* b, float* out) {
  switch (op) {
    case MathBinary::modulo: return run<MathBinary::modulo>(shape, a, b, out);
    case MathBinary::atan2: return run<MathBinary::atan2>(shape, a, b, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(MathBinary::atan2));
}

}  // namespace moe::MOE_ISA
