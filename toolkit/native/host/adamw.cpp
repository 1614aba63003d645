#include "adamw.h"

#include <cmath>

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

typedef double vd __attribute__((vector_size(8 * kLanes)));

int64_t piecesOf(int64_t count) { return (count + kElementsPerTask - 1) / kElementsPerTask; }

/** Cuts many arrays into pieces of at most kElementsPerTask elements and calls body(array, begin, end, piece) for each,
 *  on all threads: one round for all, because most arrays of a model are too small for a round of their own. */
template <class CountOf, class Body>
Status forEachPiece(int64_t arrays, CountOf&& countOf, Body&& body) {
  Scratch first(1, 2 * (arrays + 1));
  if (!first.isOk()) return first.status("the pieces of the parameters");
  int64_t* firstPiece = static_cast<int64_t*>(first.bytes());
  firstPiece[0] = 0;
  for (int64_t i = 0; i < arrays; ++i) firstPiece[i + 1] = firstPiece[i] + piecesOf(countOf(i));
  parallelFor(firstPiece[arrays], [&](int64_t piece, int) {
    int64_t low = 0, high = arrays - 1;
    while (low < high) {
      int64_t middle = (low + high + 1) / 2;
      if (firstPiece[middle] <= piece)
        low = middle;
      else
        high = middle - 1;
    }
    int64_t begin = (piece - firstPiece[low]) * kElementsPerTask, count = countOf(low);
    body(low, begin, begin + kElementsPerTask < count ? begin + kElementsPerTask : count, piece);
  });
  return Status::ok();
}

}  // namespace

Status adamwUpdate(const AdamwFactors& f, const AdamwParameter* parameters, int64_t count) {
  float gradientScale = *f.gradientScale;
  if (!std::isfinite(gradientScale)) return Status::ok();
  auto countOf = [&](int64_t i) { return parameters[i].count; };
  return forEachPiece(count, countOf, [&](int64_t index, int64_t begin, int64_t end, int64_t) {
    const AdamwParameter& parameter = parameters[index];
    const float* gradient = parameter.gradient + begin;
    float* value = parameter.value + begin;
    float* first = parameter.firstMoment + begin;
    float* second = parameter.secondMoment + begin;
    forEachVector(end - begin, [&](int64_t i, auto lanes) {
      vf g = lanes.load(gradient + i) * gradientScale;
      vf m = lanes.load(first + i) * f.beta1 + g * f.firstShare;
      vf v = lanes.load(second + i) * f.beta2 + g * g * f.secondShare;
      vf p = lanes.load(value + i);
      vf step = m * f.firstScale / (vsqrt(v * f.secondScale) + f.epsilon);
      lanes.store(value + i, p - p * parameter.decay - step * f.learningRate);
      lanes.store(first + i, m);
      lanes.store(second + i, v);
    });
  });
}

Status globalNorm(const FloatSpan* spans, int64_t count, double maxNorm, float* norm, float* gradientScale) {
  int64_t pieces = 0;
  for (int64_t i = 0; i < count; ++i) pieces += piecesOf(spans[i].count);
  Scratch parts(1, 2 * pieces + 2);
  if (!parts.isOk()) return parts.status("the partial sums of a norm");
  double* part = static_cast<double*>(parts.bytes());
  auto countOf = [&](int64_t i) { return spans[i].count; };
  Status done = forEachPiece(count, countOf, [&](int64_t index, int64_t begin, int64_t end, int64_t piece) {
    const float* x = spans[index].data + begin;
    vd squares[2] = {};
    int64_t i = 0, values = end - begin;
    for (; i + 2 * kLanes <= values; i += 2 * kLanes)
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        vd wide = __builtin_convertvector(load(x + i + half * kLanes), vd);
        squares[half] += wide * wide;
      }
    for (; i < values; i += kLanes) {
      vd wide = __builtin_convertvector(loadFirst(x + i, values - i < kLanes ? values - i : kLanes), vd);
      squares[0] += wide * wide;
    }
    double total = 0.0;
    for (int lane = 0; lane < kLanes; ++lane) total += squares[0][lane] + squares[1][lane];
    part[piece] = total;
  });
  double sum = 0.0;
  for (int64_t piece = 0; piece < pieces; ++piece) sum += part[piece];
  double length = std::sqrt(sum);
  *norm = static_cast<float>(length);
  *gradientScale = static_cast<float>(length <= maxNorm ? 1.0 : maxNorm / length);
  if (!std::isfinite(*norm)) *gradientScale = NAN;
  return done;
}

}  // namespace moe::MOE_ISA
