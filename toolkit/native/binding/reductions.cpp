#include "groups.h"
#include "reduction.h"

namespace moe {
namespace {

/** sum(outer, length, inner, scale, x, out) and so on */
template <ReduceOp Op>
Status reduceOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  float scale = static_cast<float>(in.number("scale"));
  const float* x = in.floats("x", elementCount({outer, length, inner}));
  return reduce(Op, outer, length, inner, scale, x, in.mutableFloats("out", elementCount({outer, inner})));
}

/** indexOfLargest(outer, length, inner, x, out) and indexOfSmallest */
template <bool OfLargest>
Status indexOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  const float* x = in.floats("x", elementCount({outer, length, inner}));
  return indexOfExtreme(OfLargest, outer, length, inner, x, in.mutableInts("out", elementCount({outer, inner})));
}

/** cumulativeSum(outer, length, inner, isExclusive, isReversed, x, out) */
Status runningSum(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  bool isExclusive = in.flag("isExclusive"), isReversed = in.flag("isReversed");
  int64_t size = elementCount({outer, length, inner});
  const float* x = in.floats("x", size);
  return cumulativeSum(outer, length, inner, isExclusive, isReversed, x, in.mutableFloats("out", size));
}

/** softmax(rows, columns, x, out) */
Status softmax(Arguments& in) {
  int64_t rows = in.integer("rows"), columns = in.integer("columns");
  const float* x = in.floats("x", elementCount({rows, columns}));
  return softmaxRows(rows, columns, x, in.mutableFloats("out", elementCount({rows, columns})));
}

/** topK(rows, columns, k, x, values, indices) */
Status topK(Arguments& in) {
  int64_t rows = in.integer("rows"), columns = in.integer("columns"), k = in.integer("k");
  const float* x = in.floats("x", elementCount({rows, columns}));
  float* values = in.mutableFloats("values", elementCount({rows, k}));
  return largestOfRows(rows, columns, k, x, values, in.mutableInts("indices", elementCount({rows, k})));
}

}  // namespace

void registerReductions(Exports& exports) {
  exports.add("sum", reduceOf<ReduceOp::sum>);
  exports.add("product", reduceOf<ReduceOp::product>);
  exports.add("largest", reduceOf<ReduceOp::maximum>);
  exports.add("smallest", reduceOf<ReduceOp::minimum>);
  exports.add("indexOfLargest", indexOf<true>);
  exports.add("indexOfSmallest", indexOf<false>);
  exports.add("cumulativeSum", runningSum);
  exports.add("softmax", softmax);
  exports.add("topK", topK);
}

}  // namespace moe
