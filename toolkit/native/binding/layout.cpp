#include "layout.h"

#include "blockLayout.h"
#include "groups.h"

namespace moe {
namespace {

/** Every element of the block must lie inside [0, length). */
void checkReach(const char* name, const BlockLayout& block, const int64_t* strides, int64_t offset, int64_t length) {
  if (block.count() == 0) return;
  Reach reach = reachOf(block, strides);
  if (offset + reach.lowest < 0) throw Status::outOfRange(name, offset + reach.lowest, 0, length - 1);
  if (offset + reach.highest >= length) throw Status::outOfRange(name, offset + reach.highest, 0, length - 1);
}

/** No two elements of the block may come to the same place: from the shortest stride to the longest, each has to step
 *  over all that the shorter ones reach. Keeps the number of elements below the length of the array, too. */
void checkDistinct(const BlockLayout& block, const int64_t* strides) {
  if (block.count() == 0) return;
  bool isUsed[kMostDimensions] = {};
  int64_t reached = 0;
  for (int64_t step = 0; step < block.rank; ++step) {
    int64_t next = -1;
    for (int64_t d = 0; d < block.rank; ++d)
      if (!isUsed[d] && block.sizes[d] > 1 && (next < 0 || strides[d] < strides[next])) next = d;
    if (next < 0) return;
    if (strides[next] <= reached) throw Status::outOfRange("stride in to", strides[next], reached + 1, kMostElements);
    isUsed[next] = true;
    reached += (block.sizes[next] - 1) * strides[next];
  }
}

/** copyBlock(rank, layout, fromOffset, toOffset, from, to); layout [3 · rank]: sizes, from's strides, to's strides */
Status copy(Arguments& in) {
  BlockLayout block = blockLayout(in);
  int64_t fromOffset = in.integer("fromOffset"), toOffset = in.integer("toOffset");
  AnyArray from = in.anyArray("from"), to = in.mutableAnyArray("to");
  if (from.elementBytes != to.elementBytes) return Status::shape("bytes of an element", to.elementBytes, from.elementBytes);
  checkReach("place in from", block, block.firstStrides, fromOffset, from.length);
  checkReach("place in to", block, block.secondStrides, toOffset, to.length);
  checkDistinct(block, block.secondStrides);
  return copyBlock({block.rank, block.sizes, block.firstStrides, block.secondStrides, fromOffset, toOffset},
                   from.elementBytes, from.data, to.data);
}

/** gather(batch, outer, length, slice, count, indices, x, out) */
Status gather(Arguments& in) {
  int64_t batch = in.integer("batch"), outer = in.integer("outer"), length = in.integer("length");
  int64_t slice = in.integer("slice"), count = in.integer("count");
  const int32_t* indices = in.indices("indices", elementCount({batch, count}));
  AnyArray x = in.anyArray("x"), out = in.mutableAnyArray("out");
  int64_t wanted = elementCount({batch, outer, length, slice}), made = elementCount({batch, outer, count, slice});
  if (x.length < wanted) return Status::shape("length of x", x.length, wanted);
  if (out.length < made) return Status::shape("length of out", out.length, made);
  if (x.elementBytes != out.elementBytes) return Status::shape("bytes of an element", out.elementBytes, x.elementBytes);
  if (made == 0) return Status::ok();
  return gatherSlices(batch, outer, length, slice, count, x.elementBytes, indices, x.data, out.data);
}

/** scatterAdd(length, slice, count, indices, updates, out) */
Status scatterAdd(Arguments& in) {
  int64_t length = in.integer("length"), slice = in.integer("slice"), count = in.integer("count");
  const int32_t* indices = in.indices("indices", count);
  const float* updates = in.floats("updates", elementCount({count, slice}));
  int64_t made = elementCount({length, slice});
  float* out = in.mutableFloats("out", made);
  if (made == 0) return Status::ok();
  return scatterAddSlices(length, slice, count, indices, updates, out);
}

}  // namespace

void registerLayout(Exports& exports) {
  exports.add("copyBlock", copy);
  exports.add("gather", gather);
  exports.add("scatterAdd", scatterAdd);
}

}  // namespace moe
