#include "tile.h"

namespace moe::MOE_ISA {
namespace {

/** Copies runs of each row; the last run may be shorter. */
void packRuns(const Operand& from, int64_t firstRow, int64_t rows, int64_t firstColumn, int64_t k, float* packed) {
  const float* rowAt[kTileRows];
  for (int64_t i = 0; i < rows; ++i) rowAt[i] = from.row(firstRow + i) + firstColumn;
  int64_t j = 0;
  for (; j + kRun <= k; j += kRun)
    for (int64_t i = 0; i < rows; ++i, packed += kRun)
#pragma GCC unroll 4
      for (int v = 0; v < kRun; v += kLanes) store(packed + v, load(rowAt[i] + j + v));
  if (j == k) return;
  for (int64_t i = 0; i < rows; ++i, packed += kRun)
    for (int64_t l = j; l < k; ++l) packed[l - j] = rowAt[i][l];
}

constexpr int kColumnsAtOnce = 4;

/** Packs byColumn strips a few columns at a time, each column from its first strip to its last, as memory lies: a strip
 *  at a time would fetch each line of A for every strip that has a part of it. */
void packColumns(const Operand& from, int64_t firstRow, int64_t m, int64_t firstColumn, int64_t k, float* packed) {
  const float* base = from.row(firstRow);
  int64_t wholeStrips = m < kLanes ? 0 : (m - kLanes) / kTileRows + 1;  // a vector from their first row ends in A
  int64_t stripSize = kTileRows * packedDepth(k);
  int64_t j = 0;
  for (; j + kColumnsAtOnce < k; j += kColumnsAtOnce) {
    const float* column[kColumnsAtOnce];
    for (int l = 0; l < kColumnsAtOnce; ++l) column[l] = base + from.columnOffset(firstColumn + j + l);
    float* to = packed + j * kTileRows;
    for (int64_t strip = 0; strip < wholeStrips; ++strip, to += stripSize)
#pragma GCC unroll 4
      for (int l = 0; l < kColumnsAtOnce; ++l) store(to + l * kTileRows, load(column[l] + strip * kTileRows));
  }
  for (; j < k; ++j) {
    const float* column = base + from.columnOffset(firstColumn + j);
    for (int64_t strip = 0; strip < wholeStrips; ++strip)
      storeFirst(packed + strip * stripSize + j * kTileRows, load(column + strip * kTileRows), kTileRows);
  }
  for (int64_t done = wholeStrips * kTileRows; done < m; done += kTileRows) {
    int64_t rows = m - done < kTileRows ? m - done : kTileRows;
    float* to = packed + done * packedDepth(k);
    for (int64_t l = 0; l < k; ++l, to += rows)
      storeFirst(to, loadFirst(base + from.columnOffset(firstColumn + l) + done, rows), rows);
  }
}

/** Packs byColumn strips of an A without adjacent rows or columns. */
void packElements(const Operand& from, int64_t firstRow, int64_t m, int64_t firstColumn, int64_t k, float* packed) {
  for (int64_t i = 0; i < m; i += kTileRows) {
    int64_t rows = m - i < kTileRows ? m - i : kTileRows;
    float* to = packed + i * packedDepth(k);
    for (int64_t j = 0; j < k; ++j)
      for (int64_t l = 0; l < rows; ++l) *to++ = from.row(firstRow + i + l)[from.columnOffset(firstColumn + j)];
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
  if (layoutOf(from) == StripLayout::byRow)
    for (int64_t i = 0; i < m; i += kTileRows)
      packRuns(from, firstRow + i, m - i < kTileRows ? m - i : kTileRows, firstColumn, k, packed + i * packedDepth(k));
  else if (from.rowStride == 1 && from.rows == nullptr)
    packColumns(from, firstRow, m, firstColumn, k, packed);
  else
    packElements(from, firstRow, m, firstColumn, k, packed);
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
  Operand from = {a, aRowStride, aColumnStride, nullptr, nullptr};
  packA(from, 0, m, 0, k, aScratch);
  for (int64_t j = 0; j < n; j += kTileColumns) {
    int64_t columns = n - j < kTileColumns ? n - j : kTileColumns;
    for (int64_t i = 0; i < m; i += kTileRows) {
      int64_t rows = m - i < kTileRows ? m - i : kTileRows;
      multiplyStrip(layoutOf(from), rows, columns, k, aScratch + i * packedDepth(k), packed + j * packedK, kTileColumns, false,
                    c + i * cRowStride + j, cRowStride, accumulate, alpha);
    }
  }
}

}  // namespace moe::MOE_ISA
