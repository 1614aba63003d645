#include "routerLosses.h"

#include <cmath>
#include <cstring>

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTokensPerPart = 512;  // sums over tokens are taken in these parts, whatever the threads

double sumOfMask(const float* mask, int64_t N) {
  double sum = 0.0;
  for (int64_t n = 0; n < N; ++n) sum += mask[n];
  return sum;
}

float logSumExp(const float* row, int64_t E) {
  float largest = largestOfRow(row, E);
  vf sum = {};
  int64_t e = 0;
  for (; e + kLanes <= E; e += kLanes) sum += vexp(load(row + e) - largest);
  if (e < E) sum += select(firstLanes(E - e), vexp(loadFirst(row + e, E - e) - largest), vf{});
  return largest + std::log(hsum(sum));
}

}  // namespace

Status balanceLossForward(const int32_t* ids, const float* probabilities, const float* mask, int64_t N, int64_t K,
                          int64_t E, float* share, float* loss) {
  for (int64_t i = 0; i < N * K; ++i)
    if (ids[i] < -1 || ids[i] >= E) return Status::outOfRange("ids", ids[i], -1, E - 1);
  int64_t parts = (N + kTokensPerPart - 1) / kTokensPerPart;
  Scratch sums(parts + 1, 2 * E);  // of each part, then of all: probabilities, choices
  if (!sums.isOk()) return sums.status("the sums of a router's probabilities");
  parallelFor(parts, [&](int64_t part, int) {
    float* sum = sums.floats(part);
    float* choices = sum + E;
    std::memset(sum, 0, static_cast<size_t>(2 * E) * sizeof(float));
    int64_t end = (part + 1) * kTokensPerPart < N ? (part + 1) * kTokensPerPart : N;
    for (int64_t n = part * kTokensPerPart; n < end; ++n) {
      addScaledRow(sum, probabilities + n * E, mask[n], E);
      for (int64_t k = 0; k < K; ++k)
        if (ids[n * K + k] >= 0) choices[ids[n * K + k]] += mask[n];
    }
  });
  double assignments = 0.0;
  for (int64_t part = 0; part < parts; ++part)
    for (int64_t e = 0; e < E; ++e) assignments += sums.floats(part)[E + e];
  double tokens = sumOfMask(mask, N), total = 0.0;
  for (int64_t e = 0; e < E; ++e) {
    double mean = 0.0, chosen = 0.0;
    for (int64_t part = 0; part < parts; ++part) {
      mean += sums.floats(part)[e];
      chosen += sums.floats(part)[E + e];
    }
    share[e] = assignments == 0.0 ? 0.0f : static_cast<float>(chosen / assignments);
    total += chosen / assignments * (mean / tokens);
  }
  *loss = assignments == 0.0 ? 0.0f : static_cast<float>(total * static_cast<double>(E));
  return Status::ok();
}

Status balanceLossBackward(const float* share, const float* mask, const float* dLoss, int64_t N, int64_t E,
                           float* dProbabilities) {
  double tokens = sumOfMask(mask, N);
  double scale = tokens == 0.0 ? 0.0 : *dLoss * static_cast<double>(E) / tokens;
  parallelRanges(N, rowGrain(E), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n)
      scaleRow(dProbabilities + n * E, share, static_cast<float>(scale * mask[n]), E);
  });
  return Status::ok();
}

Status zLossForward(const float* logits, const float* mask, int64_t N, int64_t E, float* loss) {
  int64_t parts = (N + kTokensPerPart - 1) / kTokensPerPart;
  Scratch sums(1, 2 * parts + 2);
  if (!sums.isOk()) return sums.status("the sums of a z-loss");
  double* sum = static_cast<double*>(sums.bytes());
  parallelFor(parts, [&](int64_t part, int) {
    int64_t end = (part + 1) * kTokensPerPart < N ? (part + 1) * kTokensPerPart : N;
    sum[part] = 0.0;
    for (int64_t n = part * kTokensPerPart; n < end; ++n) {
      double log = logSumExp(logits + n * E, E);
      sum[part] += mask[n] * log * log;
    }
  });
  double total = 0.0;
  for (int64_t part = 0; part < parts; ++part) total += sum[part];
  *loss = static_cast<float>(total / sumOfMask(mask, N));
  return Status::ok();
}

Status zLossBackward(const float* logits, const float* mask, const float* dLoss, int64_t N, int64_t E, float* dLogits) {
  double scale = 2.0 * *dLoss / sumOfMask(mask, N);
  parallelRanges(N, rowGrain(E), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      const float* from = logits + n * E;
      float* to = dLogits + n * E;
      float log = logSumExp(from, E);
      float factor = static_cast<float>(scale * mask[n] * log);
      forEachVector(E, [&](int64_t e, auto lanes) { lanes.store(to + e, vexp(lanes.load(from + e) - log) * factor); });
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
