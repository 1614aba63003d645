#include <cstring>

#include "layout.h"
#include "parallel.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;

MOE_INLINE float sum(float a, float b) { return a + b; }
MOE_INLINE int32_t sum(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }

template <class Element>
Status scatterAdd(int64_t length, int64_t slice, int64_t count, const int32_t* indices, const Element* updates,
                  Element* out) {
  // Each thread owns some columns of every slice, so that sums keep their order and need no locks.
  int64_t threads = count * slice >= kTaskElements ? threadCount() : 1;
  int64_t columnsPerTask = (slice + threads - 1) / threads;
  columnsPerTask = (columnsPerTask + kLanes - 1) / kLanes * kLanes;
  if (slice == 0) return Status::ok();
  parallelRanges(slice, columnsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = 0; row < length; ++row)
      std::memset(out + row * slice + begin, 0, static_cast<size_t>(end - begin) * sizeof(Element));
    for (int64_t i = 0; i < count; ++i) {
      if (indices[i] < 0 || indices[i] >= length) continue;
      const Element* from = updates + i * slice;
      Element* to = out + indices[i] * slice;
      for (int64_t column = begin; column < end; ++column) to[column] = sum(to[column], from[column]);
    }
  });
  return Status::ok();
}

}  // namespace

Status gatherSlices(int64_t batch, int64_t outer, int64_t length, int64_t slice, int64_t count, int64_t elementBytes,
                    const int32_t* indices, const void* x, void* out) {
  for (int64_t i = 0; i < batch * count; ++i)
    if (indices[i] < 0 || indices[i] >= length) return Status::outOfRange("index", indices[i], 0, length - 1);
  size_t bytes = static_cast<size_t>(slice * elementBytes);
  const char* from = static_cast<const char*>(x);
  char* to = static_cast<char*>(out);
  int64_t grain = slice >= kTaskElements ? 1 : kTaskElements / (slice + 1) + 1;
  parallelRanges(batch * outer * count, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t block = row / count;  // which (batch, outer) pair
      int32_t index = indices[block / outer * count + row % count];
      std::memcpy(to + row * bytes, from + (block * length + index) * bytes, bytes);
    }
  });
  return Status::ok();
}

Status scatterAddSlices(int64_t length, int64_t slice, int64_t count, const int32_t* indices, const float* updates,
                        float* out) {
  return scatterAdd(length, slice, count, indices, updates, out);
}

Status scatterAddIntSlices(int64_t length, int64_t slice, int64_t count, const int32_t* indices, const int32_t* updates,
                           int32_t* out) {
  return scatterAdd(length, slice, count, indices, updates, out);
}

}  // namespace moe::MOE_ISA
