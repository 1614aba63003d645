#include "narrow.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "elements.h"

namespace moe::cuda {
namespace {

/* The conversions of CUDA give one NaN for all; these keep the upper bits of its payload and make it quiet. */

template <NarrowType Type>
struct Narrow {
  __device__ uint16_t operator()(float x) const {
    uint32_t bits = __float_as_uint(x);
    if constexpr (Type == NarrowType::bfloat16) {
      if (x != x) return static_cast<uint16_t>(bits >> 16 | 0x40u);
      return __bfloat16_as_ushort(__float2bfloat16_rn(x));
    }
    if constexpr (Type == NarrowType::float16) {
      if (x != x) return static_cast<uint16_t>((bits >> 16 & 0x8000u) | 0x7e00u | (bits >> 13 & 0x1ffu));
      return __half_as_ushort(__float2half_rn(x));
    }
  }
};

template <NarrowType Type>
struct Widen {
  __device__ float operator()(uint16_t x) const {
    uint32_t bits = x;
    if constexpr (Type == NarrowType::bfloat16) return __uint_as_float(bits << 16);
    if constexpr (Type == NarrowType::float16) {
      bool isNaN = (bits & 0x7fffu) > 0x7c00u;
      return isNaN ? __uint_as_float((bits & 0x8000u) << 16 | 0x7fc00000u | (bits & 0x3ffu) << 13) : __half2float(__ushort_as_half(x));
    }
  }
};

}  // namespace

Status narrowFloats(NarrowType type, int64_t count, const float* x, uint16_t* out) {
  if (type == NarrowType::bfloat16) return mapElements<8>(count, Narrow<NarrowType::bfloat16>{}, x, out);
  return mapElements<8>(count, Narrow<NarrowType::float16>{}, x, out);
}

Status widenFloats(NarrowType type, int64_t count, const uint16_t* x, float* out) {
  if (type == NarrowType::bfloat16) return mapElements<8>(count, Widen<NarrowType::bfloat16>{}, x, out);
  return mapElements<8>(count, Widen<NarrowType::float16>{}, x, out);
}

}  // namespace moe::cuda
