#include "tile.h"

namespace moe::MOE_ISA {
namespace {

constexpr int kColumnsAtOnce = 4;  // Rows · 4 sums in registers for Rows ≤ kFewRows

template <int Rows>
void dotColumns(const Operand& a, const float* b, int64_t bColumnStride, int64_t k, int64_t columns, float* c,
                int64_t cRowStride, bool accumulate, float alpha) {
  const float* rowAt[Rows];
  for (int i = 0; i < Rows; ++i) rowAt[i] = a.row(i);
  vf sum[Rows][kColumnsAtOnce] = {};
  for (int64_t l = 0; l < k; l += kLanes) {
    int64_t left = k - l;
    bool whole = left >= kLanes;
    vf element[Rows];
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i) element[i] = whole ? load(rowAt[i] + l) : loadFirst(rowAt[i] + l, left);
#pragma GCC unroll 4
    for (int j = 0; j < kColumnsAtOnce; ++j) {
      if (j >= columns) break;
      const float* from = b + j * bColumnStride + l;
      vf column = whole ? load(from) : loadFirst(from, left);
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) sum[i][j] = fma(element[i], column, sum[i][j]);
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < columns; ++j) {
      float value = alpha * hsum(sum[i][j]);
      float* to = c + i * cRowStride + j;
      *to = accumulate ? *to + value : value;
    }
}

}  // namespace

void multiplyDots(const Operand& a, int64_t rows, const float* b, int64_t bColumnStride, int64_t k, int64_t columns,
                  float* c, int64_t cRowStride, bool accumulate, float alpha) {
  constexpr decltype(&dotColumns<1>) kernels[kFewRows] = {dotColumns<1>, dotColumns<2>, dotColumns<3>,
                                                             dotColumns<4>};
  for (int64_t j = 0; j < columns; j += kColumnsAtOnce) {
    int64_t now = columns - j < kColumnsAtOnce ? columns - j : kColumnsAtOnce;
    kernels[rows - 1](a, b + j * bColumnStride, bColumnStride, k, now, c + j, cRowStride, accumulate, alpha);
  }
}

}  // namespace moe::MOE_ISA
