#include "layerNorm.h"

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {

Status layerNormForward(const float* x, const float* gain, const float* bias, float epsilon, int64_t rows, int64_t C,
                        float* y, float* mean, float* scale) {
  parallelRanges(rows, rowsOfTask(rows, C), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* from = x + r * C;
      float* to = y + r * C;
      float middle = sumRow(C, [&](int64_t c, auto lanes) { return lanes.load(from + c); }) / static_cast<float>(C);
      // squares of distances, not of values: a large mean would drown the variance
      float squares = sumRow(C, [&](int64_t c, auto lanes) {
        vf distance = lanes.load(from + c) - middle;
        return distance * distance;
      });
      float variance = squares / static_cast<float>(C);
      float factor = 1.0f / __builtin_sqrtf(variance + epsilon);
      mean[r] = middle;
      scale[r] = factor;
      forEachVector(C, [&](int64_t c, auto lanes) {
        prefetch(from + C + c);
        vf normal = (lanes.load(from + c) - middle) * factor;
        lanes.store(to + c, fma(normal, lanes.load(gain + c), lanes.load(bias + c)));
      });
    }
  });
  return Status::ok();
}

Status layerNormBackward(const float* x, const float* gain, const float* mean, const float* scale, const float* dy,
                         int64_t rows, int64_t C, float* dx, float* dGain, float* dBias) {
  // The cuts depend on the sizes alone, and their sums are added in order: the same bits with any number of threads.
  constexpr int64_t kMostCuts = 32;
  int64_t rowsPerCut = (rows + kMostCuts - 1) / kMostCuts;
  if (rowsPerCut < rowGrain(C)) rowsPerCut = rowGrain(C);
  int64_t cuts = (rows + rowsPerCut - 1) / rowsPerCut;
  Scratch sums(cuts > 0 ? cuts : 1, 2 * C);
  if (!sums.isOk()) return sums.status("the gain's and the bias's gradient in layerNorm");

  parallelRanges(rows, rowsPerCut, [&](int64_t begin, int64_t end, int) {
    float* gainSum = sums.floats(begin / rowsPerCut);
    float* biasSum = gainSum + C;
    fillRow(gainSum, 0.0f, 2 * C);
    for (int64_t r = begin; r < end; ++r) {
      const float* from = x + r * C;
      const float* gradient = dy + r * C;
      float* to = dx + r * C;
      float middle = mean[r], factor = scale[r];
      vf straight = {}, along = {};
      forEachVector(C, [&](int64_t c, auto lanes) {
        prefetch(from + C + c);
        vf dyc = lanes.load(gradient + c), normal = (lanes.load(from + c) - middle) * factor;
        vf pull = dyc * lanes.load(gain + c);
        straight += pull;
        along = fma(pull, normal, along);
        lanes.store(gainSum + c, fma(dyc, normal, lanes.load(gainSum + c)));
        lanes.store(biasSum + c, dyc + lanes.load(biasSum + c));
      });
      float meanStraight = hsum(straight) / static_cast<float>(C), meanAlong = hsum(along) / static_cast<float>(C);
      forEachVector(C, [&](int64_t c, auto lanes) {
        prefetch(gradient + C + c);
        vf normal = (lanes.load(from + c) - middle) * factor;
        lanes.store(to + c, (lanes.load(gradient + c) * lanes.load(gain + c) - meanStraight - normal * meanAlong) * factor);
      });
    }
  });
  fillRow(dGain, 0.0f, C);
  fillRow(dBias, 0.0f, C);
  for (int64_t cut = 0; cut < cuts; ++cut) {
    addRow(dGain, sums.floats(cut), C);
    addRow(dBias, sums.floats(cut) + C, C);
  }
  return Status::ok();
}

}  // namespace moe::MOE_ISA
