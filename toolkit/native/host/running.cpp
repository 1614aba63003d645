#include "running.h"

#include "parallel.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;
constexpr int64_t kColumnsAtOnce = 64;  // running side by side: a few cache lines of each row

MOE_INLINE float joined(float total, float x, bool ofProducts) { return ofProducts ? total * x : total + x; }

MOE_INLINE int32_t joined(int32_t total, int32_t x, bool ofProducts) {
  if (!ofProducts) return static_cast<int32_t>(static_cast<uint32_t>(total) + static_cast<uint32_t>(x));
  double product = static_cast<double>(total) * static_cast<double>(x);
  return static_cast<int32_t>(static_cast<int64_t>(product));
}

/** Columns [0, columns) of one [length, inner] block. */
template <class Element>
void runColumns(const Running& r, int64_t columns, const Element* x, Element* out) {
  Element total[kColumnsAtOnce];
  for (int64_t i = 0; i < columns; ++i) total[i] = static_cast<Element>(r.ofProducts ? 1 : 0);
  for (int64_t step = 0; step < r.length; ++step) {
    int64_t row = (r.isReversed ? r.length - 1 - step : step) * r.inner;
    for (int64_t i = 0; i < columns; ++i) {
      Element next = joined(total[i], x[row + i], r.ofProducts);
      out[row + i] = r.isExclusive ? total[i] : next;
      total[i] = next;
    }
  }
}

template <class Element>
Status run(const Running& r, const Element* x, Element* out) {
  int64_t blocks = (r.inner + kColumnsAtOnce - 1) / kColumnsAtOnce;
  int64_t elements = r.length * (r.inner < kColumnsAtOnce ? r.inner : kColumnsAtOnce);
  parallelRanges(r.outer * blocks, kTaskElements / (elements + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t column = task % blocks * kColumnsAtOnce;
      int64_t columns = r.inner - column < kColumnsAtOnce ? r.inner - column : kColumnsAtOnce;
      int64_t start = task / blocks * r.length * r.inner + column;
      runColumns(r, columns, x + start, out + start);
    }
  });
  return Status::ok();
}

}  // namespace

Status runFloats(const Running& running, const float* x, float* out) { return run(running, x, out); }
Status runInts(const Running& running, const int32_t* x, int32_t* out) { return run(running, x, out); }

}  // namespace moe::MOE_ISA
