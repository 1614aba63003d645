#include "attention.h"

#include "attentionTiles.h"

/* Source of the method: Dao 2023, FlashAttention-2, arXiv:2307.08691. */
namespace moe::cuda {
namespace {

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/** A block has kRows queries of one head and goes through the keys that they see, with the running largest score and sum
 *  of each query in registers. */
template <class Tiles, int Dimensions>
__global__ void __launch_bounds__((AttentionShape<Tiles, Dimensions>::kThreads))
attend(const __grid_constant__ AttentionSizes s, const float* query, const float* key, const float* value, const int32_t* firstKey, float* y,
       float* logSumExp) {
  using Shape = AttentionShape<Tiles, Dimensions>;
  using Value = typename Tiles::Value;
  constexpr int kBlocks = Shape::kColumns / 8;
  Value* queries = dynamicShared<Value>();
  Value* keys = queries + Shape::kRows * Shape::kStride;
  Value* values = keys + Shape::kColumns * Shape::kStride;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  Value* shares = values + Shape::kColumns * Shape::kStride + warp * 16 * Shape::kSharesStride;

  // The last queries see the most keys: they come first.
  int64_t firstQuery = (gridDim.x - 1 - int64_t{blockIdx.x}) * Shape::kRows, h = blockIdx.y, b = blockIdx.z;
  const float* queryOfHead = query + (b * s.Tq * s.Q + h) * s.D;
  int64_t keyHead = (b * s.Tk * s.G + h / (s.Q / s.G)) * s.D;
  bringRows<Tiles, Dimensions>(queryOfHead, s.Q * s.D, firstQuery, s.Tq, s.D, Shape::kRows, queries);

  int64_t ownQuery[2] = {firstQuery + warp * 16 + lane / 4, firstQuery + warp * 16 + lane / 4 + 8};
  Sight sight[2] = {Sight::of(s, firstKey, b, ownQuery[0]), Sight::of(s, firstKey, b, ownQuery[1])};
  int64_t lastQuery = min(firstQuery + Shape::kRows, s.Tq) - 1;
  int64_t begin = firstKey == nullptr ? 0 : s.Tk, end = lastQuery + s.Tk - s.Tq + 1;
  if (firstKey != nullptr)
    for (int64_t i = firstQuery; i <= lastQuery; ++i) begin = min(begin, Sight::of(s, firstKey, b, i).first);

  float factor = kLog2E / sqrtf(static_cast<float>(s.D));
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
  float out[1][Dimensions / 8][4] = {};
  for (int64_t first = begin / Shape::kColumns * Shape::kColumns; first < end; first += Shape::kColumns) {
    __syncthreads();  // the tiles before have been read by all
    bringRows<Tiles, Dimensions>(key + keyHead, s.G * s.D, first, s.Tk, s.D, Shape::kColumns, keys);
    bringRows<Tiles, Dimensions>(value + keyHead, s.G * s.D, first, s.Tk, s.D, Shape::kColumns, values);
    __syncthreads();
    float scores[1][kBlocks][4] = {};
    Tiles::template multiply<false, true>(scores, queries, Shape::kStride, warp * 16, keys, Shape::kStride, 0, Dimensions);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = largest[half];
#pragma unroll
      for (int j = 0; j < kBlocks; ++j)
#pragma unroll
        for (int e = half * 2; e < half * 2 + 2; ++e) {
          int64_t at = first + j * 8 + lane % 4 * 2 + e % 2;
          scores[0][j][e] = sight[half].has(at) ? scores[0][j][e] * factor : -INFINITY;
          most = fmaxf(most, scores[0][j][e]);
        }
      most = rowLargest(most);
      // A query that has seen nothing yet keeps sums of 0.
      float base = most == -INFINITY ? 0.0f : most, shrink = exp2f(largest[half] - base), added = 0.0f;
      largest[half] = most;
#pragma unroll
      for (int j = 0; j < kBlocks; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float share = exp2f(scores[0][j][half * 2 + e] - base);
          added += share;
          shares[(lane / 4 + half * 8) * Shape::kSharesStride + j * 8 + lane % 4 * 2 + e] = Tiles::of(share);
        }
      sum[half] = sum[half] * shrink + rowSum(added);
#pragma unroll
      for (int j = 0; j < Dimensions / 8; ++j) out[0][j][half * 2] *= shrink, out[0][j][half * 2 + 1] *= shrink;
    }
    __syncwarp();
    Tiles::template multiply<false, false>(out, shares, Shape::kSharesStride, 0, values, Shape::kStride, 0, Shape::kColumns);
    __syncwarp();
  }
  writeRows(out, firstQuery + warp * 16, s.Tq, s.D, s.Q * s.D, 1.0f / sum[0], 1.0f / sum[1], y + (b * s.Tq * s.Q + h) * s.D);
  if (lane % 4 != 0) return;
#pragma unroll
  for (int half = 0; half < 2; ++half)
    if (ownQuery[half] < s.Tq) logSumExp[(b * s.Q + h) * s.Tq + ownQuery[half]] = largest[half] * kLn2 + logf(sum[half]);
}

}  // namespace

Status attentionForward(const AttentionSizes& s, const float* query, const float* key, const float* value, const int32_t* firstKey, float* y,
                        float* logSumExp) {
  return ofAttention(s.D, productPrecision(), [&](auto tiles, auto dimensions) {
    using Tiles = decltype(tiles);
    using Shape = AttentionShape<Tiles, dimensions.value>;
    Grid grid{dim3(ceilDivide(s.Tq, Shape::kRows), s.Q, s.B), dim3(Shape::kThreads), Shape::bytes(1, 2)};
    return launch(attend<Tiles, dimensions.value>, grid, s, query, key, value, firstKey, y, logSumExp);
  });
}

}  // namespace moe::cuda
