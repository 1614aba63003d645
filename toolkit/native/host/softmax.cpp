#include "parallel.h"
#include "reduction.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 14;

float largestOf(const float* x, int64_t count) {
  vf best = broadcast(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) best = vmax(load(x + i), best);
  int64_t left = count - i;
  if (left > 0) best = select(firstLanes(left), vmax(loadFirst(x + i, left), best), best);
  return hmax(best);
}

// A NaN may be missed by largestOf, but its own exponential makes the sum, and so the whole row, NaN.
void softmaxRow(const float* x, float* out, int64_t count) {
  vf shift = broadcast(largestOf(x, count));
  vf total = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    vf e = vexp(load(x + i) - shift);
    store(out + i, e);
    total = total + e;
  }
  int64_t left = count - i;
  if (left > 0) {
    vf e = select(firstLanes(left), vexp(loadFirst(x + i, left) - shift), vf{});
    storeFirst(out + i, e, left);
    total = total + e;
  }
  vf factor = broadcast(1.0f / hsum(total));
  for (i = 0; i + kLanes <= count; i += kLanes) store(out + i, load(out + i) * factor);
  if (left > 0) storeFirst(out + i, loadFirst(out + i, left) * factor, left);
}

}  // namespace

Status softmaxRows(int64_t rows, int64_t columns, const float* x, float* out) {
  int64_t grain = columns >= kTaskElements || columns == 0 ? 1 : kTaskElements / columns;
  parallelRanges(rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) softmaxRow(x + row * columns, out + row * columns, columns);
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
