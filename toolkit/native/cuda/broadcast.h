#pragma once
#include "divider.h"
#include "elements.h"
#include "elementwise.h"

namespace moe::cuda {

/** A Broadcast as a kernel takes it: without dimensions of one element, and with those that are one in memory made one. */
struct Spread {
  int rank = 0;
  int64_t count = 1;
  Divider sizes[kMostDimensions];
  int64_t aStrides[kMostDimensions], bStrides[kMostDimensions];

  explicit Spread(const Broadcast& shape) {
    for (int64_t d = 0; d < shape.rank; ++d) {
      int64_t size = shape.sizes[d], aStride = shape.aStrides[d], bStride = shape.bStrides[d];
      count *= size;
      if (size == 1) continue;
      int last = rank - 1;
      bool isOne = rank > 0 && aStrides[last] == aStride * size && bStrides[last] == bStride * size;
      int at = isOne ? last : rank++;
      sizes[at] = Divider(isOne ? sizes[at].by * size : size);
      aStrides[at] = aStride, bStrides[at] = bStride;
    }
    if (rank > 0) return;
    rank = 1;
    aStrides[0] = bStrides[0] = 0;
  }

  /** Whether N adjacent elements of the output always come from N adjacent elements, or from one, of each operand. */
  template <int N, class Element>
  bool comesInPacks(const Element* a, const Element* b) const {
    int last = rank - 1;
    if (rank > 1 && sizes[last].by % N != 0) return false;
    return packsOf<N>(a, aStrides) && packsOf<N>(b, bStrides);
  }

 private:
  template <int N, class Element>
  bool packsOf(const Element* operand, const int64_t* strides) const {
    int last = rank - 1;
    if (strides[last] == 0) return true;
    for (int d = 0; d < last; ++d)
      if (strides[d] % N != 0) return false;
    return strides[last] == 1 && isPackAligned<N>(operand);
  }
};

/** `lane` 0 … N − 1 of what starts at x: adjacent elements, or the same one again. */
template <int N, class Element>
__device__ inline Pack<Element, N> loadSpread(const Element* x, bool moves) {
  if (moves) return loadPack<N>(x);
  Pack<Element, N> pack;
  Element value = *x;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.lane[i] = value;
  return pack;
}

template <int N, class Function, class Element, class Out>
__global__ void __launch_bounds__(kElementThreads)
joinPacks(const __grid_constant__ Spread shape, Function function, const Element* a, const Element* b, Out* out) {
  const int last = shape.rank - 1;
  const int64_t aStride = shape.aStrides[last], bStride = shape.bStrides[last];
  for (int64_t p = gridThread(); p * N < shape.count; p += gridThreads()) {
    int64_t at = p * N, row = at, aAt = 0, bAt = 0;
    for (int d = last; d > 0; --d) {
      int64_t above = shape.sizes[d].quotient(row), index = row - above * shape.sizes[d].by;
      aAt += index * shape.aStrides[d];
      bAt += index * shape.bStrides[d];
      row = above;
    }
    aAt += row * shape.aStrides[0];
    bAt += row * shape.bStrides[0];
    if (at + N > shape.count) {  // the end of an output of one dimension
      for (int64_t i = 0; at + i < shape.count; ++i) out[at + i] = function(a[aAt + i * aStride], b[bAt + i * bStride]);
      continue;
    }
    Pack<Element, N> fromA = loadSpread<N>(a + aAt, aStride != 0), fromB = loadSpread<N>(b + bAt, bStride != 0);
    Pack<Out, N> to;
#pragma unroll
    for (int i = 0; i < N; ++i) to.lane[i] = function(fromA.lane[i], fromB.lane[i]);
    storePack(out + at, to);
  }
}

/** out = function(a, b), both spread over the output; out may be an operand that isn't repeated. */
template <class Function, class Element, class Out>
Status joinElements(const Broadcast& shape, Function function, const Element* a, const Element* b, Out* out) {
  constexpr int kPack = 16 / sizeof(Element);
  const Spread spread(shape);
  if (spread.comesInPacks<kPack>(a, b) && isPackAligned<kPack>(out))
    return launch(joinPacks<kPack, Function, Element, Out>, elementGrid(ceilDivide(spread.count, kPack)), spread, function, a, b, out);
  return launch(joinPacks<1, Function, Element, Out>, elementGrid(spread.count), spread, function, a, b, out);
}

}  // namespace moe::cuda
