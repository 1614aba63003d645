#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/* From one kind of element to another, out [count] from x [count]. Booleans are bytes of 0 and 1. */

/** Exact for booleans, rounded to the nearest float32 for integers. */
MOE_KERNEL(Status, bytesToFloats, (int64_t count, const uint8_t* x, float* out))
MOE_KERNEL(Status, intsToFloats, (int64_t count, const int32_t* x, float* out))

/** Without the fraction, as JavaScript stores numbers in an Int32Array: modulo 2³², 0 for NaN and infinity. */
MOE_KERNEL(Status, floatsToInts, (int64_t count, const float* x, int32_t* out))
MOE_KERNEL(Status, bytesToInts, (int64_t count, const uint8_t* x, int32_t* out))

/** 1 where x is not 0; NaN is not 0. */
MOE_KERNEL(Status, floatsToBytes, (int64_t count, const float* x, uint8_t* out))
MOE_KERNEL(Status, intsToBytes, (int64_t count, const int32_t* x, uint8_t* out))

/** 1 where x is 0. */
MOE_KERNEL(Status, logicalNot, (int64_t count, const uint8_t* x, uint8_t* out))

namespace moe {
enum class FloatClass { isNaN, isInfinite, isFinite };
}

/** 1 where x is of that class. */
MOE_KERNEL(Status, classify, (FloatClass which, int64_t count, const float* x, uint8_t* out))

/** out [count] = condition is 1 ? yes : no; elementBytes is 4 or 1. */
MOE_KERNEL(Status, selectValues,
           (int64_t count, int64_t elementBytes, const uint8_t* condition, const void* yes, const void* no, void* out))
