#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** What all values of a parameter share in one update. */
struct AdamwFactors {
  float gradientScale;
  float beta1, beta2;                  // decay of the moments
  float firstShare, secondShare;       // 1 − beta1, 1 − beta2: taken in double, where little is lost
  float firstScale, secondScale;       // bias correction: 1 / (1 − beta1^step), 1 / (1 − beta2^step)
  float epsilon;
  float learningRate, decay;           // decay = learningRate · weightDecay
};

}  // namespace moe

/** One AdamW update of `count` values; the outputs may be the inputs.
 *  m' = beta1·m + firstShare·g, v' = beta2·v + secondShare·g², g = gradientScale · gradient,
 *  p' = p − decay·p − learningRate · firstScale·m' / (√(secondScale·v') + epsilon). */
MOE_KERNEL(Status, adamwUpdate,
           (const AdamwFactors& factors, int64_t count, const float* gradient, const float* value, const float* first,
            const float* second, float* newValue, float* newFirst, float* newSecond))

/** Σ x² in double, in an order that depends on `count` alone. */
MOE_KERNEL(Status, sumOfSquares, (const float* x, int64_t count, double* sum))
