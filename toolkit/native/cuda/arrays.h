#pragma once
#include <cstdint>

#include "status.h"

/* What has no kernel on the host, where typed arrays do it: copying and filling whole arrays of the device. */
namespace moe::cuda {

/** to [bytes] = from [bytes]; they don't overlap. */
Status copyArray(int64_t bytes, const void* from, void* to);

/** out [count] = the lower bytes of `element`; elementBytes is 4, 2 or 1. */
Status fillArray(int64_t count, int64_t elementBytes, uint32_t element, void* out);

}  // namespace moe::cuda
