#include "rotary.h"

#include "rows.h"

namespace moe::cuda {
namespace {

__device__ inline float4 multiplied(float4 a, float4 b) { return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }
/** sum + factor · a ∘ b */
__device__ inline float4 addProduct(float4 sum, float factor, float4 a, float4 b) {
  return make_float4(fmaf(factor * a.x, b.x, sum.x), fmaf(factor * a.y, b.y, sum.y), fmaf(factor * a.z, b.z, sum.z), fmaf(factor * a.w, b.w, sum.w));
}

/** A row is a head of a token. Index: a kind of number in which rows can be counted. */
template <class Index>
__global__ void __launch_bounds__(kRowThreads)
turn(const float* x, const float* cosine, const float* sine, int64_t rows, Index T, Index heads, int64_t half, float direction, bool isAligned, float* y) {
  for (int64_t row = firstRow(); row < rows; row += rowStep()) {
    int64_t token = static_cast<Index>(row) / heads % T;
    const float *first = x + row * 2 * half, *second = first + half;
    const float *cosineOf = cosine + token * half, *sineOf = sine + token * half;
    float *firstTo = y + row * 2 * half, *secondTo = firstTo + half;
    forEachOfRow(isAligned, 0, half, threadIdx.x, blockDim.x,
                 [&](int64_t i) {
                   float4 a = loadFour(first + i), b = loadFour(second + i), c = loadFour(cosineOf + i), s = loadFour(sineOf + i);
                   storeFour(firstTo + i, addProduct(multiplied(a, c), -direction, b, s));
                   storeFour(secondTo + i, addProduct(multiplied(b, c), direction, a, s));
                 },
                 [&](int64_t i) {
                   float a = __ldg(first + i), b = __ldg(second + i), c = __ldg(cosineOf + i), s = __ldg(sineOf + i) * direction;
                   firstTo[i] = a * c - b * s;
                   secondTo[i] = b * c + a * s;
                 });
  }
}

}  // namespace

Status rotary(const float* x, const float* cosine, const float* sine, int64_t B, int64_t T, int64_t heads, int64_t D, bool inverse, float* y) {
  if (D % 2 != 0) return Status::shape("the head size of rotary", D, D + 1);
  int64_t rows = B * T * heads, half = D / 2;
  float direction = inverse ? -1.0f : 1.0f;
  bool isAligned = half % 4 == 0 && areAligned(x, cosine, sine, y);
  auto kernel = [&](auto kernelOfIndex) {
    return launch(kernelOfIndex, rowGrid(rows, half), x, cosine, sine, rows, T, heads, half, direction, isAligned, y);
  };
  return rows <= UINT32_MAX ? kernel(turn<uint32_t>) : kernel(turn<uint64_t>);
}

}  // namespace moe::cuda
