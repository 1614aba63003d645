#include "layout.h"

#include "elementwise.h"
#include "groups.h"

namespace moe {
namespace {

/** Every element of the block must lie inside [0, length). */
Status checkReach(const char* name, int64_t rank, const int32_t* sizes, const int32_t* strides, int64_t offset,
                  int64_t length) {
  int64_t lowest = offset, highest = offset;
  for (int64_t d = 0; d < rank; ++d) {
    if (sizes[d] < 0) return Status::outOfRange("size", sizes[d], 0, kMostElements);
    if (sizes[d] == 0) return Status::ok();
    int64_t reach = (int64_t{sizes[d]} - 1) * strides[d];
    (reach < 0 ? lowest : highest) += reach;
  }
  if (lowest < 0) return Status::outOfRange(name, lowest, 0, length - 1);
  return highest < length ? Status::ok() : Status::outOfRange(name, highest, 0, length - 1);
}

/** copyBlock(rank, layout, fromOffset, toOffset, from, to); layout [3 · rank]: sizes, from's strides, to's strides */
Status copy(Arguments& in) {
  int64_t rank = in.integer("rank", 1, kMostDimensions);
  const int32_t* layout = in.ints("layout", 3 * rank);
  int64_t fromOffset = in.integer("fromOffset"), toOffset = in.integer("toOffset");
  AnyArray from = in.anyArray("from"), to = in.anyArray("to");
  if (from.elementBytes != to.elementBytes) return Status::shape("bytes of an element", to.elementBytes, from.elementBytes);
  BlockCopy block = {rank, layout, layout + rank, layout + 2 * rank, fromOffset, toOffset};
  Status reach = checkReach("place in from", rank, block.sizes, block.fromStrides, fromOffset, from.length);
  if (reach.isOk()) reach = checkReach("place in to", rank, block.sizes, block.toStrides, toOffset, to.length);
  if (!reach.isOk()) return reach;
  return copyBlock(block, from.elementBytes, from.data, to.data);
}

/** gather(batch, outer, length, slice, count, indices, x, out) */
Status gather(Arguments& in) {
  int64_t batch = in.integer("batch"), outer = in.integer("outer"), length = in.integer("length");
  int64_t slice = in.integer("slice"), count = in.integer("count");
  const int32_t* indices = in.ints("indices", elementCount({batch, count}));
  AnyArray x = in.anyArray("x"), out = in.anyArray("out");
  int64_t wanted = elementCount({batch, outer, length, slice}), made = elementCount({batch, outer, count, slice});
  if (x.length < wanted) return Status::shape("length of x", x.length, wanted);
  if (out.length < made) return Status::shape("length of out", out.length, made);
  if (x.elementBytes != out.elementBytes) return Status::shape("bytes of an element", out.elementBytes, x.elementBytes);
  return gatherSlices(batch, outer, length, slice, count, x.elementBytes, indices, x.data, out.data);
}

/** scatterAdd(length, slice, count, indices, updates, out) */
Status scatterAdd(Arguments& in) {
  int64_t length = in.integer("length"), slice = in.integer("slice"), count = in.integer("count");
  const int32_t* indices = in.ints("indices", count);
  const float* updates = in.floats("updates", elementCount({count, slice}));
  return scatterAddSlices(length, slice, count, indices, updates, in.mutableFloats("out", elementCount({length, slice})));
}

}  // namespace

void registerLayout(Exports& exports) {
  exports.add("copyBlock", copy);
  exports.add("gather", gather);
  exports.add("scatterAdd", scatterAdd);
}

}  // namespace moe
