#include "routing.h"

#include <cstring>

#include "parallel.h"
#include "rows.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

/** Orders floats as integers: larger float, larger key; −0 and +0 are equal, NaN is below all. */
MOE_INLINE int32_t orderKey(float score) {
  if (score != score) return INT32_MIN;
  float unsignedZero = score + 0.0f;
  int32_t bits;
  std::memcpy(&bits, &unsignedZero, sizeof bits);
  return bits >= 0 ? bits : INT32_MIN - bits;
}

/** The K best of one row, each found as the largest below the one before it in (score, lower id first). */
void selectTopK(const float* scores, int64_t E, int64_t K, int32_t* ids) {
  int32_t lastKey = INT32_MAX;
  int64_t last = -1;
  for (int64_t k = 0; k < K; ++k) {
    int32_t bestKey = INT32_MIN;
    int64_t best = -1;
    for (int64_t e = 0; e < E; ++e) {
      int32_t key = orderKey(scores[e]);
      bool isLeft = last < 0 || key < lastKey || (key == lastKey && e > last);
      if (isLeft && (best < 0 || key > bestKey)) best = e, bestKey = key;
    }
    ids[k] = static_cast<int32_t>(best);
    last = best, lastKey = bestKey;
  }
}

}  // namespace

Status routeTopKForward(const float* logits, int64_t N, int64_t E, int64_t K, bool renormalize, int32_t* ids,
                        float* weights, float* probabilities) {
  if (K < 1 || K > E) return Status::outOfRange("expertsPerToken", K, 1, E);
  parallelRanges(N, rowGrain(E * (K + 4)), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      const float* scores = logits + n * E;
      float* p = probabilities + n * E;
      float sum = expRow(p, scores, largestOfRow(scores, E), E);
      scaleRow(p, p, 1.0f / sum, E);
      selectTopK(scores, E, K, ids + n * K);
      float kept = 0.0f;
      for (int64_t k = 0; k < K; ++k) kept += weights[n * K + k] = p[ids[n * K + k]];
      if (renormalize)
        for (int64_t k = 0; k < K; ++k) weights[n * K + k] /= kept;
    }
  });
  return Status::ok();
}

Status routeTopKBackward(const int32_t* ids, const float* weights, const float* probabilities, const float* dWeights,
                         const float* dProbabilities, int64_t N, int64_t E, int64_t K, bool renormalize,
                         float* dLogits) {
  for (int64_t i = 0; i < N * K; ++i)
    if (ids[i] < 0 || ids[i] >= E) return Status::outOfRange("ids", ids[i], 0, E - 1);
  parallelRanges(N, rowGrain(4 * E), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      const float* p = probabilities + n * E;
      const int32_t* chosen = ids + n * K;
      float* d = dLogits + n * E;
      copyRow(d, dProbabilities + n * E, E);
      float kept = 1.0f, shared = 0.0f;  // w = p / kept, so every chosen p also lowers the other weights
      if (renormalize) {
        kept = 0.0f;
        for (int64_t k = 0; k < K; ++k) kept += p[chosen[k]], shared += dWeights[n * K + k] * weights[n * K + k];
      }
      for (int64_t k = 0; k < K; ++k) d[chosen[k]] += (dWeights[n * K + k] - shared) / kept;
      float mean = dotRows(d, p, E);
      forEachVector(E, [&](int64_t e, auto lanes) { lanes.store(d + e, lanes.load(p + e) * (lanes.load(d + e) - mean)); });
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
