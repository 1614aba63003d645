#pragma once
/* float16 as in CUDA's header of this name: conversions round to the nearest, ties to even. */
#include <bit>
#include <cstdint>

struct alignas(2) __half { unsigned short bits; };
struct alignas(4) __half2 { __half x, y; };

inline __half __float2half(float value) {
  auto narrow = static_cast<_Float16>(value);
  return {std::bit_cast<unsigned short>(narrow)};
}
inline __half __float2half_rn(float value) { return __float2half(value); }
inline float __half2float(__half value) { return static_cast<float>(std::bit_cast<_Float16>(value.bits)); }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half(x), __float2half(y)}; }
inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
