#include "reduction.h"

#include "reduce.h"

namespace moe::cuda {
namespace {

/** A thread's sum is float32, of at most 512 terms in each of its parts; all others are float64. */
struct Sum {
  float scale;
  using Part = float;
  using Whole = double;
  __device__ float none() const { return 0.0f; }
  __device__ float take(float total, float x, int64_t) const { return total + x; }
  __device__ double whole(float total) const { return total; }
  __device__ double join(double a, double b) const { return a + b; }
  __device__ float finish(double total) const { return static_cast<float>(scale * total); }
};

struct Product {
  float scale;
  using Part = double;
  using Whole = double;
  __device__ double none() const { return 1.0; }
  __device__ double take(double total, float x, int64_t) const { return total * x; }
  __device__ double whole(double total) const { return total; }
  __device__ double join(double a, double b) const { return a * b; }
  __device__ float finish(double total) const { return static_cast<float>(scale * total); }
};

/** A NaN, once met, stays. */
template <bool Largest>
struct Extreme {
  float scale;
  using Part = float;
  using Whole = float;
  __device__ float none() const { return Largest ? -INFINITY : INFINITY; }
  __device__ float take(float total, float x, int64_t) const { return (Largest ? x > total : x < total) || x != x ? x : total; }
  __device__ float whole(float total) const { return total; }
  __device__ float join(float a, float b) const { return take(a, b, 0); }
  __device__ float finish(float total) const { return scale * total; }
};

}  // namespace

Status reduce(ReduceOp op, int64_t outer, int64_t length, int64_t inner, float scale, const float* x, float* out) {
  bool needsOne = op == ReduceOp::maximum || op == ReduceOp::minimum;
  if (needsOne && length < 1) return Status::outOfRange("length", length, 1, INT64_MAX);
  switch (op) {
    case ReduceOp::sum: return reduceMiddle(Sum{scale}, outer, length, inner, x, out);
    case ReduceOp::product: return reduceMiddle(Product{scale}, outer, length, inner, x, out);
    case ReduceOp::maximum: return reduceMiddle(Extreme<true>{scale}, outer, length, inner, x, out);
    case ReduceOp::minimum: return reduceMiddle(Extreme<false>{scale}, outer, length, inner, x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(ReduceOp::minimum));
}

Status indexOfExtreme(bool ofLargest, int64_t outer, int64_t length, int64_t inner, const float* x, int32_t* out) {
  if (length < 1 || length > INT32_MAX) return Status::outOfRange("length", length, 1, INT32_MAX);
  if (ofLargest) return reduceMiddle(ExtremePlace<true, float>{}, outer, length, inner, x, out);
  return reduceMiddle(ExtremePlace<false, float>{}, outer, length, inner, x, out);
}

}  // namespace moe::cuda
