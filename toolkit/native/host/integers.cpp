#include "integers.h"

#include "broadcast.h"

namespace moe::MOE_ISA {
namespace {

typedef double vd __attribute__((vector_size(8 * kLanes)));
typedef int64_t vl __attribute__((vector_size(8 * kLanes)));
typedef uint64_t vul __attribute__((vector_size(8 * kLanes)));

MOE_INLINE vi loadInts(const int32_t* from) { return bitsOf(load(reinterpret_cast<const float*>(from))); }
MOE_INLINE void storeInts(int32_t* to, vi v) { store(reinterpret_cast<float*>(to), floatOf(v)); }
MOE_INLINE vi loadFirstInts(const int32_t* from, int64_t n) {
  return bitsOf(loadFirst(reinterpret_cast<const float*>(from), n));
}
MOE_INLINE void storeFirstInts(int32_t* to, vi v, int64_t n) {
  storeFirst(reinterpret_cast<float*>(to), floatOf(v), n);
}

typedef uint32_t vu __attribute__((vector_size(4 * kLanes)));
MOE_INLINE vu unsignedOf(vi v) { return reinterpret_cast<vu>(v); }
MOE_INLINE vi signedOf(vu v) { return reinterpret_cast<vi>(v); }

/** The lower 32 bits. */
MOE_INLINE vi wrapped(vl v) { return __builtin_convertvector(v, vi); }

/** A product of two int32 has up to 62 bits, of which float64 keeps the upper 53. */
MOE_INLINE vi multiply(vi a, vi b) {
  vd product = __builtin_convertvector(a, vd) * __builtin_convertvector(b, vd);
  return wrapped(__builtin_convertvector(product, vl));
}

MOE_INLINE vi squaredDifference(vi a, vi b) {
  vd difference = __builtin_convertvector(a, vd) - __builtin_convertvector(b, vd);
  vul square = __builtin_convertvector(difference * difference, vul);  // below 2^64
  return wrapped(reinterpret_cast<vl>(square));
}

MOE_INLINE vi floorDivide(vi a, vi b) {
  vi isZero = b == 0;
  vd quotient = __builtin_convertvector(a, vd) / __builtin_convertvector(b - isZero, vd);
  vl whole = __builtin_convertvector(quotient, vl);
  whole += __builtin_convertvector(whole, vd) > quotient;  // −1 where the cut went up
  return wrapped(whole) & ~isZero;
}

MOE_INLINE int32_t moduloOf(int64_t a, int64_t b) {
  if (b == 0) return 0;
  int64_t rest = a % b;
  return static_cast<int32_t>(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

template <IntBinaryOp Op>
MOE_INLINE vi apply(vi a, vi b) {
  if constexpr (Op == IntBinaryOp::add) return signedOf(unsignedOf(a) + unsignedOf(b));
  if constexpr (Op == IntBinaryOp::subtract) return signedOf(unsignedOf(a) - unsignedOf(b));
  if constexpr (Op == IntBinaryOp::multiply) return multiply(a, b);
  if constexpr (Op == IntBinaryOp::maximum) return a > b ? a : b;
  if constexpr (Op == IntBinaryOp::minimum) return a < b ? a : b;
  if constexpr (Op == IntBinaryOp::squaredDifference) return squaredDifference(a, b);
  if constexpr (Op == IntBinaryOp::floorDivide) return floorDivide(a, b);
  if constexpr (Op == IntBinaryOp::modulo) {
    vi result;
    for (int i = 0; i < kLanes; ++i) result[i] = moduloOf(a[i], b[i]);
    return result;
  }
}

template <IntBinaryOp Op, bool AMoves, bool BMoves>
void rowOf(const int32_t* a, const int32_t* b, int32_t* out, int64_t count) {
  vi constantA = AMoves ? vi{} : broadcastInt(*a);
  vi constantB = BMoves ? vi{} : broadcastInt(*b);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    storeInts(out + i, apply<Op>(AMoves ? loadInts(a + i) : constantA, BMoves ? loadInts(b + i) : constantB));
  int64_t left = count - i;
  if (left == 0) return;
  vi lastA = AMoves ? loadFirstInts(a + i, left) : constantA, lastB = BMoves ? loadFirstInts(b + i, left) : constantB;
  storeFirstInts(out + i, apply<Op>(lastA, lastB), left);
}

template <IntBinaryOp Op>
Status run(const Broadcast& shape, const int32_t* a, const int32_t* b, int32_t* out) {
  bool aMoves = shape.aStrides[shape.rank - 1] != 0, bMoves = shape.bStrides[shape.rank - 1] != 0;
  auto row = aMoves ? (bMoves ? rowOf<Op, true, true> : rowOf<Op, true, false>)
                    : (bMoves ? rowOf<Op, false, true> : rowOf<Op, false, false>);
  forEachRow(shape, [&](int64_t aOffset, int64_t bOffset, int64_t outOffset, int64_t count) {
    row(a + aOffset, b + bOffset, out + outOffset, count);
  });
  return Status::ok();
}

/** The integer that JavaScript stores for a number; the settings of clip may have fractions. */
MOE_INLINE int32_t intOf(double value) {
  bool fits = value >= -9.2e18 && value <= 9.2e18;
  return fits ? static_cast<int32_t>(static_cast<int64_t>(value)) : 0;
}

template <IntUnaryOp Op>
MOE_INLINE int32_t apply(int32_t x, double first, double second) {
  if constexpr (Op == IntUnaryOp::negate) return static_cast<int32_t>(0u - static_cast<uint32_t>(x));
  if constexpr (Op == IntUnaryOp::abs) return x < 0 ? static_cast<int32_t>(0u - static_cast<uint32_t>(x)) : x;
  if constexpr (Op == IntUnaryOp::sign) return (x > 0) - (x < 0);
  if constexpr (Op == IntUnaryOp::relu) return x > 0 ? x : 0;
  if constexpr (Op == IntUnaryOp::clip) return x > second ? intOf(second) : x < first ? intOf(first) : x;
}

template <IntUnaryOp Op>
Status run(int64_t count, double first, double second, const int32_t* x, int32_t* out) {
  parallelRanges(count, kElementwiseGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) out[i] = apply<Op>(x[i], first, second);
  });
  return Status::ok();
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
    case IntUnaryOp::square: {
      const int64_t sizes[] = {count}, strides[] = {1};
      return run<IntBinaryOp::multiply>({1, sizes, strides, strides}, x, x, out);
    }
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(IntUnaryOp::clip));
}

}  // namespace moe::MOE_ISA
