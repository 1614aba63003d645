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
};

/** Packs rows [firstRow, firstRow + m) and columns [firstColumn, firstColumn + k) of A as strips of kTileRows rows
 *  (the last one shorter), each k columns long: strip element (i, j) at j · stripRows + i. May write kLanes floats
 *  past the end: see packedASize. */
void packA(const Operand& from, int64_t firstRow, int64_t m, int64_t firstColumn, int64_t k, float* packed);

/** One panel of packB: `columns` ≤ kTileColumns columns, zeros behind them. */
void packBPanel(const float* b, int64_t rowStride, int64_t columnStride, int64_t k, int64_t columns, float* packed);

/** C [rows, columns] (+)= alpha · strip · B for one strip of packA and at most kTileColumns columns. Row i of B is
 *  at b + i · bStride and must have kTileColumns readable floats, unless `columns` says fewer and `bIsBare`. */
void multiplyStrip(int64_t rows, int64_t columns, int64_t k, const float* strip, const float* b, int64_t bStride,
                   bool bIsBare, float* c, int64_t cRowStride, bool accumulate, float alpha);

inline constexpr int64_t kFewRows = 4;

/** C [rows, columns] (+)= alpha · strip · B for rows ≤ kFewRows and any number of columns: reads B's rows from left to
 *  right, as memory likes it, and keeps C in the cache instead of in registers. */
void multiplyStreamed(int64_t rows, int64_t columns, int64_t k, const float* strip, const float* b, int64_t bStride,
                      float* c, int64_t cRowStride, bool accumulate, float alpha);

/** C [rows, columns] (+)= alpha · A · B by dot products, for rows ≤ kFewRows, A's columns adjacent and B's rows
 *  adjacent (a transposed matrix): reads B once and packs nothing. */
void multiplyDots(const Operand& a, int64_t rows, const float* b, int64_t bColumnStride, int64_t k, int64_t columns,
                  float* c, int64_t cRowStride, bool accumulate, float alpha);

}  // namespace moe::MOE_ISA
