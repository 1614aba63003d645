#pragma once
#include <cstdint>

#include "status.h"

namespace moe::cuda {

/** Arrays of the device, [count] each. */
struct Pairs {
  uint32_t* keys;
  int32_t* values;
};

/** Sorts pairs by the lower `keyBits` bits of their keys, stably. Both `given` and `spare` are overwritten; `sorted` says
 *  which of them has the result. */
Status sortPairs(int64_t count, int keyBits, const Pairs& given, const Pairs& spare, Pairs& sorted);

}  // namespace moe::cuda
