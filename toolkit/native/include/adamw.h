#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** What all values of a parameter share in one update. */
struct AdamwFactors {
  const float* gradientScale;          // [1]; where it is NaN or infinite nothing is updated
  float beta1, beta2;                  // decay of the moments
  float firstShare, secondShare;       // 1 − beta1, 1 − beta2: taken in double, where little is lost
  float firstScale, secondScale;       // bias correction: 1 / (1 − beta1^step), 1 / (1 − beta2^step)
  float epsilon;
  float learningRate;
};

/** One parameter with all that its update needs. */
struct AdamwParameter {
  int64_t count;  // values
  float decay;    // learningRate · weightDecay
  const float* gradient;
  float *value, *firstMoment, *secondMoment;  // updated in place
};

/** Some values in memory. */
struct FloatSpan {
  const float* data;
  int64_t count;
};

}  // namespace moe

/** One AdamW update of `count` parameters, which share the threads; no two may overlap.
 *  m ← beta1·m + firstShare·g, v ← beta2·v + secondShare·g², g = gradientScale · gradient,
 *  p ← p − decay·p − learningRate · firstScale·m / (√(secondScale·v) + epsilon). */
MOE_KERNEL(Status, adamwUpdate, (const AdamwFactors& factors, const AdamwParameter* parameters, int64_t count))

/** norm [1] = √Σ x² over all values of all spans, added in double in an order that depends on the counts alone;
 *  gradientScale [1] = min(1, maxNorm / norm), NaN where the norm is NaN or infinite. */
MOE_KERNEL(Status, globalNorm,
           (const FloatSpan* spans, int64_t count, double maxNorm, float* norm, float* gradientScale))
