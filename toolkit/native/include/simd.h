#pragma once
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Vectors of float by the compiler's vector extension: one source for each instruction set. Only for host/. */
namespace moe::MOE_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;  // also NEON: g++ keeps wider vectors, such as a tile's sums, in memory
#endif

typedef float vf __attribute__((vector_size(4 * kLanes)));
typedef int32_t vi __attribute__((vector_size(4 * kLanes)));  // also the result of comparing two vf: 0 or -1
typedef float vfAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

#define MOE_INLINE [[gnu::always_inline]] inline

MOE_INLINE vf load(const float* from) { return *reinterpret_cast<const vfAnywhere*>(from); }
MOE_INLINE void store(float* to, vf v) { *reinterpret_cast<vfAnywhere*>(to) = v; }
#if defined(__AVX512F__)
/** Stores a vector past the caches; `to` must be a multiple of its size. finishStreams() makes it visible to others. */
MOE_INLINE void stream(float* to, vf v) { _mm512_stream_ps(to, reinterpret_cast<__m512>(v)); }
MOE_INLINE void finishStreams() { _mm_sfence(); }
#else
MOE_INLINE void stream(float* to, vf v) { store(to, v); }
MOE_INLINE void finishStreams() {}
#endif
/** Asks for what will be loaded soon; any address may be given. */
MOE_INLINE void prefetch(const float* from) { __builtin_prefetch(from, 0, 2); }
MOE_INLINE vf broadcast(float x) { return x - vf{}; }
MOE_INLINE vi broadcastInt(int32_t x) { return x - vi{}; }
MOE_INLINE vf fma(vf a, vf b, vf c) { return a * b + c; }  // one rounding where the set has it (-ffp-contract=fast)
MOE_INLINE vf select(vi mask, vf yes, vf no) { return mask ? yes : no; }
MOE_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }  // b where either is NaN
MOE_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }  // b where either is NaN
MOE_INLINE vi bitsOf(vf v) { return reinterpret_cast<vi>(v); }
MOE_INLINE vf floatOf(vi bits) { return reinterpret_cast<vf>(bits); }
MOE_INLINE vf vabs(vf v) { return floatOf(bitsOf(v) & 0x7fffffff); }

/** The first n lanes from memory, 0 in the others; reads nothing past them. 0 ≤ n ≤ kLanes. */
MOE_INLINE vf loadFirst(const float* from, int64_t n) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from));
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
  return reinterpret_cast<vf>(_mm256_maskload_ps(from, mask));
#else
  static_assert(kLanes == 4);
  switch (n) {
    case 0: return vf{};
    case 1: return vf{from[0]};
    case 2: return vf{from[0], from[1]};
    case 3: return vf{from[0], from[1], from[2]};
    default: return load(from);
  }
#endif
}

template <int... Lane>
MOE_INLINE vi laneNumbers(std::integer_sequence<int, Lane...>) {
  return vi{Lane...};
}

/** −1 in the first n lanes, 0 in the others. */
MOE_INLINE vi firstLanes(int64_t n) {
  return laneNumbers(std::make_integer_sequence<int, kLanes>{}) < static_cast<int32_t>(n);
}

/** Stores the first n lanes and touches nothing past them. 0 ≤ n ≤ kLanes. */
MOE_INLINE void storeFirst(float* to, vf v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
#elif defined(__AVX2__)
  float lanes[kLanes];
  store(lanes, v);
  for (int64_t i = 0; i < n; ++i) to[i] = lanes[i];
#else
  if (n == kLanes) return store(to, v);
  if (n > 0) to[0] = v[0];
  if (n > 1) to[1] = v[1];
  if (n > 2) to[2] = v[2];
#endif
}

MOE_INLINE vf vsqrt(vf v) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_sqrt_ps(reinterpret_cast<__m512>(v)));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(_mm256_sqrt_ps(reinterpret_cast<__m256>(v)));
#elif defined(__aarch64__)
  return vsqrtq_f32(v);
#else
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

/** Lanes of a (from 0) and of b (from kLanes) by number. */
template <int... Lane>
MOE_INLINE vf shuffle(vf a, vf b) {
#if __has_builtin(__builtin_shufflevector)
  return __builtin_shufflevector(a, b, Lane...);
#else
  return __builtin_shuffle(a, b, vi{Lane...});  // g++ 11
#endif
}

template <int Distance, int... Lane>
MOE_INLINE vf swapLanes(vf v, std::integer_sequence<int, Lane...>) {
  return shuffle<(Lane ^ Distance)...>(v, v);
}

/** Lane i gets lane i ^ Distance. */
template <int Distance>
MOE_INLINE vf swapLanes(vf v) {
  return swapLanes<Distance>(v, std::make_integer_sequence<int, kLanes>{});
}

template <int Distance, class Combine>
MOE_INLINE vf foldLanes(vf v, Combine combine) {
  if constexpr (Distance > 0) return foldLanes<Distance / 2>(combine(v, swapLanes<Distance>(v)), combine);
  return v;
}

/** The sum of all lanes, added in pairs: the same for every call on the same values. */
MOE_INLINE float hsum(vf v) {
  return foldLanes<kLanes / 2>(v, [](vf a, vf b) { return a + b; })[0];
}
/** The largest lane; a NaN lane may be ignored. */
MOE_INLINE float hmax(vf v) {
  return foldLanes<kLanes / 2>(v, [](vf a, vf b) { return vmax(a, b); })[0];
}
/** The smallest lane; a NaN lane may be ignored. */
MOE_INLINE float hmin(vf v) {
  return foldLanes<kLanes / 2>(v, [](vf a, vf b) { return vmin(a, b); })[0];
}

