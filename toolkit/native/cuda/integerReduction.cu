#include "integers.h"

#include "reduce.h"

namespace moe::cuda {
namespace {

/** Of more than 2³² of the largest values a sum could leave int64: what counts is the lower half. */
struct Sum {
  using Part = unsigned long long;
  using Whole = unsigned long long;
  __device__ Part none() const { return 0; }
  __device__ Part take(Part total, int32_t x, int64_t) const { return total + static_cast<Part>(static_cast<long long>(x)); }
  __device__ Whole whole(Part total) const { return total; }
  __device__ Whole join(Whole a, Whole b) const { return a + b; }
  __device__ int32_t finish(Whole total) const { return static_cast<int32_t>(static_cast<uint32_t>(total)); }
};

template <bool Largest>
struct Extreme {
  using Part = int32_t;
  using Whole = int32_t;
  __device__ int32_t none() const { return Largest ? INT32_MIN : INT32_MAX; }
  __device__ int32_t take(int32_t total, int32_t x, int64_t) const { return join(total, x); }
  __device__ int32_t whole(int32_t total) const { return total; }
  __device__ int32_t join(int32_t a, int32_t b) const { return Largest ? max(a, b) : min(a, b); }
  __device__ int32_t finish(int32_t total) const { return total; }
};

template <bool OfAll>
struct Truth {
  using Part = int32_t;
  using Whole = int32_t;
  __device__ int32_t none() const { return OfAll; }
  __device__ int32_t take(int32_t total, uint8_t x, int64_t) const { return join(total, x != 0); }
  __device__ int32_t whole(int32_t total) const { return total; }
  __device__ int32_t join(int32_t a, int32_t b) const { return OfAll ? a & b : a | b; }
  __device__ uint8_t finish(int32_t total) const { return static_cast<uint8_t>(total); }
};

/** What JavaScript stores of a float64 in an int32. */
__device__ inline int32_t wrappedProduct(double value) {
  if (fabs(value) < 9.2e18) return static_cast<int32_t>(static_cast<int64_t>(value));
  if (!(fabs(value) < INFINITY)) return 0;
  return static_cast<int32_t>(static_cast<int64_t>(fmod(value, 4294967296.0)));
}

/** Products are rounded on the way, so their order is fixed: from the first element to the last. */
__global__ void __launch_bounds__(kElementThreads)
multiplyAll(int64_t outputs, int64_t length, Divider inner, const int32_t* x, int32_t* out) {
  for (int64_t i = gridThread(); i < outputs; i += gridThreads()) {
    int64_t o = inner.quotient(i);
    const int32_t* from = x + o * length * inner.by + i - o * inner.by;
    double product = 1.0;
#pragma unroll 4
    for (int64_t row = 0; row < length; ++row) product *= from[row * inner.by];
    out[i] = wrappedProduct(product);
  }
}

}  // namespace

Status reduceInts(ReduceOp op, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out) {
  bool needsOne = op == ReduceOp::maximum || op == ReduceOp::minimum;
  if (needsOne && length < 1) return Status::outOfRange("length", length, 1, INT64_MAX);
  switch (op) {
    case ReduceOp::sum: return reduceMiddle(Sum{}, outer, length, inner, x, out);
    case ReduceOp::maximum: return reduceMiddle(Extreme<true>{}, outer, length, inner, x, out);
    case ReduceOp::minimum: return reduceMiddle(Extreme<false>{}, outer, length, inner, x, out);
    case ReduceOp::product: return launch(multiplyAll, elementGrid(outer * inner), outer * inner, length, Divider(inner), x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(ReduceOp::minimum));
}

Status reduceBytes(bool ofAll, int64_t outer, int64_t length, int64_t inner, const uint8_t* x, uint8_t* out) {
  if (ofAll) return reduceMiddle(Truth<true>{}, outer, length, inner, x, out);
  return reduceMiddle(Truth<false>{}, outer, length, inner, x, out);
}

Status indexOfExtremeInt(bool ofLargest, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out) {
  if (length < 1 || length > INT32_MAX) return Status::outOfRange("length", length, 1, INT32_MAX);
  if (ofLargest) return reduceMiddle(ExtremePlace<true, int32_t>{}, outer, length, inner, x, out);
  return reduceMiddle(ExtremePlace<false, int32_t>{}, outer, length, inner, x, out);
}

}  // namespace moe::cuda
