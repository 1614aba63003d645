#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** y[r] = (x[r] − mean[r]) · scale[r] ∘ gain + bias with scale[r] = 1 / √(variance(x[r]) + epsilon), the variance with
 *  divisor C. x, y [rows, C]; gain, bias [C]; mean, scale [rows] are kept for the backward pass. */
MOE_KERNEL(Status, layerNormForward,
           (const float* x, const float* gain, const float* bias, float epsilon, int64_t rows, int64_t C, float* y,
            float* mean, float* scale))

/** dx [rows, C], dGain and dBias [C] from dy [rows, C]. No bits depend on the number of threads. */
MOE_KERNEL(Status, layerNormBackward,
           (const float* x, const float* gain, const float* mean, const float* scale, const float* dy, int64_t rows,
            int64_t C, float* dx, float* dGain, float* dBias))
