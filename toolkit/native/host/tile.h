#pragma once
#include "matmul.h"

/* The pieces matmul.cpp is made of: packing and the register micro-kernel. */
namespace moe::MOE_ISA {

/** Where A's elements are: row i, column j at a + row(i) · rowStride + column(j) · columnStride. */
struct Operand {
  const float* a;
  int64_t rowStride, columnStride;
  const int32_t* rows;     // row(i) = rows[i], or i when null
  const int32_t* columns;  // column(j) = columns[j], or j when null

  MOE_INLINE const float* row(int64_t i) const { return a + (rows != nullptr ? rows[i] : i) * rowStride; }
  MOE_INLINE int64_t columnOffset(int64_t j) const { return (columns != nullptr ? columns[j] : j) * columnStride; }
};

/** How a packed strip of A lies in memory. Either way the tile kernel reads it from front to back. */
enum class StripLayout {
  byColumn,  // element (i, j) at j · rows + i: for an A whose rows are adjacent in memory (a transposed matrix)
  byRow      // element (i, j) at (j / 16 · rows + i) · 16 + j % 16: runs of a row are copied as they are
};

/** Columns of A in one run of a byRow strip: a cache line. */
inline constexpr int kRun = 16;

MOE_INLINE StripLayout layoutOf(const Operand& a) {
  return a.columnStride == 1 && a.columns == nullptr ? StripLayout::byRow : StripLayout::byColumn;
}

/** Packs rows [firstRow, firstRow + m) and columns [firstColumn, firstColumn + k) of A as strips of kTileRows rows (the
 *  last one shorter) in the layout of layoutOf; the strip of row i begins at i · packedDepth(k). m, k ≥ 1. */
void packA(const Operand& from, int64_t firstRow, int64_t m, int64_t firstColumn, int64_t k, float* packed);

/** One panel of packB: `columns` ≤ kTileColumns columns, zeros behind them. */
void packBPanel(const float* b, int64_t rowStride, int64_t columnStride, int64_t k, int64_t columns, float* packed);

/** C [rows, columns] (+)= alpha · strip · B for one strip of packA and at most kTileColumns columns. Row i of B is
 *  at b + i · bStride and must have kTileColumns readable floats, unless `columns` says fewer and `bIsBare`. */
void multiplyStrip(StripLayout layout, int64_t rows, int64_t columns, int64_t k, const float* strip, const float* b,
                   int64_t bStride, bool bIsBare, float* c, int64_t cRowStride, bool accumulate, float alpha);

inline constexpr int64_t kFewRows = 4;

/** C [rows, columns] (+)= alpha · A · B for rows ≤ kFewRows and any number of columns: reads B's rows from left to
 *  right, as memory likes it, and keeps C in the cache instead of in registers. */
void multiplyStreamed(const Operand& a, int64_t rows, int64_t columns, int64_t k, const float* b, int64_t bStride,
                      float* c, int64_t cRowStride, bool accumulate, float alpha);

/** C [rows, columns] (+)= alpha · A · B by dot products, for rows ≤ kFewRows, A's columns adjacent and B's rows
 *  adjacent (a transposed matrix): reads B once and packs nothing. */
void multiplyDots(const Operand& a, int64_t rows, const float* b, int64_t bColumnStride, int64_t k, int64_t columns,
                  float* c, int64_t cRowStride, bool accumulate, float alpha);

}  // namespace moe::MOE_ISA
