#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** y[r] = x[r] · scale[r] ∘ gain with scale[r] = 1 / √(mean(x[r]²) + epsilon).
 *  x, y [rows, C]; gain [C]; scale [rows] is kept for the backward pass. */
MOE_KERNEL(Status, rmsNormForward,
           (const float* x, const float* gain, float epsilon, int64_t rows, int64_t C, float* y, float* scale))

/** The same of sum = x + added [rows, C], which is kept. */
MOE_KERNEL(Status, addRmsNormForward,
           (const float* x, const float* added, const float* gain, float epsilon, int64_t rows, int64_t C, float* sum,
            float* y, float* scale))

/** dx [rows, C] and dGain [C] from dy [rows, C]; dx begins with dSum [rows, C] unless that is null. The bits of dGain don't depend on the number of threads. */
MOE_KERNEL(Status, rmsNormBackward,
           (const float* x, const float* gain, const float* scale, const float* dy, const float* dSum, int64_t rows,
            int64_t C, float* dx, float* dGain))
