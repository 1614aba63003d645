#include "integers.h"

#include "groups.h"
#include "layout.h"
#include "operands.h"
#include "running.h"

namespace moe {
namespace {

/** addInts(rank, layout, a, b, out) and so on */
template <IntBinaryOp Op>
Status binaryOf(Arguments& in) {
  in.allowInPlace();
  Operands operands = operandsOf(in);
  const int32_t* a = in.ints("a", operands.aSize);
  const int32_t* b = in.ints("b", operands.bSize);
  return binaryInts(Op, operands.shape(), a, b, in.mutableInts("out", operands.outputSize));
}

/** negateInts(count, first, second, x, out) and so on */
template <IntUnaryOp Op>
Status unaryOf(Arguments& in) {
  in.allowInPlace();
  int64_t count = in.integer("count");
  double first = in.number("first"), second = in.number("second");
  const int32_t* x = in.ints("x", count);
  return unaryInts(Op, count, first, second, x, in.mutableInts("out", count));
}

/** sumInts(outer, length, inner, x, out) and so on */
template <ReduceOp Op>
Status reduceOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  const int32_t* x = in.ints("x", elementCount({outer, length, inner}));
  int64_t made = elementCount({outer, inner});
  int32_t* out = in.mutableInts("out", made);
  if (made == 0) return Status::ok();
  return reduceInts(Op, outer, length, inner, x, out);
}

/** all(outer, length, inner, x, out) and any */
template <bool OfAll>
Status reduceBytesOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  const uint8_t* x = in.bytes("x", elementCount({outer, length, inner}));
  int64_t made = elementCount({outer, inner});
  uint8_t* out = in.mutableBytes("out", made);
  if (made == 0) return Status::ok();
  return reduceBytes(OfAll, outer, length, inner, x, out);
}

/** indexOfLargestInts(outer, length, inner, x, out) and indexOfSmallestInts */
template <bool OfLargest>
Status indexOf(Arguments& in) {
  int64_t outer = in.integer("outer"), length = in.integer("length"), inner = in.integer("inner");
  const int32_t* x = in.ints("x", elementCount({outer, length, inner}));
  int64_t made = elementCount({outer, inner});
  int32_t* out = in.mutableInts("out", made);
  if (made == 0) return Status::ok();
  return indexOfExtremeInt(OfLargest, outer, length, inner, x, out);
}

/** cumulativeSumInts(outer, length, inner, isExclusive, isReversed, x, out) and cumulativeProductInts */
template <bool OfProducts>
Status runningOf(Arguments& in) {
  Running running;
  running.outer = in.integer("outer"), running.length = in.integer("length"), running.inner = in.integer("inner");
  running.ofProducts = OfProducts;
  running.isExclusive = in.flag("isExclusive"), running.isReversed = in.flag("isReversed");
  int64_t size = elementCount({running.outer, running.length, running.inner});
  const int32_t* x = in.ints("x", size);
  int32_t* out = in.mutableInts("out", size);
  if (size == 0) return Status::ok();
  return runInts(running, x, out);
}

/** topKInts(rows, columns, k, x, values, indices) */
Status topK(Arguments& in) {
  int64_t rows = in.integer("rows"), columns = in.integer("columns", 0, INT32_MAX), k = in.integer("k");
  const int32_t* x = in.ints("x", elementCount({rows, columns}));
  int32_t* values = in.mutableInts("values", elementCount({rows, k}));
  return largestIntsOfRows(rows, columns, k, x, values, in.mutableInts("indices", elementCount({rows, k})));
}

/** scatterAddInts(length, slice, count, indices, updates, out) */
Status scatterAdd(Arguments& in) {
  int64_t length = in.integer("length"), slice = in.integer("slice"), count = in.integer("count");
  const int32_t* indices = in.indices("indices", count);
  const int32_t* updates = in.ints("updates", elementCount({count, slice}));
  int64_t made = elementCount({length, slice});
  int32_t* out = in.mutableInts("out", made);
  if (made == 0) return Status::ok();
  return scatterAddIntSlices(length, slice, count, indices, updates, out);
}

}  // namespace

void registerIntegers(Exports& exports) {
  exports.add("addInts", binaryOf<IntBinaryOp::add>);
  exports.add("subtractInts", binaryOf<IntBinaryOp::subtract>);
  exports.add("multiplyInts", binaryOf<IntBinaryOp::multiply>);
  exports.add("maximumInts", binaryOf<IntBinaryOp::maximum>);
  exports.add("minimumInts", binaryOf<IntBinaryOp::minimum>);
  exports.add("squaredDifferenceInts", binaryOf<IntBinaryOp::squaredDifference>);
  exports.add("floorDivideInts", binaryOf<IntBinaryOp::floorDivide>);
  exports.add("moduloInts", binaryOf<IntBinaryOp::modulo>);
  exports.add("negateInts", unaryOf<IntUnaryOp::negate>);
  exports.add("absInts", unaryOf<IntUnaryOp::abs>);
  exports.add("squareInts", unaryOf<IntUnaryOp::square>);
  exports.add("signInts", unaryOf<IntUnaryOp::sign>);
  exports.add("reluInts", unaryOf<IntUnaryOp::relu>);
  exports.add("clipInts", unaryOf<IntUnaryOp::clip>);
  exports.add("sumInts", reduceOf<ReduceOp::sum>);
  exports.add("productInts", reduceOf<ReduceOp::product>);
  exports.add("largestInts", reduceOf<ReduceOp::maximum>);
  exports.add("smallestInts", reduceOf<ReduceOp::minimum>);
  exports.add("indexOfLargestInts", indexOf<true>);
  exports.add("indexOfSmallestInts", indexOf<false>);
  exports.add("all", reduceBytesOf<true>);
  exports.add("any", reduceBytesOf<false>);
  exports.add("cumulativeSumInts", runningOf<false>);
  exports.add("cumulativeProductInts", runningOf<true>);
  exports.add("topKInts", topK);
  exports.add("scatterAddInts", scatterAdd);
}

}  // namespace moe
