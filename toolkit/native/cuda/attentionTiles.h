#pragma once
/* What the attention kernels share: sizes of tiles, how they come into shared memory, and what a query sees. */
#include "attention.h"
#include "device.h"
#include "product.h"
#include "sharedProduct.h"

namespace moe::cuda {

/** Heads are filled up with zeros to 32, 64, 128 or 256 dimensions. */
constexpr int kMostHeadDimensions = 256;

/** Sizes of a kernel's tiles: rows of a block (16 for each warp), and columns that it goes through at a time. */
template <class Tiles, int Dimensions>
struct AttentionShape {
  static constexpr bool kIsPlain = sizeof(typename Tiles::Value) == 4;
  static constexpr int kWarps = !kIsPlain || Dimensions <= 64 ? 4 : Dimensions == 128 ? 2 : 1;
  static constexpr int kRows = 16 * kWarps;
  static constexpr int kColumns = Dimensions <= 64 ? 64 : Dimensions == 128 ? 32 : 16;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kStride = Dimensions + Tiles::kPadding;
  static constexpr int kSharesStride = kColumns + Tiles::kPadding;
  /** Shared memory for so many tiles of rows and of columns, and a tile of shares for each warp. */
  static constexpr size_t bytes(int rowTiles, int columnTiles) {
    return sizeof(typename Tiles::Value) * (size_t(rowTiles) * kRows * kStride + size_t(columnTiles) * kColumns * kStride + size_t(kRows) * kSharesStride);
  }
};

/** Key j is seen by query i from firstKey[i] on up to i + (Tk − Tq). */
struct Sight {
  int64_t first, last;  // last < first: sees nothing

  __device__ static Sight of(const AttentionSizes& s, const int32_t* firstKey, int64_t b, int64_t query) {
    if (query >= s.Tq) return {0, -1};
    int64_t first = firstKey == nullptr ? 0 : max(int64_t{firstKey[b * s.Tq + query]}, int64_t{0});
    return {first, query + s.Tk - s.Tq};
  }
  __device__ bool has(int64_t key) const { return key >= first && key <= last; }
};

/** Brings `count` rows of D values, `stride` elements apart, into shared memory; zeros beyond both. */
template <class Tiles, int Dimensions>
__device__ void bringRows(const float* from, int64_t stride, int64_t first, int64_t limit, int64_t D, int count, typename Tiles::Value* to) {
  constexpr int kStride = AttentionShape<Tiles, Dimensions>::kStride;
  bool isVector = D % 4 == 0 && stride % 4 == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0;
  for (int v = threadIdx.x; v < count * (Dimensions / 4); v += blockDim.x) {
    int row = v / (Dimensions / 4), column = v % (Dimensions / 4) * 4;
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (first + row < limit && column < D) {
      const float* at = from + (first + row) * stride + column;
      if (isVector) {
        four = *reinterpret_cast<const float4*>(at);
      } else {
        four.x = at[0];
        if (column + 1 < D) four.y = at[1];
        if (column + 2 < D) four.z = at[2];
        if (column + 3 < D) four.w = at[3];
      }
    }
    typename Tiles::Value* place = to + row * kStride + column;
    place[0] = Tiles::of(four.x), place[1] = Tiles::of(four.y), place[2] = Tiles::of(four.z), place[3] = Tiles::of(four.w);
  }
}

/** Writes a warp's sums, rows from `first` on, to rows of D values that are `stride` elements apart. */
template <int J>
__device__ void writeRows(const float (&sums)[1][J][4], int64_t first, int64_t limit, int64_t D, int64_t stride, float factor0, float factor1, float* to) {
  int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    int64_t row = first + lane / 4 + half * 8;
    if (row >= limit) continue;
    float factor = half == 0 ? factor0 : factor1;
#pragma unroll
    for (int j = 0; j < J; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        int column = j * 8 + lane % 4 * 2 + e;
        if (column < D) to[row * stride + column] = sums[0][j][half * 2 + e] * factor;
      }
  }
}

/** Sum or maximum over the four lanes that have one row. */
__device__ inline float rowLargest(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}
__device__ inline float rowSum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}

/** Calls work(tiles, dimensions) with the kinds that fit a precision and a head. */
template <class Work>
Status ofAttention(int64_t D, Precision precision, Work&& work) {
  if (D < 1 || D > kMostHeadDimensions) return Status::outOfRange("headDim", D, 1, kMostHeadDimensions);
  auto ofTiles = [&](auto tiles) {
    if (D <= 32) return work(tiles, std::integral_constant<int, 32>{});
    if (D <= 64) return work(tiles, std::integral_constant<int, 64>{});
    if (D <= 128) return work(tiles, std::integral_constant<int, 128>{});
    return work(tiles, std::integral_constant<int, 256>{});
  };
  if (precision == Precision::bfloat16) return ofTiles(NarrowTiles<Narrow::bfloat16>{});
  if (precision == Precision::float16) return ofTiles(NarrowTiles<Narrow::float16>{});
  return ofTiles(PlainTiles{});
}

}  // namespace moe::cuda
