#include "convert.h"

#include "elements.h"

namespace moe::cuda {
namespace {

struct AsFloat {
  template <class Element>
  __device__ float operator()(Element x) const { return static_cast<float>(x); }
};

/** The lower 32 bits of the whole part: a float from 2⁶³ on is a multiple of 2⁴⁰, so they are zeros. */
struct AsInt {
  __device__ int32_t operator()(float x) const {
    constexpr float kBeyond = 9.2e18f;
    return fabsf(x) < kBeyond ? static_cast<int32_t>(static_cast<int64_t>(x)) : 0;
  }
  __device__ int32_t operator()(uint8_t x) const { return x; }
};

struct IsNotZero {
  template <class Element>
  __device__ uint8_t operator()(Element x) const { return x != 0; }
};

struct IsZero {
  __device__ uint8_t operator()(uint8_t x) const { return x == 0; }
};

template <FloatClass Which>
struct IsOfClass {
  __device__ uint8_t operator()(float x) const {
    if constexpr (Which == FloatClass::isNaN) return x != x;
    if constexpr (Which == FloatClass::isInfinite) return fabsf(x) == INFINITY;
    if constexpr (Which == FloatClass::isFinite) return fabsf(x) < INFINITY;
  }
};

template <int N, class Element>
__global__ void __launch_bounds__(kElementThreads)
selectPacks(int64_t count, const uint8_t* condition, const Element* yes, const Element* no, Element* out) {
  int64_t packs = count / N;
  for (int64_t p = gridThread(); p < packs; p += gridThreads()) {
    Pack<uint8_t, N> isYes = loadPack<N>(condition + p * N);
    Pack<Element, N> a = loadPack<N>(yes + p * N), b = loadPack<N>(no + p * N);
#pragma unroll
    for (int i = 0; i < N; ++i) a.lane[i] = isYes.lane[i] == 1 ? a.lane[i] : b.lane[i];
    storePack(out + p * N, a);
  }
  int64_t last = packs * N + gridThread();
  if (last < count) out[last] = condition[last] == 1 ? yes[last] : no[last];
}

template <class Element>
Status selectAll(int64_t count, const uint8_t* condition, const Element* yes, const Element* no, Element* out) {
  constexpr int kPack = 16 / sizeof(Element);
  bool isAligned = isPackAligned<kPack>(condition) && isPackAligned<kPack>(yes) && isPackAligned<kPack>(no) && isPackAligned<kPack>(out);
  if (isAligned) return launch(selectPacks<kPack, Element>, elementGrid(ceilDivide(count, kPack)), count, condition, yes, no, out);
  return launch(selectPacks<1, Element>, elementGrid(count), count, condition, yes, no, out);
}

}  // namespace

Status bytesToFloats(int64_t count, const uint8_t* x, float* out) { return mapElements<4>(count, AsFloat{}, x, out); }
Status intsToFloats(int64_t count, const int32_t* x, float* out) { return mapElements<4>(count, AsFloat{}, x, out); }
Status floatsToInts(int64_t count, const float* x, int32_t* out) { return mapElements<4>(count, AsInt{}, x, out); }
Status bytesToInts(int64_t count, const uint8_t* x, int32_t* out) { return mapElements<4>(count, AsInt{}, x, out); }
Status floatsToBytes(int64_t count, const float* x, uint8_t* out) { return mapElements<4>(count, IsNotZero{}, x, out); }
Status intsToBytes(int64_t count, const int32_t* x, uint8_t* out) { return mapElements<4>(count, IsNotZero{}, x, out); }
Status logicalNot(int64_t count, const uint8_t* x, uint8_t* out) { return mapElements<16>(count, IsZero{}, x, out); }

Status classify(FloatClass which, int64_t count, const float* x, uint8_t* out) {
  switch (which) {
    case FloatClass::isNaN: return mapElements<4>(count, IsOfClass<FloatClass::isNaN>{}, x, out);
    case FloatClass::isInfinite: return mapElements<4>(count, IsOfClass<FloatClass::isInfinite>{}, x, out);
    case FloatClass::isFinite: return mapElements<4>(count, IsOfClass<FloatClass::isFinite>{}, x, out);
  }
  return Status::outOfRange("class", static_cast<int64_t>(which), 0, static_cast<int64_t>(FloatClass::isFinite));
}

Status selectValues(int64_t count, int64_t elementBytes, const uint8_t* condition, const void* yes, const void* no, void* out) {
  if (elementBytes == 1)
    return selectAll(count, condition, static_cast<const uint8_t*>(yes), static_cast<const uint8_t*>(no), static_cast<uint8_t*>(out));
  return selectAll(count, condition, static_cast<const uint32_t*>(yes), static_cast<const uint32_t*>(no), static_cast<uint32_t*>(out));
}

}  // namespace moe::cuda
