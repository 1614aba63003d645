#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** y[r] = x[r] · scale[r] ∘ gain with scale[r] = 1 / √(mean(x[r]²) + epsilon).
 *  x, y [rows, C]; gain [C]; scale [rows] is kept for the backward pass. */
MOE_KERNEL(Status, rmsNormForward,
           (const float* x, const float* gain, float epsilon, int64_t rows, int64_t C, float* y, float* scale))

/** dx [rows, C] and dGain [C] from dy [rows, C]. The bits of dGain don't depend on the number of threads. */
MOE_KERNEL(Status, rmsNormBackward,
           (const float* x, const float* gain, const float* scale, const float* dy, int64_t rows, int64_t C, float* dx,
            float* dGain))
