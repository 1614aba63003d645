#include "rmsNorm.h"

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

/** Norms one row; returns its scale. */
MOE_INLINE float normRow(const float* from, const float* gain, float epsilon, int64_t C, float* to) {
  float squares = sumRow(C, [&](int64_t c, auto lanes) { return lanes.load(from + c) * lanes.load(from + c); });
  float meanSquare = squares / static_cast<float>(C);
  float factor = 1.0f / __builtin_sqrtf(meanSquare + epsilon);
  forEachVector(C, [&](int64_t c, auto lanes) {
    prefetch(from + C + c);
    lanes.store(to + c, lanes.load(from + c) * factor * lanes.load(gain + c));
  });
  return factor;
}

}  // namespace

Status rmsNormForward(const float* x, const float* gain, float epsilon, int64_t rows, int64_t C, float* y,
                      float* scale) {
  parallelRanges(rows, rowsOfTask(rows, C), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) scale[r] = normRow(x + r * C, gain, epsilon, C, y + r * C);
  });
  return Status::ok();
}

Status addRmsNormForward(const float* x, const float* added, const float* gain, float epsilon, int64_t rows, int64_t C,
                         float* sum, float* y, float* scale) {
  parallelRanges(rows, rowGrain(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      float* row = sum + r * C;
      forEachVector(C, [&](int64_t c, auto lanes) {
        lanes.store(row + c, lanes.load(x + r * C + c) + lanes.load(added + r * C + c));
      });
      scale[r] = normRow(row, gain, epsilon, C, y + r * C);
    }
  });
  return Status::ok();
}

Status rmsNormBackward(const float* x, const float* gain, const float* scale, const float* dy, const float* dSum,
                       int64_t rows, int64_t C, float* dx, float* dGain) {
  // The cuts depend on the sizes alone, and their sums are added in order: the same bits with any number of threads.
  constexpr int64_t kMostCuts = 32;
  int64_t rowsPerCut = (rows + kMostCuts - 1) / kMostCuts;
  if (rowsPerCut < rowGrain(C)) rowsPerCut = rowGrain(C);
  int64_t cuts = (rows + rowsPerCut - 1) / rowsPerCut;
  Scratch sums(cuts > 0 ? cuts : 1, C);
  if (!sums.isOk()) return sums.status("the gain's gradient in rmsNorm");

  parallelRanges(rows, rowsPerCut, [&](int64_t begin, int64_t end, int) {
    float* sum = sums.floats(begin / rowsPerCut);
    fillRow(sum, 0.0f, C);
    for (int64_t r = begin; r < end; ++r) {
      const float* from = x + r * C;
      const float* gradient = dy + r * C;
      float* to = dx + r * C;
      float factor = scale[r];
      vf along = {};
      forEachVector(C, [&](int64_t c, auto lanes) {
        prefetch(from + C + c);
        vf dyx = lanes.load(gradient + c) * lanes.load(from + c);
        along = fma(dyx, lanes.load(gain + c), along);
        lanes.store(sum + c, fma(dyx, broadcast(factor), lanes.load(sum + c)));
      });
      float pull = hsum(along) * factor * factor * factor / static_cast<float>(C);
      forEachVector(C, [&](int64_t c, auto lanes) {
        prefetch(gradient + C + c);
        vf straight = lanes.load(gradient + c) * lanes.load(gain + c) * factor;
        vf own = straight - lanes.load(from + c) * pull;
        lanes.store(to + c, dSum != nullptr ? own + lanes.load(dSum + r * C + c) : own);
      });
    }
  });
  fillRow(dGain, 0.0f, C);
  for (int64_t cut = 0; cut < cuts; ++cut) addRow(dGain, sums.floats(cut), C);
  return Status::ok();
}

}  // namespace moe::MOE_ISA
