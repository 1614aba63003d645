#pragma once
#include "elementwise.h"
#include "parallel.h"
#include "rows.h"

namespace moe::MOE_ISA {

inline constexpr int64_t kElementwiseGrain = 1 << 15;  // elements of a task: 128 KB of each operand

/** Where a row of the last dimension starts in each operand. */
struct RowStart {
  int64_t a, b;
};

MOE_INLINE RowStart rowStart(const Broadcast& shape, int64_t row) {
  RowStart start = {0, 0};
  for (int64_t d = shape.rank - 2; d >= 0; --d) {
    int64_t index = row % shape.sizes[d];
    row /= shape.sizes[d];
    start.a += index * shape.aStrides[d];
    start.b += index * shape.bStrides[d];
  }
  return start;
}

/** Calls body(aOffset, bOffset, outOffset, count) for pieces of rows of the last dimension, on all threads. */
template <class Body>
MOE_INLINE void forEachRow(const Broadcast& shape, Body&& body) {
  int64_t last = shape.rank - 1;
  int64_t columns = shape.sizes[last];
  int64_t rows = 1;
  for (int64_t d = 0; d < last; ++d) rows *= shape.sizes[d];
  if (columns == 0 || rows == 0) return;
  if (rows == 1) {
    parallelRanges(columns, taskElements(columns), [&](int64_t begin, int64_t end, int) {
      body(begin * shape.aStrides[last], begin * shape.bStrides[last], begin, end - begin);
    });
    return;
  }
  parallelRanges(rows, rowsOfTask(rows, columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      RowStart start = rowStart(shape, row);
      body(start.a, start.b, row * columns, columns);
    }
  });
}

}  // namespace moe::MOE_ISA
