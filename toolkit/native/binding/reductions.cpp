#include "groups.h"
#include "reduction.h"
#include "running.h"

namespace moe {
namespace {

/** sum(outer, length, inner, scale, x, out) and so on */
template <ReduceOp Op>
Status reduceOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  float scale = static_cast<float>(in.number("scale"));
  const float* x = in.floats("x", elementCount({outer, length, inner}));
  int64_t made = elementCount({outer, inner});
  float* out = in.mutableFloats("out", made);
  if (made == 0) return Status::ok();
  return reduce(Op, outer, length, inner, scale, x, out);
}

/** indexOfLargest(outer, length, inner, x, out) and indexOfSmallest */
template <bool OfLargest>
Status indexOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length", 0, INT32_MAX), inner = in.integer("inner");
  const float* x = in.floats("x", elementCount({outer, length, inner}));
  int64_t made = elementCount({outer, inner});
  int32_t* out = in.mutableInts("out", made);
  if (made == 0) return Status::ok();
  return indexOfExtreme(OfLargest, outer, length, inner, x, out);
}

/** cumulativeSum(outer, length, inner, isExclusive, isReversed, x, out) and cumulativeProduct */
template <bool OfProducts>
Status runningOf(Arguments& in) {
  Running running;
  running.outer = in.integer("outer"), running.length = in.integer("length"), running.inner = in.integer("inner");
  running.ofProducts = OfProducts;
  running.isExclusive = in.flag("isExclusive"), running.isReversed = in.flag("isReversed");
  int64_t size = elementCount({running.outer, running.length, running.inner});
  const float* x = in.floats("x", size);
  float* out = in.mutableFloats("out", size);
  if (size == 0) return Status::ok();
  return runFloats(running, x, out);
}

/** softmax(rows, columns, x, out) */
Status softmax(Arguments& in) {
  int64_t rows = in.integer("rows"), columns = in.integer("columns");
  int64_t size = elementCount({rows, columns});
  const float* x = in.floats("x", size);
  float* out = in.mutableFloats("out", size);
  if (size == 0) return Status::ok();
  return softmaxRows(rows, columns, x, out);
}

/** topK(rows, columns, k, x, values, indices) */
Status topK(Arguments& in) {
  int64_t rows = in.integer("rows"), columns = in.integer("columns", 0, INT32_MAX), k = in.integer("k");
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
  exports.add("cumulativeSum", runningOf<false>);
  exports.add("cumulativeProduct", runningOf<true>);
  exports.add("softmax", softmax);
  exports.add("topK", topK);
}

}  // namespace moe
