#include <cstring>

#include "layout.h"
#include "parallel.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;

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
  // Each thread owns some columns of every slice, so that sums keep their order and need no locks.
  int64_t threads = count * slice >= kTaskElements ? threadCount() : 1;
  int64_t columnsPerTask = (slice + threads - 1) / threads;
  columnsPerTask = (columnsPerTask + kLanes - 1) / kLanes * kLanes;
  if (slice == 0) return Status::ok();
  parallelRanges(slice, columnsPerTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = 0; row < length; ++row)
      std::memset(out + row * slice + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
      if (indices[i] < 0 || indices[i] >= length) continue;
      const float* from = updates + i * slice;
      float* to = out + indices[i] * slice;
      for (int64_t column = begin; column < end; ++column) to[column] += from[column];
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
