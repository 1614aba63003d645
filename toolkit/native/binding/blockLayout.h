#pragma once
#include "arguments.h"
#include "elementwise.h"

namespace moe {

/** A block of elements and how it lies in two arrays, read from an argument `layout` [3 · rank] (Int32Array, or
 *  Float64Array where a number may exceed it): sizes, strides in the first array, strides in the second. */
struct BlockLayout {
  int64_t rank = 0;  // from 1 to kMostDimensions
  int64_t sizes[kMostDimensions] = {}, firstStrides[kMostDimensions] = {}, secondStrides[kMostDimensions] = {};

  /** Elements of the block; above kMostElements, when there are that many. */
  int64_t count() const;
};

/** Reads rank and layout; sizes are not negative. */
BlockLayout blockLayout(Arguments& in);

/** The lowest and highest place that a block touches, relative to its first element. Stops growing far above what any
 *  array can hold, instead of overflowing. Both 0 for a block without elements. */
struct Reach {
  int64_t lowest, highest;
};
Reach reachOf(const BlockLayout& block, const int64_t* strides);

}  // namespace moe
