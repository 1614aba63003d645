#include "attention.h"

#include "attentionTiles.h"

/* Two passes over the scores, one by queries and one by keys: no sum depends on which block comes first. */
namespace moe::cuda {
namespace {

constexpr float kLog2E = 1.44269504f;

/** pull [B, Q, Tq] = dy · y of each query and head. A warp has one. */
__global__ void pullOfRows(const float* y, const float* dy, AttentionSizes s, float* pull) {
  int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;  // of [B, Tq, Q]
  if (row >= s.B * s.Tq * s.Q) return;
  float sum = 0.0f;
  for (int64_t d = threadIdx.x % kWarp; d < s.D; d += kWarp) sum = fmaf(y[row * s.D + d], dy[row * s.D + d], sum);
  sum = warpSum(sum);
  int64_t h = row % s.Q, t = row / s.Q % s.Tq, b = row / s.Q / s.Tq;
  if (threadIdx.x % kWarp == 0) pull[(b * s.Q + h) * s.Tq + t] = sum;
}

/** dQuery: a block has kRows queries of one head and goes through the keys. */
template <class Tiles, int Dimensions>
__global__ void __launch_bounds__((AttentionShape<Tiles, Dimensions>::kThreads))
queryGradient(const __grid_constant__ AttentionSizes s, const float* query, const float* key, const float* value, const int32_t* firstKey,
              const float* logSumExp, const float* pull, const float* dy, float* dQuery) {
  using Shape = AttentionShape<Tiles, Dimensions>;
  using Value = typename Tiles::Value;
  constexpr int kBlocks = Shape::kColumns / 8;
  Value* queries = dynamicShared<Value>();
  Value* dys = queries + Shape::kRows * Shape::kStride;
  Value* keys = dys + Shape::kRows * Shape::kStride;
  Value* values = keys + Shape::kColumns * Shape::kStride;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  Value* slopes = values + Shape::kColumns * Shape::kStride + warp * 16 * Shape::kSharesStride;

  int64_t firstQuery = (gridDim.x - 1 - int64_t{blockIdx.x}) * Shape::kRows, h = blockIdx.y, b = blockIdx.z;
  int64_t queryHead = (b * s.Tq * s.Q + h) * s.D, keyHead = (b * s.Tk * s.G + h / (s.Q / s.G)) * s.D;
  bringRows<Tiles, Dimensions>(query + queryHead, s.Q * s.D, firstQuery, s.Tq, s.D, Shape::kRows, queries);
  bringRows<Tiles, Dimensions>(dy + queryHead, s.Q * s.D, firstQuery, s.Tq, s.D, Shape::kRows, dys);

  Sight sight[2];
  float ownLogSum[2], ownPull[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    int64_t own = firstQuery + warp * 16 + lane / 4 + half * 8, at = (b * s.Q + h) * s.Tq + own;
    sight[half] = Sight::of(s, firstKey, b, own);
    ownLogSum[half] = own < s.Tq ? logSumExp[at] * kLog2E : 0.0f;
    ownPull[half] = own < s.Tq ? pull[at] : 0.0f;
  }
  int64_t lastQuery = min(firstQuery + Shape::kRows, s.Tq) - 1;
  int64_t begin = firstKey == nullptr ? 0 : s.Tk, end = lastQuery + s.Tk - s.Tq + 1;
  if (firstKey != nullptr)
    for (int64_t i = firstQuery; i <= lastQuery; ++i) begin = min(begin, Sight::of(s, firstKey, b, i).first);

  float root = 1.0f / sqrtf(static_cast<float>(s.D));
  float out[1][Dimensions / 8][4] = {};
  for (int64_t first = begin / Shape::kColumns * Shape::kColumns; first < end; first += Shape::kColumns) {
    __syncthreads();
    bringRows<Tiles, Dimensions>(key + keyHead, s.G * s.D, first, s.Tk, s.D, Shape::kColumns, keys);
    bringRows<Tiles, Dimensions>(value + keyHead, s.G * s.D, first, s.Tk, s.D, Shape::kColumns, values);
    __syncthreads();
    float scores[1][kBlocks][4] = {}, dShares[1][kBlocks][4] = {};
    Tiles::template multiply<false, true>(scores, queries, Shape::kStride, warp * 16, keys, Shape::kStride, 0, Dimensions);
    Tiles::template multiply<false, true>(dShares, dys, Shape::kStride, warp * 16, values, Shape::kStride, 0, Dimensions);
#pragma unroll
    for (int j = 0; j < kBlocks; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        int half = e / 2, column = j * 8 + lane % 4 * 2 + e % 2;
        float share = sight[half].has(first + column) ? exp2f(scores[0][j][e] * (root * kLog2E) - ownLogSum[half]) : 0.0f;
        slopes[(lane / 4 + half * 8) * Shape::kSharesStride + column] = Tiles::of(share * (dShares[0][j][e] - ownPull[half]) * root);
      }
    __syncwarp();
    Tiles::template multiply<false, false>(out, slopes, Shape::kSharesStride, 0, keys, Shape::kStride, 0, Shape::kColumns);
    __syncwarp();
  }
  writeRows(out, firstQuery + warp * 16, s.Tq, s.D, s.Q * s.D, 1.0f, 1.0f, dQuery + queryHead);
}

/** dKey and dValue: a block has kRows keys of one key/value head and goes through the queries of all heads that use it. */
template <class Tiles, int Dimensions>
__global__ void __launch_bounds__((AttentionShape<Tiles, Dimensions>::kThreads))
keyValueGradient(const __grid_constant__ AttentionSizes s, const float* query, const float* key, const float* value, const int32_t* firstKey,
                 const float* logSumExp, const float* pull, const float* dy, float* dKey, float* dValue) {
  using Shape = AttentionShape<Tiles, Dimensions>;
  using Value = typename Tiles::Value;
  constexpr int kBlocks = Shape::kColumns / 8;
  Value* keys = dynamicShared<Value>();
  Value* values = keys + Shape::kRows * Shape::kStride;
  Value* queries = values + Shape::kRows * Shape::kStride;
  Value* dys = queries + Shape::kColumns * Shape::kStride;
  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  Value* shares = dys + Shape::kColumns * Shape::kStride + warp * 16 * Shape::kSharesStride;

  int64_t firstKeyOfBlock = int64_t{blockIdx.x} * Shape::kRows, g = blockIdx.y, b = blockIdx.z;
  int64_t keyHead = (b * s.Tk * s.G + g) * s.D;
  bringRows<Tiles, Dimensions>(key + keyHead, s.G * s.D, firstKeyOfBlock, s.Tk, s.D, Shape::kRows, keys);
  bringRows<Tiles, Dimensions>(value + keyHead, s.G * s.D, firstKeyOfBlock, s.Tk, s.D, Shape::kRows, values);

  float root = 1.0f / sqrtf(static_cast<float>(s.D));
  float dKeys[1][Dimensions / 8][4] = {}, dValues[1][Dimensions / 8][4] = {};
  int64_t heads = s.Q / s.G, begin = max(firstKeyOfBlock - (s.Tk - s.Tq), int64_t{0});
  for (int64_t h = g * heads; h < (g + 1) * heads; ++h)
    for (int64_t first = begin / Shape::kColumns * Shape::kColumns; first < s.Tq; first += Shape::kColumns) {
      int64_t queryHead = (b * s.Tq * s.Q + h) * s.D;
      __syncthreads();
      bringRows<Tiles, Dimensions>(query + queryHead, s.Q * s.D, first, s.Tq, s.D, Shape::kColumns, queries);
      bringRows<Tiles, Dimensions>(dy + queryHead, s.Q * s.D, first, s.Tq, s.D, Shape::kColumns, dys);
      __syncthreads();
      float scores[1][kBlocks][4] = {}, dShares[1][kBlocks][4] = {};
      Tiles::template multiply<false, true>(scores, keys, Shape::kStride, warp * 16, queries, Shape::kStride, 0, Dimensions);
      Tiles::template multiply<false, true>(dShares, values, Shape::kStride, warp * 16, dys, Shape::kStride, 0, Dimensions);
#pragma unroll
      for (int j = 0; j < kBlocks; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          int column = j * 8 + lane % 4 * 2 + e;
          int64_t i = first + column, at = (b * s.Q + h) * s.Tq + i;
          Sight sight = Sight::of(s, firstKey, b, i);
          float logSum = i < s.Tq ? logSumExp[at] * kLog2E : 0.0f, ownPull = i < s.Tq ? pull[at] : 0.0f;
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            float score = scores[0][j][half * 2 + e] * (root * kLog2E);
            float share = sight.has(firstKeyOfBlock + warp * 16 + lane / 4 + half * 8) ? exp2f(score - logSum) : 0.0f;
            shares[(lane / 4 + half * 8) * Shape::kSharesStride + column] = Tiles::of(share);
            scores[0][j][half * 2 + e] = share * (dShares[0][j][half * 2 + e] - ownPull) * root;
          }
        }
      __syncwarp();
      Tiles::template multiply<false, false>(dValues, shares, Shape::kSharesStride, 0, dys, Shape::kStride, 0, Shape::kColumns);
      __syncwarp();
#pragma unroll
      for (int j = 0; j < kBlocks; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          shares[(lane / 4 + e / 2 * 8) * Shape::kSharesStride + j * 8 + lane % 4 * 2 + e % 2] = Tiles::of(scores[0][j][e]);
      __syncwarp();
      Tiles::template multiply<false, false>(dKeys, shares, Shape::kSharesStride, 0, queries, Shape::kStride, 0, Shape::kColumns);
      __syncwarp();
    }
  writeRows(dKeys, firstKeyOfBlock + warp * 16, s.Tk, s.D, s.G * s.D, 1.0f, 1.0f, dKey + keyHead);
  writeRows(dValues, firstKeyOfBlock + warp * 16, s.Tk, s.D, s.G * s.D, 1.0f, 1.0f, dValue + keyHead);
}

}  // namespace

Status attentionBackward(const AttentionSizes& s, const float* query, const float* key, const float* value, const int32_t* firstKey, const float* y,
                         const float* logSumExp, const float* dy, float* dQuery, float* dKey, float* dValue) {
  Scratch pulls(s.B * s.Q * s.Tq * 4);
  if (!pulls.isOk()) return pulls.status("the row sums of attention's gradient");
  float* pull = pulls.as<float>();
  constexpr int kThreads = 256;
  MOE_RETURN_IF_NOT_OK(launch(pullOfRows, Grid{dim3(ceilDivide(s.B * s.Tq * s.Q, kThreads / kWarp)), dim3(kThreads)}, y, dy, s, pull));
  return ofAttention(s.D, productPrecision(), [&](auto tiles, auto dimensions) {
    using Tiles = decltype(tiles);
    using Shape = AttentionShape<Tiles, dimensions.value>;
    dim3 threads(Shape::kThreads);
    Grid byQueries{dim3(ceilDivide(s.Tq, Shape::kRows), s.Q, s.B), threads, Shape::bytes(2, 2)};
    MOE_RETURN_IF_NOT_OK(launch(queryGradient<Tiles, dimensions.value>, byQueries, s, query, key, value, firstKey, logSumExp, pull, dy, dQuery));
    Grid byKeys{dim3(ceilDivide(s.Tk, Shape::kRows), s.G, s.B), threads, Shape::bytes(2, 2)};
    return launch(keyValueGradient<Tiles, dimensions.value>, byKeys, s, query, key, value, firstKey, logSumExp, pull, dy, dKey, dValue);
  });
}

}  // namespace moe::cuda
