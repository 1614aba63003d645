#include "elements.h"
#include "reduction.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

/** A warp has a row in its registers. A NaN may be missed by the largest, but its own exponential makes the sum, and so
 *  the whole row, NaN. */
template <int PerLane>
__global__ void __launch_bounds__(kThreads)
softmaxOfShort(int64_t rows, int columns, const float* x, float* out) {
  int lane = threadIdx.x % kWarp;
  for (int64_t row = gridThread() / kWarp; row < rows; row += gridThreads() / kWarp) {
    const float* from = x + row * columns;
    float values[PerLane], largest = -INFINITY, sum = 0.0f;
#pragma unroll
    for (int i = 0; i < PerLane; ++i) {
      int c = i * kWarp + lane;
      values[i] = c < columns ? from[c] : -INFINITY;
      largest = fmaxf(largest, values[i]);
    }
    largest = warpLargest(largest);
#pragma unroll
    for (int i = 0; i < PerLane; ++i) {
      if (i * kWarp + lane >= columns) continue;
      values[i] = expf(values[i] - largest);
      sum += values[i];
    }
    float factor = 1.0f / warpSum(sum);
#pragma unroll
    for (int i = 0; i < PerLane; ++i)
      if (i * kWarp + lane < columns) out[row * columns + i * kWarp + lane] = values[i] * factor;
  }
}

/** The sum of the exponentials of what was seen, each less the largest so far. −∞ adds nothing, also where nothing
 *  else has come yet. */
struct Exponentials {
  float largest = -INFINITY, sum = 0.0f;

  template <int N>
  __device__ void take(const Pack<float, N>& x) {
    float larger = largest;
#pragma unroll
    for (int i = 0; i < N; ++i) larger = fmaxf(larger, x.lane[i]);
    if (larger != largest) sum *= expf(largest - larger), largest = larger;
#pragma unroll
    for (int i = 0; i < N; ++i) sum += x.lane[i] == -INFINITY ? 0.0f : expf(x.lane[i] - largest);
  }
};

/** A block a row: read once for the sum and once more, out of the cache, for the result. */
template <int N>
__global__ void __launch_bounds__(kThreads)
softmaxOfLong(int64_t rows, int64_t columns, const float* x, float* out) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* from = x + row * columns;
    Exponentials own;
    for (int64_t c = threadIdx.x * N; c < columns; c += kThreads * N) own.take(loadPack<N>(from + c));
    float largest = blockLargest(own.largest);
    float factor = 1.0f / blockSum(own.largest == largest ? own.sum : own.sum * expf(own.largest - largest));
    for (int64_t c = threadIdx.x * N; c < columns; c += kThreads * N) {
      Pack<float, N> pack = loadPack<N>(from + c);
#pragma unroll
      for (int i = 0; i < N; ++i) pack.lane[i] = expf(pack.lane[i] - largest) * factor;
      storePack(out + row * columns + c, pack);
    }
  }
}

}  // namespace

Status softmaxRows(int64_t rows, int64_t columns, const float* x, float* out) {
  if (columns == 0) return Status::ok();
  Grid warps = elementGrid(rows * kWarp, kThreads), blocks = {dim3(gridLength(rows)), dim3(kThreads)};
  int narrow = static_cast<int>(columns < INT32_MAX ? columns : INT32_MAX);
  if (columns <= 1 * kWarp) return launch(softmaxOfShort<1>, warps, rows, narrow, x, out);
  if (columns <= 4 * kWarp) return launch(softmaxOfShort<4>, warps, rows, narrow, x, out);
  if (columns <= 16 * kWarp) return launch(softmaxOfShort<16>, warps, rows, narrow, x, out);
  if (columns <= 32 * kWarp) return launch(softmaxOfShort<32>, warps, rows, narrow, x, out);
  if (columns % 4 == 0 && isPackAligned<4>(x) && isPackAligned<4>(out)) return launch(softmaxOfLong<4>, blocks, rows, columns, x, out);
  return launch(softmaxOfLong<1>, blocks, rows, columns, x, out);
}

}  // namespace moe::cuda
