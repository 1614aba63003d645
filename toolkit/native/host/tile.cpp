#include "tile.h"

namespace moe::MOE_ISA {
namespace {

using TileKernel = void (*)(int64_t k, const float* strip, const float* b, int64_t bStride, int64_t lastColumns,
                            float* c, int64_t cRowStride, bool accumulate, float alpha);

/** sum(i, v) += A(i, j) · B(j, v) for one column j of the strip, whose element i is at column[i · RowStride]. */
template <int Rows, int RowStride, bool Bare>
MOE_INLINE void addColumn(const float* column, const float* b, int64_t lastColumns, vf (&sum)[Rows][kTileVectors]) {
  vf row[kTileVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kTileVectors; ++v) {
    int64_t first = v * kLanes;
    if constexpr (Bare) {
      int64_t left = lastColumns - first;
      row[v] = left >= kLanes ? load(b + first) : left > 0 ? loadFirst(b + first, left) : vf{};
    } else {
      row[v] = load(b + first);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    vf element = broadcast(column[i * RowStride]);
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) sum[i][v] = fma(element, row[v], sum[i][v]);
  }
}

/** sum(i, v) = Σ strip(i, j) · B(j, v) over k columns: Rows · kTileVectors sums stay in registers. */
template <int Rows, StripLayout Layout, bool Bare>
MOE_INLINE void accumulateTile(int64_t k, const float* strip, const float* b, int64_t bStride, int64_t lastColumns,
                               vf (&sum)[Rows][kTileVectors]) {
  if constexpr (Layout == StripLayout::byColumn) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < k; ++j, strip += Rows, b += bStride) addColumn<Rows, 1, Bare>(strip, b, lastColumns, sum);
  } else {
    constexpr int kStep = 4;
    int64_t j = 0;
    while (j + kStep <= k) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < kStep; ++i) addColumn<Rows, kRun, Bare>(strip + i, b + i * bStride, lastColumns, sum);
      j += kStep;
      b += kStep * bStride;
      strip += j % kRun == 0 ? (Rows - 1) * kRun + kStep : kStep;
    }
    for (; j < k; ++j, ++strip, b += bStride) addColumn<Rows, kRun, Bare>(strip, b, lastColumns, sum);
  }
}

/** Writes a tile's sums to C, whole vectors first, then the part of a vector that is left. */
template <int Rows>
MOE_INLINE void writeTile(const vf (&sum)[Rows][kTileVectors], int64_t columns, float* c, int64_t cRowStride,
                          bool accumulate, float alpha) {
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    float* to = c + i * cRowStride;
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) {
      int64_t left = columns - v * kLanes;
      vf value = sum[i][v] * alpha;
      if (left >= kLanes) {
        store(to + v * kLanes, accumulate ? value + load(to + v * kLanes) : value);
      } else if (left > 0) {
        storeFirst(to + v * kLanes, accumulate ? value + loadFirst(to + v * kLanes, left) : value, left);
      }
    }
  }
}

template <int Rows, StripLayout Layout, bool Bare>
void tileKernel(int64_t k, const float* strip, const float* b, int64_t bStride, int64_t columns, float* c,
                int64_t cRowStride, bool accumulate, float alpha) {
  for (int i = 0; i < Rows; ++i) {
    __builtin_prefetch(c + i * cRowStride, 1);
    __builtin_prefetch(c + i * cRowStride + kTileColumns - 1, 1);
  }
  vf sum[Rows][kTileVectors] = {};
  accumulateTile<Rows, Layout, Bare>(k, strip, b, bStride, columns, sum);
  if (columns == kTileColumns)
    writeTile<Rows>(sum, kTileColumns, c, cRowStride, accumulate, alpha);
  else
    writeTile<Rows>(sum, columns, c, cRowStride, accumulate, alpha);
}

template <StripLayout Layout, int... Index>
constexpr TileKernel pickKernel(int64_t rows, bool bare, std::integer_sequence<int, Index...>) {
  constexpr TileKernel packed[] = {tileKernel<Index + 1, Layout, false>...};
  constexpr TileKernel unpacked[] = {tileKernel<Index + 1, Layout, true>...};
  return bare ? unpacked[rows - 1] : packed[rows - 1];
}

}  // namespace

void multiplyStrip(StripLayout layout, int64_t rows, int64_t columns, int64_t k, const float* strip, const float* b,
                   int64_t bStride, bool bIsBare, float* c, int64_t cRowStride, bool accumulate, float alpha) {
  constexpr std::make_integer_sequence<int, kTileRows> allRows{};
  bool bare = bIsBare && columns < kTileColumns;
  TileKernel kernel = layout == StripLayout::byRow ? pickKernel<StripLayout::byRow>(rows, bare, allRows)
                                                   : pickKernel<StripLayout::byColumn>(rows, bare, allRows);
  kernel(k, strip, b, bStride, columns, c, cRowStride, accumulate, alpha);
}

}  // namespace moe::MOE_ISA
