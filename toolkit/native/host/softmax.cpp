#include "parallel.h"
#include "reduction.h"
#include "rows.h"

namespace moe::MOE_ISA {

Status softmaxRows(int64_t rows, int64_t columns, const float* x, float* out) {
  parallelRanges(rows, rowsOfTask(rows, columns), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * columns;
      float* to = out + row * columns;
      // A NaN may be missed by the largest, but its own exponential makes the sum, and so the whole row, NaN.
      float largest = largestOfRow(from, columns);
      float sum = sumRow(columns, [&](int64_t c, auto lanes) {
        prefetch(from + columns + c);
        vf power = vexp(lanes.load(from + c) - largest);
        lanes.store(to + c, power);
        return power;
      });
      scaleRow(to, to, 1.0f / sum, columns);
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
