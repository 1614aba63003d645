#include "narrow.h"

#include "parallel.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;

typedef uint16_t vh __attribute__((vector_size(2 * kLanes)));
typedef uint16_t vhAnywhere __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * kLanes)));

MOE_INLINE vu wordsOf(vf v) { return reinterpret_cast<vu>(v); }
MOE_INLINE vf floatsOf(vu words) { return reinterpret_cast<vf>(words); }
MOE_INLINE vu pick(vi mask, vu yes, vu no) { return mask ? yes : no; }
MOE_INLINE vh lowerHalves(vu words) { return __builtin_convertvector(words, vh); }

/** The discarded bits round the kept ones: half of the last place, one less where the kept bits are even. */
template <int Discarded>
MOE_INLINE vu roundedToEven(vu words) {
  constexpr uint32_t kBelowHalf = (1u << (Discarded - 1)) - 1;
  return words + (kBelowHalf + ((words >> Discarded) & 1u));
}

struct Bfloat16 {
  MOE_INLINE static vh narrow(vf x) {
    vu words = wordsOf(x);
    return lowerHalves(pick(x == x, roundedToEven<16>(words) >> 16, words >> 16 | 0x40u));
  }
  MOE_INLINE static vf widen(vh bits) { return floatsOf(__builtin_convertvector(bits, vu) << 16); }
};

struct Float16 {
#if defined(__AVX512F__)
  MOE_INLINE static vh narrow(vf x) {
    return reinterpret_cast<vh>(_mm512_cvtps_ph(reinterpret_cast<__m512>(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  MOE_INLINE static vf widen(vh bits) { return reinterpret_cast<vf>(_mm512_cvtph_ps(reinterpret_cast<__m256i>(bits))); }
#else
  MOE_INLINE static vh narrow(vf x) {
    constexpr uint32_t kInfinity = 0x7f800000, kSmallestNormal = 0x38800000 /* 2^-14 */, kOver = 0x47800000 /* 2^16 */;
    constexpr uint32_t kRebias = (127u - 15u) << 23;
    vu words = wordsOf(x);
    vu sign = words >> 16 & 0x8000u;
    vu size = words & 0x7fffffffu;
    // What rounds up to 2^16 carries into the exponent and becomes infinity by itself.
    vu result = (roundedToEven<13>(size) - kRebias) >> 13;
    // The last place of a float32 from ½ on is 2^-24, as that of a float16 subnormal: the addition rounds.
    vu subnormal = wordsOf(floatsOf(size) + 0.5f) - wordsOf(broadcast(0.5f));
    result = pick(size < kSmallestNormal, subnormal, result);
    vu beyond = pick(size > kInfinity, 0x7e00u | (size >> 13 & 0x1ffu), vu{} + 0x7c00u);
    return lowerHalves(pick(size >= kOver, beyond, result) | sign);
  }
  MOE_INLINE static vf widen(vh bits) {
    constexpr uint32_t kInfinity = 0x7c00, kSmallestNormal = 0x400;
    vu words = __builtin_convertvector(bits, vu);
    vu sign = (words & 0x8000u) << 16;
    vu size = words & 0x7fffu;
    vu result = (size << 13) + ((127u - 15u) << 23);
    vf subnormal = __builtin_convertvector(reinterpret_cast<vi>(size), vf) * 0x1p-24f;
    result = pick(size < kSmallestNormal, wordsOf(subnormal), result);
    vu beyond = (size << 13) | 0x7f800000u | pick(size > kInfinity, vu{} + 0x400000u, vu{});
    return floatsOf(pick(size >= kInfinity, beyond, result) | sign);
  }
#endif
};

template <class Type>
void narrowRange(int64_t begin, int64_t end, const float* x, uint16_t* out) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) *reinterpret_cast<vhAnywhere*>(out + i) = Type::narrow(load(x + i));
  if (i == end) return;
  vh last = Type::narrow(loadFirst(x + i, end - i));
  std::memcpy(out + i, &last, static_cast<size_t>(end - i) * sizeof(uint16_t));
}

template <class Type>
void widenRange(int64_t begin, int64_t end, const uint16_t* x, float* out) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) store(out + i, Type::widen(*reinterpret_cast<const vhAnywhere*>(x + i)));
  if (i == end) return;
  vh last = {};
  std::memcpy(&last, x + i, static_cast<size_t>(end - i) * sizeof(uint16_t));
  storeFirst(out + i, Type::widen(last), end - i);
}

}  // namespace

Status narrowFloats(NarrowType type, int64_t count, const float* x, uint16_t* out) {
  parallelRanges(count, kTaskElements, [&](int64_t begin, int64_t end, int) {
    if (type == NarrowType::bfloat16) narrowRange<Bfloat16>(begin, end, x, out);
    else narrowRange<Float16>(begin, end, x, out);
  });
  return Status::ok();
}

Status widenFloats(NarrowType type, int64_t count, const uint16_t* x, float* out) {
  parallelRanges(count, kTaskElements, [&](int64_t begin, int64_t end, int) {
    if (type == NarrowType::bfloat16) widenRange<Bfloat16>(begin, end, x, out);
    else widenRange<Float16>(begin, end, x, out);
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
