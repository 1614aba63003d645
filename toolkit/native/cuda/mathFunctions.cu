#include "mathFunctions.h"

#include "broadcast.h"

namespace moe::cuda {
namespace {

/** Both factors of SELU, to the precision that the paper's authors give. */
constexpr double kSeluScale = 1.05070098735548049342, kSeluAlpha = 1.67326324235437728482;

template <MathFunction Op>
struct OfOne {
  __device__ float operator()(float value) const {
    if constexpr (Op == MathFunction::softplus) return value != value ? value : fmaxf(value, 0.0f) + log1pf(expf(-fabsf(value)));
    if constexpr (Op == MathFunction::sign) return value > 0.0f ? 1.0f : value < 0.0f ? -1.0f : 0.0f;
    if constexpr (Op == MathFunction::round) return rintf(value);
    if constexpr (Op != MathFunction::softplus && Op != MathFunction::sign && Op != MathFunction::round)
      return static_cast<float>(inFloat64(value));
  }

  __device__ static double inFloat64(double x) {
    if constexpr (Op == MathFunction::tan) return ::tan(x);
    if constexpr (Op == MathFunction::asin) return ::asin(x);
    if constexpr (Op == MathFunction::acos) return ::acos(x);
    if constexpr (Op == MathFunction::atan) return ::atan(x);
    if constexpr (Op == MathFunction::sinh) return ::sinh(x);
    if constexpr (Op == MathFunction::cosh) return ::cosh(x);
    if constexpr (Op == MathFunction::asinh) return ::asinh(x);
    if constexpr (Op == MathFunction::acosh) return ::acosh(x);
    if constexpr (Op == MathFunction::atanh) return ::atanh(x);
    if constexpr (Op == MathFunction::selu) return kSeluScale * (x >= 0 ? x : kSeluAlpha * ::expm1(x));
  }
};

template <MathFunction Op>
Status run(int64_t count, const float* x, float* out) { return mapElements<4>(count, OfOne<Op>{}, x, out); }

/** The remainder with the sign of b; that of fmod has the sign of a. */
__device__ inline double moduloOf(double a, double b) {
  double rest = ::fmod(a, b);
  bool isRight = (a < 0 && b < 0) || (a >= 0 && b >= 0);
  return isRight ? rest : ::fmod(rest + b, b);
}

template <MathBinary Op>
struct OfTwo {
  __device__ float operator()(float a, float b) const {
    if constexpr (Op == MathBinary::modulo) return static_cast<float>(moduloOf(a, b));
    if constexpr (Op == MathBinary::atan2) return static_cast<float>(::atan2(static_cast<double>(a), static_cast<double>(b)));
  }
};

template <MathBinary Op>
Status run(const Broadcast& shape, const float* a, const float* b, float* out) { return joinElements(shape, OfTwo<Op>{}, a, b, out); }

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

}  // namespace moe::cuda
