#include "integers.h"

#include "broadcast.h"

namespace moe::cuda {
namespace {

__device__ inline int32_t lowerHalf(int64_t value) { return static_cast<int32_t>(value); }
__device__ inline int32_t wrapped(uint32_t value) { return static_cast<int32_t>(value); }

/** Quotient of a floored division by b, which is neither 0 nor −1: the most negative a has none by −1. */
__device__ inline int32_t flooredQuotient(int32_t a, int32_t b) {
  int32_t whole = a / b;
  return whole * b != a && (a < 0) != (b < 0) ? whole - 1 : whole;
}
/** What is left of it; by 0 and by −1 nothing. */
__device__ inline int32_t flooredRest(int32_t a, int32_t b) {
  if (b == 0 || b == -1) b = 1;
  int32_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

template <IntBinaryOp Op>
struct OfTwo {
  __device__ int32_t operator()(int32_t a, int32_t b) const {
    auto unsignedA = static_cast<uint32_t>(a), unsignedB = static_cast<uint32_t>(b);
    if constexpr (Op == IntBinaryOp::add) return wrapped(unsignedA + unsignedB);
    if constexpr (Op == IntBinaryOp::subtract) return wrapped(unsignedA - unsignedB);
    // A product of two int32 has up to 62 bits, of which float64 keeps the upper 53.
    if constexpr (Op == IntBinaryOp::multiply) return lowerHalf(static_cast<int64_t>(static_cast<double>(a) * static_cast<double>(b)));
    if constexpr (Op == IntBinaryOp::maximum) return a > b ? a : b;
    if constexpr (Op == IntBinaryOp::minimum) return a < b ? a : b;
    if constexpr (Op == IntBinaryOp::squaredDifference) {
      double difference = static_cast<double>(a) - static_cast<double>(b);
      return lowerHalf(static_cast<int64_t>(static_cast<uint64_t>(difference * difference)));  // below 2^64
    }
    if constexpr (Op == IntBinaryOp::floorDivide) return b == 0 ? 0 : b == -1 ? wrapped(0u - unsignedA) : flooredQuotient(a, b);
    if constexpr (Op == IntBinaryOp::modulo) return flooredRest(a, b);
  }
};

template <IntBinaryOp Op>
Status run(const Broadcast& shape, const int32_t* a, const int32_t* b, int32_t* out) {
  return joinElements(shape, OfTwo<Op>{}, a, b, out);
}

/** The integer that JavaScript stores for a number; the settings of clip may have fractions. */
int32_t intOf(double value) {
  bool fits = value >= -9.2e18 && value <= 9.2e18;
  return fits ? static_cast<int32_t>(static_cast<int64_t>(value)) : 0;
}

template <IntUnaryOp Op>
struct OfOne {
  double first, second;
  int32_t firstInt, secondInt;

  __device__ int32_t operator()(int32_t x) const {
    if constexpr (Op == IntUnaryOp::negate) return wrapped(0u - static_cast<uint32_t>(x));
    if constexpr (Op == IntUnaryOp::abs) return x < 0 ? wrapped(0u - static_cast<uint32_t>(x)) : x;
    if constexpr (Op == IntUnaryOp::sign) return (x > 0) - (x < 0);
    if constexpr (Op == IntUnaryOp::relu) return x > 0 ? x : 0;
    if constexpr (Op == IntUnaryOp::clip) return x > second ? secondInt : x < first ? firstInt : x;
    if constexpr (Op == IntUnaryOp::square) return OfTwo<IntBinaryOp::multiply>{}(x, x);
  }
};

template <IntUnaryOp Op>
Status run(int64_t count, double first, double second, const int32_t* x, int32_t* out) {
  return mapElements<4>(count, OfOne<Op>{first, second, intOf(first), intOf(second)}, x, out);
}

}  // namespace

Status binaryInts(IntBinaryOp op, const Broadcast& shape, const int32_t* a, const int32_t* b, int32_t* out) {
  switch (op) {
    case IntBinaryOp::add: return run<IntBinaryOp::add>(shape, a, b, out);
    case IntBinaryOp::subtract: return run<IntBinaryOp::subtract>(shape, a, b, out);
    case IntBinaryOp::multiply: return run<IntBinaryOp::multiply>(shape, a, b, out);
    case IntBinaryOp::maximum: return run<IntBinaryOp::maximum>(shape, a, b, out);
    case IntBinaryOp::minimum: return run<IntBinaryOp::minimum>(shape, a, b, out);
    case IntBinaryOp::squaredDifference: return run<IntBinaryOp::squaredDifference>(shape, a, b, out);
    case IntBinaryOp::floorDivide: return run<IntBinaryOp::floorDivide>(shape, a, b, out);
    case IntBinaryOp::modulo: return run<IntBinaryOp::modulo>(shape, a, b, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(IntBinaryOp::modulo));
}

Status unaryInts(IntUnaryOp op, int64_t count, double first, double second, const int32_t* x, int32_t* out) {
  switch (op) {
    case IntUnaryOp::negate: return run<IntUnaryOp::negate>(count, first, second, x, out);
    case IntUnaryOp::abs: return run<IntUnaryOp::abs>(count, first, second, x, out);
    case IntUnaryOp::sign: return run<IntUnaryOp::sign>(count, first, second, x, out);
    case IntUnaryOp::relu: return run<IntUnaryOp::relu>(count, first, second, x, out);
    case IntUnaryOp::clip: return run<IntUnaryOp::clip>(count, first, second, x, out);
    case IntUnaryOp::square: return run<IntUnaryOp::square>(count, first, second, x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(IntUnaryOp::clip));
}

}  // namespace moe::cuda
