#include "adamw.h"

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

typedef double vd __attribute__((vector_size(8 * kLanes)));

}  // namespace

Status adamwUpdate(const AdamwFactors& f, int64_t count, const float* gradient, const float* value, const float* first,
                   const float* second, float* newValue, float* newFirst, float* newSecond) {
  parallelRanges(count, kElementsPerTask, [&](int64_t begin, int64_t end, int) {
    forEachVector(end - begin, [&](int64_t offset, auto lanes) {
      int64_t i = begin + offset;
      vf g = lanes.load(gradient + i) * f.gradientScale;
      vf m = lanes.load(first + i) * f.beta1 + g * f.firstShare;
      vf v = lanes.load(second + i) * f.beta2 + g * g * f.secondShare;
      vf p = lanes.load(value + i);
      vf step = m * f.firstScale / (vsqrt(v * f.secondScale) + f.epsilon);
      lanes.store(newValue + i, p - p * f.decay - step * f.learningRate);
      lanes.store(newFirst + i, m);
      lanes.store(newSecond + i, v);
    });
  });
  return Status::ok();
}

Status sumOfSquares(const float* x, int64_t count, double* sum) {
  int64_t cuts = (count + kElementsPerTask - 1) / kElementsPerTask;
  Scratch parts(1, 2 * cuts + 2);
  if (!parts.isOk()) return parts.status("the partial sums of a norm");
  double* part = static_cast<double*>(parts.bytes());
  parallelRanges(count, kElementsPerTask, [&](int64_t begin, int64_t end, int) {
    vd squares = {};
    forEachVector(end - begin, [&](int64_t offset, auto lanes) {
      vd wide = __builtin_convertvector(lanes.load(x + begin + offset), vd);
      squares += wide * wide;
    });
    double total = 0.0;
    for (int lane = 0; lane < kLanes; ++lane) total += squares[lane];
    part[begin / kElementsPerTask] = total;
  });
  *sum = 0.0;
  for (int64_t cut = 0; cut < cuts; ++cut) *sum += part[cut];
  return Status::ok();
}

}  // namespace moe::MOE_ISA
