#include "layout.h"

#include <cstring>

#include "elementwise.h"
#include "parallel.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

struct Offsets {
  int64_t from, to;
};

/** Offsets of row `row` of the dimensions before `last`, leaving out dimension `skipped`. */
Offsets offsetsOf(const BlockCopy& block, int64_t row, int64_t last, int64_t skipped) {
  Offsets at = {block.fromOffset, block.toOffset};
  for (int64_t d = last - 1; d >= 0; --d) {
    if (d == skipped) continue;
    int64_t index = row % block.sizes[d];
    row /= block.sizes[d];
    at.from += index * block.fromStrides[d];
    at.to += index * block.toStrides[d];
  }
  return at;
}

template <class Element>
void copyRow(const Element* from, int64_t fromStride, Element* to, int64_t toStride, int64_t count) {
  if (fromStride == 1 && toStride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(Element));
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i * toStride] = from[i * fromStride];
}

template <class Element>
void copyRows(const BlockCopy& block, const Element* from, Element* to) {
  int64_t last = block.rank - 1;
  int64_t columns = block.sizes[last], rows = 1;
  for (int64_t d = 0; d < last; ++d) rows *= block.sizes[d];
  if (columns == 0) return;
  int64_t fromStride = block.fromStrides[last], toStride = block.toStrides[last];
  if (rows == 1) {
    Offsets at = offsetsOf(block, 0, last, -1);
    parallelRanges(columns, kTaskElements, [&](int64_t begin, int64_t end, int) {
      copyRow(from + at.from + begin * fromStride, fromStride, to + at.to + begin * toStride, toStride, end - begin);
    });
    return;
  }
  int64_t grain = columns >= kTaskElements ? 1 : kTaskElements / columns;
  parallelRanges(rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      Offsets at = offsetsOf(block, row, last, -1);
      copyRow(from + at.from, fromStride, to + at.to, toStride, columns);
    }
  });
}

/** kLanes × kLanes floats through registers: rows of `from` become columns of `to`. */
template <bool Streams>
MOE_INLINE void transposeTile(const float* from, int64_t fromStride, float* to, int64_t toStride) {
  vf tile[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) tile[i] = load(from + i * fromStride);
  transpose(tile);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) Streams ? stream(to + i * toStride, tile[i]) : store(to + i * toStride, tile[i]);
}

/** The same for the first `rows` × `columns` of a tile. */
void transposePart(const float* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows, int64_t columns) {
  vf tile[kLanes] = {};
  for (int64_t i = 0; i < rows; ++i) tile[i] = loadFirst(from + i * fromStride, columns);
  transpose(tile);
  for (int64_t j = 0; j < columns; ++j) storeFirst(to + j * toStride, tile[j], rows);
}

/** A matrix to transpose: `to` row j, column i = `from` row i, column j, for i < rows, j < columns. */
struct Matrix {
  const float* from;
  int64_t fromStride;
  float* to;
  int64_t toStride, rows, columns;
};

/** Rows from `row` on, at most kLanes of them. */
template <bool Streams>
void transposeStrip(const Matrix& m, int64_t row) {
  int64_t rows = smaller(kLanes, m.rows - row);
  const float* from = m.from + row * m.fromStride;
  float* to = m.to + row;
  for (int64_t column = 0; column < m.columns; column += kLanes, from += kLanes, to += kLanes * m.toStride) {
    int64_t columns = smaller(kLanes, m.columns - column);
    if (rows == kLanes && columns == kLanes)
      transposeTile<Streams>(from, m.fromStride, to, m.toStride);
    else
      transposePart(from, m.fromStride, to, m.toStride, rows, columns);
  }
}

/** True where stores may go past the caches: they fill whole lines. */
bool canStream(const Matrix& m) {
  constexpr size_t kLineBytes = 64;
  return sizeof(vf) == kLineBytes && m.toStride % kLanes == 0 && reinterpret_cast<uintptr_t>(m.to) % kLineBytes == 0;
}

/** The dimension that is adjacent in `from` while the last one is adjacent in `to`, or −1. */
int64_t dimensionToSwap(const BlockCopy& block) {
  int64_t last = block.rank - 1;
  if (block.toStrides[last] != 1 || block.fromStrides[last] <= 1) return -1;
  for (int64_t d = 0; d < last; ++d)
    if (block.fromStrides[d] == 1 && block.sizes[d] > 1) return d;
  return -1;
}

/** A copy whose inner loops transpose matrices: dimension `swapped` of it is adjacent in `from`. */
void copyTransposed(const BlockCopy& block, int64_t swapped, const float* from, float* to) {
  // More than the caches of one processor hold: a stored line would first be read from memory, and rows a power of two
  // apart drive each other out of the cache.
  constexpr int64_t kStreamedElements = 1 << 20;
  int64_t last = block.rank - 1;
  int64_t rows = block.sizes[last], columns = block.sizes[swapped], matrices = 1;
  for (int64_t d = 0; d < last; ++d)
    if (d != swapped) matrices *= block.sizes[d];
  int64_t strips = (rows + kLanes - 1) / kLanes;
  int64_t grain = kTaskElements / (columns * kLanes + 1) + 1;
  bool isLarge = matrices * rows * columns >= kStreamedElements;
  parallelRanges(matrices * strips, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      Offsets at = offsetsOf(block, task / strips, last, swapped);
      Matrix m = {from + at.from, block.fromStrides[last], to + at.to, block.toStrides[swapped], rows, columns};
      int64_t row = task % strips * kLanes;
      if (isLarge && canStream(m))
        transposeStrip<true>(m, row);
      else
        transposeStrip<false>(m, row);
    }
    if (isLarge) finishStreams();
  });
}

}  // namespace

Status copyBlock(const BlockCopy& block, int64_t elementBytes, const void* from, void* to) {
  if (block.rank < 1 || block.rank > kMostDimensions) return Status::outOfRange("rank", block.rank, 1, kMostDimensions);
  for (int64_t d = 0; d < block.rank; ++d)
    if (block.sizes[d] == 0) return Status::ok();
  if (elementBytes == 1) {
    copyRows(block, static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to));
    return Status::ok();
  }
  const float* fromFloats = static_cast<const float*>(from);
  float* toFloats = static_cast<float*>(to);
  int64_t swapped = dimensionToSwap(block);
  if (swapped >= 0)
    copyTransposed(block, swapped, fromFloats, toFloats);
  else
    copyRows(block, static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to));
  return Status::ok();
}

}  // namespace moe::MOE_ISA
