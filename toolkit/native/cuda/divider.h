#pragma once
#include "device.h"

namespace moe::cuda {

/** Division by a number that is known before the launch: for dividends below 2³¹ one multiplication and a shift.
 *  Source: T. Granlund, P. Montgomery 1994, Division by Invariant Integers using Multiplication, doi:10.1145/178243.178249 */
struct Divider {
  int64_t by = 1;
  uint32_t factor = 1, shift = 0;

  Divider() = default;

  /** divisor ≥ 1; of 0 nothing may be asked. */
  explicit Divider(int64_t divisor) : by(divisor) {
    if (divisor <= 0 || divisor > INT32_MAX) {
      factor = 0, shift = 31;  // dividends below 2³¹ give 0; larger ones don't come here
      return;
    }
    while ((int64_t{1} << shift) < divisor) ++shift;
    factor = static_cast<uint32_t>((uint64_t{1} << 32) * ((uint64_t{1} << shift) - static_cast<uint64_t>(divisor)) / static_cast<uint64_t>(divisor) + 1);
  }

  /** ⌊dividend / by⌋ for dividend ≥ 0 */
  __device__ int64_t quotient(int64_t dividend) const {
    if (dividend > INT32_MAX) return dividend / by;
    auto low = static_cast<uint32_t>(dividend);
    return (__umulhi(low, factor) + low) >> shift;
  }
};

}  // namespace moe::cuda
