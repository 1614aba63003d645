#pragma once
/* What CUDA C++ offers inside kernels, as far as toolkit/native/cuda uses it. Source of the meanings: CUDA C++
 * Programming Guide, "C++ Language Extensions". */
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "execution.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ [[gnu::noinline]]
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define __constant__ static
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(bytes) alignas(bytes)

struct alignas(8) float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

inline void __syncthreads() { cudaEmulator::blockBarrier(0, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { cudaEmulator::fail("__trap"); }
inline unsigned __activemask() { return cudaEmulator::aliveLanes(); }

namespace cudaEmulator {

/** A warp's exchange: each lane gets the value of the lane that `source` names for it. */
template <class T, class Source>
T exchange(unsigned mask, T value, int width, Source source) {
  struct Settings { int width; Source source; } settings{width, source};
  T got = value;
  warpCollective(mask, &value, &got, [](const void* const* given, void* const* gets, unsigned lanes, const void* data) {
    const auto* with = static_cast<const Settings*>(data);
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      int from = with->source(l, with->width);
      // A lane outside the mask has no value on a device either.
      bool isThere = from >= 0 && from < 32 && (lanes >> from & 1) != 0;
      *static_cast<T*>(gets[l]) = *static_cast<const T*>(given[isThere ? from : l]);
    }
  }, &settings);
  return got;
}

template <class T, class Reduce>
T reduceWarp(unsigned mask, T value, Reduce reduce) {
  T got{};
  warpCollective(mask, &value, &got, [](const void* const* given, void* const* gets, unsigned lanes, const void* data) {
    T total{};
    bool isFirst = true;
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      T next = *static_cast<const T*>(given[l]);
      total = isFirst ? next : (*static_cast<const Reduce*>(data))(total, next);
      isFirst = false;
    }
    for (int l = 0; l < 32; ++l)
      if ((lanes >> l & 1) != 0) *static_cast<T*>(gets[l]) = total;
  }, &reduce);
  return got;
}

/** Bit l is set where lane l's condition holds. */
inline unsigned ballot(unsigned mask, bool condition) {
  return reduceWarp<unsigned>(mask, condition ? 1u << lane() : 0u, [](unsigned a, unsigned b) { return a | b; });
}

}  // namespace cudaEmulator

inline void __syncwarp(unsigned mask = 0xffffffffu) { cudaEmulator::reduceWarp<int>(mask, 0, [](int a, int) { return a; }); }

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  // The lanes may name different sources: each lane gives value and source.
  struct Given { T value; int from; } given{value, from};
  struct Got { T value; } got{value};
  cudaEmulator::warpCollective(mask, &given, &got, [](const void* const* all, void* const* gets, unsigned lanes, const void* data) {
    int wide = *static_cast<const int*>(data);
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      int source = (static_cast<const Given*>(all[l])->from & (wide - 1)) | (l & ~(wide - 1));
      if ((lanes >> source & 1) == 0) source = l;
      static_cast<Got*>(gets[l])->value = static_cast<const Given*>(all[source])->value;
    }
  }, &width);
  return got.value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  return cudaEmulator::exchange(mask, value, width, [bits](int l, int wide) { int from = l ^ bits; return from / wide == l / wide ? from : l; });
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return cudaEmulator::exchange(mask, value, width, [delta](int l, int wide) { int from = l + static_cast<int>(delta); return from / wide == l / wide ? from : l; });
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  return cudaEmulator::exchange(mask, value, width, [delta](int l, int wide) { int from = l - static_cast<int>(delta); return from >= 0 && from / wide == l / wide ? from : l; });
}
inline unsigned __ballot_sync(unsigned mask, bool condition) { return cudaEmulator::ballot(mask, condition); }
inline int __any_sync(unsigned mask, bool condition) { return cudaEmulator::ballot(mask, condition) != 0; }
inline int __all_sync(unsigned mask, bool condition) { return cudaEmulator::ballot(mask, condition) == mask; }
/** The lanes of the mask whose value is the same as this one's. */
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  struct Got { unsigned lanes; } got{};
  cudaEmulator::warpCollective(mask, &value, &got, [](const void* const* given, void* const* gets, unsigned lanes, const void*) {
    for (int l = 0; l < 32; ++l) {
      if ((lanes >> l & 1) == 0) continue;
      unsigned equal = 0;
      for (int other = 0; other < 32; ++other)
        if ((lanes >> other & 1) != 0 && *static_cast<const T*>(given[other]) == *static_cast<const T*>(given[l])) equal |= 1u << other;
      static_cast<Got*>(gets[l])->lanes = equal;
    }
  }, nullptr);
  return got.lanes;
}
inline int __reduce_add_sync(unsigned mask, int value) { return cudaEmulator::reduceWarp(mask, value, [](int a, int b) { return a + b; }); }
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) { return cudaEmulator::reduceWarp(mask, value, [](unsigned a, unsigned b) { return a > b ? a : b; }); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) { return cudaEmulator::reduceWarp(mask, value, [](unsigned a, unsigned b) { return a < b ? a : b; }); }

template <class T> T __ldg(const T* from) { return *from; }
template <class T> T __ldcs(const T* from) { return *from; }
template <class T> T __ldcg(const T* from) { return *from; }
template <class T> void __stcs(T* to, T value) { *to = value; }
template <class T> void __stcg(T* to, T value) { *to = value; }

// Blocks run one after another, so nothing comes between.
template <class T> T atomicAdd(T* to, std::type_identity_t<T> value) { T old = *to; *to = static_cast<T>(old + value); return old; }
template <class T> T atomicMax(T* to, std::type_identity_t<T> value) { T old = *to; if (value > old) *to = value; return old; }
template <class T> T atomicMin(T* to, std::type_identity_t<T> value) { T old = *to; if (value < old) *to = value; return old; }
template <class T> T atomicOr(T* to, std::type_identity_t<T> value) { T old = *to; *to = old | value; return old; }
template <class T> T atomicExch(T* to, std::type_identity_t<T> value) { T old = *to; *to = value; return old; }
template <class T> T atomicCAS(T* to, std::type_identity_t<T> expected, std::type_identity_t<T> value) { T old = *to; if (old == expected) *to = value; return old; }

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline int __mul24(int a, int b) { return a * b; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { volatile float sum = a + b; return sum; }
inline float __fmul_rn(float a, float b) { volatile float product = a * b; return product; }
inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float normcdff(float x) { return 0.5f * std::erfc(-x * 0.70710678118654752f); }
template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> min(T a, T b) { return b < a ? b : a; }
template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> max(T a, T b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
