#include "crossEntropy.h"

#include <cmath>

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

Status checkTargets(const int32_t* targets, const float* mask, int64_t N, int64_t V) {
  for (int64_t n = 0; n < N; ++n) {
    if (mask[n] != 0.0f && (targets[n] < 0 || targets[n] >= V)) return Status::outOfRange("targets", targets[n], 0, V - 1);
  }
  return Status::ok();
}

double sumOfMask(const float* mask, int64_t N) {
  double sum = 0.0;
  for (int64_t n = 0; n < N; ++n) sum += mask[n];
  return sum;
}

/** Σ e^(from − shift) without storing the powers. */
float sumOfPowers(const float* from, float shift, int64_t V) {
  vf sum = {};
  int64_t v = 0;
  for (; v + kLanes <= V; v += kLanes) sum += vexp(load(from + v) - shift);
  float rest = 0.0f;
  for (; v < V; ++v) rest += std::exp(from[v] - shift);
  return hsum(sum) + rest;
}

}  // namespace

Status crossEntropyForward(const float* logits, const int32_t* targets, const float* mask, int64_t N, int64_t V,
                           float* logSumExp, float* nats) {
  Status targetsFit = checkTargets(targets, mask, N, V);
  if (!targetsFit.isOk()) return targetsFit;
  parallelRanges(N, rowGrain(V), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      if (mask[n] == 0.0f) {
        logSumExp[n] = 0.0f;
        continue;
      }
      float largest = largestOfRow(logits + n * V, V);
      logSumExp[n] = largest + std::log(sumOfPowers(logits + n * V, largest, V));
    }
  });
  double sum = 0.0;
  for (int64_t n = 0; n < N; ++n) {
    if (mask[n] != 0.0f) sum += static_cast<double>(mask[n]) * (static_cast<double>(logSumExp[n]) - logits[n * V + targets[n]]);
  }
  double count = sumOfMask(mask, N);
  *nats = count == 0.0 ? 0.0f : static_cast<float>(sum / count);
  return Status::ok();
}

Status crossEntropyBackward(const float* logits, const int32_t* targets, const float* mask, const float* logSumExp,
                            const float* dNats, int64_t N, int64_t V, float* dLogits) {
  Status targetsFit = checkTargets(targets, mask, N, V);
  if (!targetsFit.isOk()) return targetsFit;
  double count = sumOfMask(mask, N);
  float share = count == 0.0 ? 0.0f : static_cast<float>(*dNats / count);
  parallelRanges(N, rowGrain(V), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      float factor = mask[n] * share;
      const float* from = logits + n * V;
      float* to = dLogits + n * V;
      if (mask[n] == 0.0f) {
        fillRow(to, 0.0f, V);
        continue;
      }
      float shift = logSumExp[n];
      forEachVector(V, [&](int64_t v, auto lanes) { lanes.store(to + v, vexp(lanes.load(from + v) - shift) * factor); });
      to[targets[n]] -= factor;
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
