#include <cstring>

#include "tile.h"

namespace moe::MOE_ISA {
namespace {

/** C [Rows, columns] += A(:, first … first + Depth) · B [Depth, columns]: each vector of C is read and written once. */
template <int Rows, int Depth>
MOE_INLINE void addRows(const Operand& a, int64_t first, const float* b, int64_t bStride, int64_t columns, float alpha, float* c,
                        int64_t cRowStride) {
  float factor[Rows][Depth];
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Depth; ++j) factor[i][j] = alpha * a.row(i)[a.columnOffset(first + j)];
  for (int64_t column = 0; column < columns; column += kLanes) {
    int64_t left = columns - column;
    bool whole = left >= kLanes;
    vf sum[Rows];
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i) {
      const float* from = c + i * cRowStride + column;
      sum[i] = whole ? load(from) : loadFirst(from, left);
    }
#pragma GCC unroll 8
    for (int j = 0; j < Depth; ++j) {
      const float* from = b + j * bStride + column;
      vf row = whole ? load(from) : loadFirst(from, left);
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i) sum[i] = fma(broadcast(factor[i][j]), row, sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i) {
      float* to = c + i * cRowStride + column;
      if (whole)
        store(to, sum[i]);
      else
        storeFirst(to, sum[i], left);
    }
  }
}

template <int Rows>
void multiplyRows(const Operand& a, int64_t columns, int64_t k, const float* b, int64_t bStride, float* c,
                  int64_t cRowStride, float alpha) {
  constexpr int kDepth = Rows == 1 ? 8 : 4;
  int64_t j = 0;
  for (; j + kDepth <= k; j += kDepth)
    addRows<Rows, kDepth>(a, j, b + j * bStride, bStride, columns, alpha, c, cRowStride);
  for (; j < k; ++j) addRows<Rows, 1>(a, j, b + j * bStride, bStride, columns, alpha, c, cRowStride);
}

}  // namespace

void multiplyStreamed(const Operand& a, int64_t rows, int64_t columns, int64_t k, const float* b, int64_t bStride,
                      float* c, int64_t cRowStride, bool accumulate, float alpha) {
  if (!accumulate)
    for (int64_t i = 0; i < rows; ++i) std::memset(c + i * cRowStride, 0, static_cast<size_t>(columns) * sizeof(float));
  constexpr decltype(&multiplyRows<1>) kernels[kFewRows] = {multiplyRows<1>, multiplyRows<2>, multiplyRows<3>,
                                                            multiplyRows<4>};
  kernels[rows - 1](a, columns, k, b, bStride, c, cRowStride, alpha);
}

}  // namespace moe::MOE_ISA
