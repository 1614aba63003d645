#include "convert.h"

#include "broadcast.h"

namespace moe::MOE_ISA {
namespace {

/** Calls convert(element) for every element, on all threads. */
template <class From, class To, class Convert>
Status convertAll(int64_t count, const From* x, To* out, Convert convert) {
  parallelRanges(count, kElementwiseGrain, [&](int64_t begin, int64_t end, int) {
    const From* __restrict from = x;
    To* __restrict to = out;
    for (int64_t i = begin; i < end; ++i) to[i] = convert(from[i]);
  });
  return Status::ok();
}

template <class Element>
Status selectAll(int64_t count, const uint8_t* condition, const void* yes, const void* no, void* out) {
  parallelRanges(count, kElementwiseGrain, [&](int64_t begin, int64_t end, int) {
    const uint8_t* __restrict isYes = condition;
    const Element *__restrict a = static_cast<const Element*>(yes), *__restrict b = static_cast<const Element*>(no);
    Element* __restrict to = static_cast<Element*>(out);
    for (int64_t i = begin; i < end; ++i) {
      Element fromA = a[i], fromB = b[i];  // both are read, so that the loop has no branch
      to[i] = isYes[i] == 1 ? fromA : fromB;
    }
  });
  return Status::ok();
}

/** Values that an int32 can't hold: rare, so their speed doesn't matter. */
[[gnu::noinline]] int32_t wrappedInt(float value) {
  if (!(__builtin_fabsf(value) < __builtin_inff())) return 0;
  double rest = __builtin_fmod(static_cast<double>(value), 4294967296.0);
  return static_cast<int32_t>(static_cast<int64_t>(rest));
}

MOE_INLINE void storeInts(int32_t* to, vi v) { store(reinterpret_cast<float*>(to), floatOf(v)); }

MOE_INLINE bool isAny(vi mask) {
  int32_t any = 0;
  for (int i = 0; i < kLanes; ++i) any |= mask[i];
  return any != 0;
}

}  // namespace

Status bytesToFloats(int64_t count, const uint8_t* x, float* out) {
  return convertAll(count, x, out, [](uint8_t value) { return static_cast<float>(value); });
}

Status intsToFloats(int64_t count, const int32_t* x, float* out) {
  return convertAll(count, x, out, [](int32_t value) { return static_cast<float>(value); });
}

Status floatsToInts(int64_t count, const float* x, int32_t* out) {
  constexpr float kBeyond = 2147483648.0f;
  parallelRanges(count, kElementwiseGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i += kLanes) {
      int64_t left = end - i < kLanes ? end - i : kLanes;
      vf value = loadFirst(x + i, left);
      if (left == kLanes && !isAny(~(vabs(value) < kBeyond))) {
        storeInts(out + i, __builtin_convertvector(value, vi));
        continue;
      }
      for (int64_t j = i; j < i + left; ++j)
        out[j] = __builtin_fabsf(x[j]) < kBeyond ? static_cast<int32_t>(x[j]) : wrappedInt(x[j]);
    }
  });
  return Status::ok();
}

Status bytesToInts(int64_t count, const uint8_t* x, int32_t* out) {
  return convertAll(count, x, out, [](uint8_t value) { return static_cast<int32_t>(value); });
}

Status floatsToBytes(int64_t count, const float* x, uint8_t* out) {
  return convertAll(count, x, out, [](float value) { return static_cast<uint8_t>(value != 0.0f); });
}

Status intsToBytes(int64_t count, const int32_t* x, uint8_t* out) {
  return convertAll(count, x, out, [](int32_t value) { return static_cast<uint8_t>(value != 0); });
}

Status logicalNot(int64_t count, const uint8_t* x, uint8_t* out) {
  return convertAll(count, x, out, [](uint8_t value) { return static_cast<uint8_t>(value == 0); });
}

Status classify(FloatClass which, int64_t count, const float* x, uint8_t* out) {
  constexpr float kInfinity = __builtin_inff();
  switch (which) {
    case FloatClass::isNaN:
      return convertAll(count, x, out, [](float value) { return static_cast<uint8_t>(value != value); });
    case FloatClass::isInfinite:
      return convertAll(count, x, out, [](float value) { return static_cast<uint8_t>(__builtin_fabsf(value) == kInfinity); });
    case FloatClass::isFinite:
      return convertAll(count, x, out, [](float value) { return static_cast<uint8_t>(__builtin_fabsf(value) < kInfinity); });
  }
  return Status::outOfRange("class", static_cast<int64_t>(which), 0, static_cast<int64_t>(FloatClass::isFinite));
}

Status selectValues(int64_t count, int64_t elementBytes, const uint8_t* condition, const void* yes, const void* no,
                    void* out) {
  if (elementBytes == 1) return selectAll<uint8_t>(count, condition, yes, no, out);
  return selectAll<uint32_t>(count, condition, yes, no, out);
}

}  // namespace moe::MOE_ISA
