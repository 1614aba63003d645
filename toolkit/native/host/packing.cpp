#include "tile.h"

namespace moe::MOE_ISA {
namespace {

/** A strip whose columns are adjacent in memory: kLanes columns at a time are transposed in registers. Each store
 *  writes kLanes floats of which the first `rows` count; the next store covers the rest. */
void packStripOfRows(const float* const* rowAt, int64_t rows, int64_t k, float* packed) {
  int64_t j = 0;
  for (; j + kLanes <= k; j += kLanes) {
    vf block[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) block[i] = i < rows ? load(rowAt[i] + j) : vf{};
    transpose(block);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) store(packed + (j + i) * rows, block[i]);
  }
  for (; j < k; ++j)
    for (int64_t i = 0; i < rows; ++i) packed[j * rows + i] = rowAt[i][j];
}

void packStrip(const Operand& from, int64_t firstRow, int64_t rows, int64_t firstColumn, int64_t k, float* packed) {
  const float* rowAt[kLanes];
  for (int64_t i = 0; i < rows; ++i) {
    int64_t row = from.rows != nullptr ? from.rows[firstRow + i] : firstRow + i;
    rowAt[i] = from.a + row * from.rowStride;
  }
  if (from.columnStride == 1 && from.columns == nullptr) {
    for (int64_t i = 0; i < rows; ++i) rowAt[i] += firstColumn;
    packStripOfRows(rowAt, rows, k, packed);
    return;
  }
  bool rowsAreAdjacent = from.rowStride == 1 && from.rows == nullptr;
  for (int64_t j = 0; j < k; ++j) {
    int64_t column = from.columns != nullptr ? from.columns[firstColumn + j] : firstColumn + j;
    int64_t offset = column * from.columnStride;
    float* to = packed + j * rows;
    if (rowsAreAdjacent)
      store(to, loadFirst(rowAt[0] + offset, rows));
    else
      for (int64_t i = 0; i < rows; ++i) to[i] = rowAt[i][offset];
  }
}

/** A panel of a B whose rows are adjacent in memory (a transposed matrix): kLanes × kLanes blocks at a time. */
void packPanelOfColumns(const float* b, int64_t columnStride, int64_t k, int64_t columns, float* packed) {
  for (int64_t first = 0; first < kTileColumns; first += kLanes) {
    int64_t left = columns - first;
    int64_t i = 0;
    for (; i + kLanes <= k; i += kLanes) {
      vf block[kLanes];
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; ++j) block[j] = j < left ? load(b + (first + j) * columnStride + i) : vf{};
      transpose(block);
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; ++j) store(packed + (i + j) * kTileColumns + first, block[j]);
    }
    for (; i < k; ++i)
      for (int64_t j = 0; j < kLanes; ++j)
        packed[i * kTileColumns + first + j] = j < left ? b[(first + j) * columnStride + i] : 0.0f;
  }
}

}  // namespace

void packA(const Operand& from, int64_t firstRow, int64_t m, int64_t firstColumn, int64_t k, float* packed) {
  for (int64_t i = 0; i < m; i += kTileRows) {
    int64_t rows = m - i < kTileRows ? m - i : kTileRows;
    packStrip(from, firstRow + i, rows, firstColumn, k, packed + i * k);
  }
}

void packBPanel(const float* b, int64_t rowStride, int64_t columnStride, int64_t k, int64_t columns, float* packed) {
  if (columnStride != 1 && rowStride == 1) {
    packPanelOfColumns(b, columnStride, k, columns, packed);
    return;
  }
  for (int64_t i = 0; i < k; ++i) {
    const float* from = b + i * rowStride;
    float* to = packed + i * kTileColumns;
    if (columnStride == 1 && columns == kTileColumns) {
      for (int v = 0; v < kTileVectors; ++v) store(to + v * kLanes, load(from + v * kLanes));
    } else {
      for (int64_t j = 0; j < kTileColumns; ++j) to[j] = j < columns ? from[j * columnStride] : 0.0f;
    }
  }
}

void packB(const float* b, int64_t rowStride, int64_t columnStride, int64_t k, int64_t n, float* packed) {
  for (int64_t j = 0; j < n; j += kTileColumns) {
    int64_t columns = n - j < kTileColumns ? n - j : kTileColumns;
    packBPanel(b + j * columnStride, rowStride, columnStride, k, columns, packed + j * k);
  }
}

void multiplyPacked(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRowStride, int64_t aColumnStride,
                    const float* packed, int64_t packedK, float* c, int64_t cRowStride, bool accumulate, float alpha,
                    float* aScratch) {
  packA({a, aRowStride, aColumnStride, nullptr, nullptr}, 0, m, 0, k, aScratch);
  for (int64_t j = 0; j < n; j += kTileColumns) {
    int64_t columns = n - j < kTileColumns ? n - j : kTileColumns;
    for (int64_t i = 0; i < m; i += kTileRows) {
      int64_t rows = m - i < kTileRows ? m - i : kTileRows;
      multiplyStrip(rows, columns, k, aScratch + i * k, packed + j * packedK, kTileColumns, false,
                    c + i * cRowStride + j, cRowStride, accumulate, alpha);
    }
  }
}

}  // namespace moe::MOE_ISA