template <int Block, bool High, int... Lane>
MOE_INLINE vf mixBlocks(vf a, vf b, std::integer_sequence<int, Lane...>) {
  constexpr int kFromA = High ? Block : 0;
  constexpr int kFromB = High ? kLanes : kLanes - Block;
  return shuffle<((Lane & Block) ? Lane + kFromB : Lane + kFromA)...>(a, b);
}

template <int Block>
MOE_INLINE void transposeBlocks(vf (&rows)[kLanes]) {
  using Lanes = std::make_integer_sequence<int, kLanes>;
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & Block) continue;
    vf low = mixBlocks<Block, false>(rows[i], rows[i + Block], Lanes{});
    vf high = mixBlocks<Block, true>(rows[i], rows[i + Block], Lanes{});
    rows[i] = low;
    rows[i + Block] = high;
  }
  if constexpr (Block > 1) transposeBlocks<Block / 2>(rows);
}

/** Lane j of row i becomes lane i of row j. */
MOE_INLINE void transpose(vf (&rows)[kLanes]) { transposeBlocks<kLanes / 2>(rows); }

#if !defined(__AVX512F__)
/** 2^n for −252 ≤ n ≤ 254, in two factors so that results below the normal range and infinity come out right. */
MOE_INLINE vf scaleByPowerOfTwo(vf x, vi n) {
  vi half = n >> 1;
  vi rest = n - half;
  return x * floatOf((half + 127) << 23) * floatOf((rest + 127) << 23);
}

/** e^x, within 2 units in the last place of float32 over its whole range; NaN stays NaN, overflow gives infinity.
 *  Source: the Cephes library's expf (S. Moshier): x = n ln2 + r, |r| ≤ ln2 / 2, and its polynomial for e^r. */
MOE_INLINE vf vexp(vf x) {
  constexpr float kOver = 89.0f, kUnder = -104.0f;  // beyond these the result is infinity or 0
  constexpr float kRound = 12582912.0f;             // 1.5 · 2^23: adding it rounds to the nearest integer
  x = select(x > kOver, broadcast(kOver), x);
  x = select(x < kUnder, broadcast(kUnder), x);
  vf shifted = fma(x, broadcast(1.44269504088896341f), broadcast(kRound));
  vf n = shifted - kRound;
  vf r = fma(n, broadcast(-0.693359375f), x);
  r = fma(n, broadcast(2.12194440e-4f), r);
  vf p = fma(broadcast(1.9875691500e-4f), r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  return scaleByPowerOfTwo(p, bitsOf(shifted) - bitsOf(broadcast(kRound)));
}

/** Natural logarithm, within 2 units in the last place; log(0) = −inf, of a negative number NaN.
 *  Source: the Cephes library's logf: x = 2^e m, √½ ≤ m < √2. */
MOE_INLINE vf vlog(vf x) {
  const vf given = x;
  vi isTiny = x < 1.17549435e-38f;  // below the normal range: scale by 2^23 first
  x = select(isTiny, x * 8388608.0f, x);
  vi exponent = ((bitsOf(x) >> 23) & 0xff) - 126;
  vf m = floatOf((bitsOf(x) & 0x007fffff) | 0x3f000000);  // in [½, 1)
  vi isLow = m < 0.707106781186547524f;
  exponent = exponent + isLow + (isTiny & -23);
  m = select(isLow, m + m, m) - 1.0f;
  vf e = __builtin_convertvector(exponent, vf);
  vf z = m * m;
  vf p = fma(broadcast(7.0376836292e-2f), m, broadcast(-1.1514610310e-1f));
  p = fma(p, m, broadcast(1.1676998740e-1f));
  p = fma(p, m, broadcast(-1.2420140846e-1f));
  p = fma(p, m, broadcast(1.4249322787e-1f));
  p = fma(p, m, broadcast(-1.6668057665e-1f));
  p = fma(p, m, broadcast(2.0000714765e-1f));
  p = fma(p, m, broadcast(-2.4999993993e-1f));
  p = fma(p, m, broadcast(3.3333331174e-1f));
  vf y = p * m * z;
  y = fma(e, broadcast(-2.12194440e-4f), y);
  y = fma(z, broadcast(-0.5f), y);
  vf result = fma(e, broadcast(0.693359375f), m + y);
  result = select(given == __builtin_inff(), given, result);
  result = select(given == 0.0f, broadcast(-__builtin_inff()), result);
  vi isInvalid = ~(given >= 0.0f);  // negative or NaN
  return select(isInvalid, broadcast(__builtin_nanf("")), result);
}

/** 1 / (1 + e^−x), within 3 units in the last place. */
MOE_INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

/** Hyperbolic tangent, within 3 units in the last place. Source: Cephes tanhf for |x| < 0.625. */
MOE_INLINE vf vtanh(vf x) {
  vf size = vabs(x);
  vf z = x * x;
  vf p = fma(broadcast(-5.70498872745e-3f), z, broadcast(2.06390887954e-2f));
  p = fma(p, z, broadcast(-5.37397155531e-2f));
  p = fma(p, z, broadcast(1.33314422036e-1f));
  p = fma(p, z, broadcast(-3.33332819422e-1f));
  vf near = fma(p * z, x, x);
  vf far = 1.0f - 2.0f / (vexp(size + size) + 1.0f);
  far = select(x < 0.0f, -far, far);
  return select(size < 0.625f, near, select(x == x, far, x));
}

#endif

}  // namespace moe::MOE_ISA

#if defined(__AVX512F__)
#include "mathAvx512.h"
#endif
