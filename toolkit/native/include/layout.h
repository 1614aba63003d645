#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** A block of elements and where it lies in two arrays: element (i0, i1, …) is at offset + Σ i_d · stride_d in each.
 *  Strides are in elements, may be 0 (repeat) or negative (reverse) on the `from` side; on the `to` side no two elements
 *  come to the same place. */
struct BlockCopy {
  int64_t rank;  // 1 ≤ rank ≤ kMostDimensions of elementwise.h
  const int64_t *sizes, *fromStrides, *toStrides;
  int64_t fromOffset, toOffset;
};

}  // namespace moe

/** Copies a block: transpose, slice, concatenate, pad, tile and reverse are all this. elementBytes is 4 or 1. */
MOE_KERNEL(Status, copyBlock, (const BlockCopy& block, int64_t elementBytes, const void* from, void* to))

/** out [batch, outer, count, slice] = x [batch, outer, length, slice] at indices [batch, count] of the third dimension;
 *  an index outside 0 … length − 1 is refused. elementBytes is 4 or 1. */
MOE_KERNEL(Status, gatherSlices,
           (int64_t batch, int64_t outer, int64_t length, int64_t slice, int64_t count, int64_t elementBytes,
            const int32_t* indices, const void* x, void* out))

/** out [length, slice] = sums of the updates [count, slice] that go to each index [count]; zeros where none does.
 *  Updates with an index outside 0 … length − 1 are dropped. Added up in order, on any number of threads. */
MOE_KERNEL(Status, scatterAddSlices,
           (int64_t length, int64_t slice, int64_t count, const int32_t* indices, const float* updates, float* out))

/** The same for int32, whose sums wrap. */
MOE_KERNEL(Status, scatterAddIntSlices,
           (int64_t length, int64_t slice, int64_t count, const int32_t* indices, const int32_t* updates, int32_t* out))
