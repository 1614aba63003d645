#include "rotary.h"

#include "parallel.h"
#include "rows.h"
#include "simd.h"

namespace moe::MOE_ISA {

Status rotary(const float* x, const float* cosine, const float* sine, int64_t B, int64_t T, int64_t heads, int64_t D,
              bool inverse, float* y) {
  if (D % 2 != 0) return Status::shape("the head size of rotary", D, D + 1);
  int64_t half = D / 2;
  float direction = inverse ? -1.0f : 1.0f;
  parallelRanges(B * T, rowGrain(heads * D), [&](int64_t begin, int64_t end, int) {
    for (int64_t token = begin; token < end; ++token) {
      const float* cosineOf = cosine + token % T * half;
      const float* sineOf = sine + token % T * half;
      for (int64_t head = 0; head < heads; ++head) {
        const float* from = x + (token * heads + head) * D;
        float* to = y + (token * heads + head) * D;
        forEachVector(half, [&](int64_t i, auto lanes) {
          vf first = lanes.load(from + i), second = lanes.load(from + half + i);
          vf c = lanes.load(cosineOf + i), s = lanes.load(sineOf + i) * direction;
          lanes.store(to + i, first * c - second * s);
          lanes.store(to + half + i, second * c + first * s);
        });
      }
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
