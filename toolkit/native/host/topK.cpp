#include "integers.h"
#include "parallel.h"
#include "reduction.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 14;

/** Keeps the k best seen so far as a heap whose root is the worst of them. */
template <class Element>
struct Heap {
  Element* values;
  int32_t* indices;
  int64_t size;

  /** Entry i comes after entry j: smaller, or equal and found later. */
  bool isWorse(int64_t i, int64_t j) const {
    return values[i] < values[j] || (values[i] == values[j] && indices[i] > indices[j]);
  }

  void swap(int64_t i, int64_t j) {
    Element value = values[i];
    int32_t index = indices[i];
    values[i] = values[j], indices[i] = indices[j];
    values[j] = value, indices[j] = index;
  }

  void sink(int64_t at) {
    for (;;) {
      int64_t worst = at;
      for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < size; ++child)
        if (isWorse(child, worst)) worst = child;
      if (worst == at) return;
      swap(at, worst);
      at = worst;
    }
  }
};

template <class Element>
void largestOfRow(const Element* x, int64_t columns, int64_t k, Element* values, int32_t* indices) {
  for (int64_t i = 0; i < k; ++i) values[i] = x[i], indices[i] = static_cast<int32_t>(i);
  Heap<Element> heap = {values, indices, k};
  for (int64_t i = k / 2; i-- > 0;) heap.sink(i);
  for (int64_t i = k; i < columns; ++i) {
    if (!(x[i] > values[0])) continue;  // an equal one further right comes later
    values[0] = x[i], indices[0] = static_cast<int32_t>(i);
    heap.sink(0);
  }
  while (heap.size > 1) {  // take the worst off, again and again: best first remains
    heap.swap(0, --heap.size);
    heap.sink(0);
  }
}

template <class Element>
Status run(int64_t rows, int64_t columns, int64_t k, const Element* x, Element* values, int32_t* indices) {
  if (k < 1 || k > columns) return Status::outOfRange("k", k, 1, columns);
  int64_t grain = columns >= kTaskElements ? 1 : kTaskElements / columns;
  parallelRanges(rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row)
      largestOfRow(x + row * columns, columns, k, values + row * k, indices + row * k);
  });
  return Status::ok();
}

}  // namespace

Status largestOfRows(int64_t rows, int64_t columns, int64_t k, const float* x, float* values, int32_t* indices) {
  return run(rows, columns, k, x, values, indices);
}

Status largestIntsOfRows(int64_t rows, int64_t columns, int64_t k, const int32_t* x, int32_t* values, int32_t* indices) {
  return run(rows, columns, k, x, values, indices);
}

}  // namespace moe::MOE_ISA
