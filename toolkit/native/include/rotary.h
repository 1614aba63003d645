#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** Turns the pair (i, i + D/2) of each head of token t by the angle whose cosine and sine are given; backwards when
 *  `inverse`. x, y [B, T, heads, D]; cosine, sine [T, D/2]. */
MOE_KERNEL(Status, rotary,
           (const float* x, const float* cosine, const float* sine, int64_t B, int64_t T, int64_t heads, int64_t D,
            bool inverse, float* y))
