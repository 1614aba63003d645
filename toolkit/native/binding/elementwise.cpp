#include "elementwise.h"

#include "groups.h"

namespace moe {
namespace {

int64_t outputSize(const Broadcast& shape) {
  int64_t size = 1;
  for (int64_t d = 0; d < shape.rank; ++d) size *= shape.sizes[d];
  return size;
}

/** Elements that an operand with these strides must have. */
int64_t operandSize(const Broadcast& shape, const int32_t* strides) {
  if (outputSize(shape) == 0) return 0;
  int64_t last = 0;
  for (int64_t d = 0; d < shape.rank; ++d) last += int64_t{shape.sizes[d] - 1} * strides[d];
  return last + 1;
}

/** Reads rank and layout [3 · rank]: the sizes, then a's strides, then b's. */
Broadcast broadcastArgument(Arguments& in) {
  int64_t rank = in.integer("rank", 1, kMostDimensions);
  const int32_t* layout = in.ints("layout", 3 * rank);
  for (int64_t i = 0; i < 3 * rank; ++i)
    if (layout[i] < 0) throw BindingError{"E_NATIVE_ARGUMENT", "a native elementwise function got a negative size or stride",
                                          "sizes and strides count elements", "call it through the toolkit's kernels"};
  return {rank, layout, layout + rank, layout + 2 * rank};
}

/** add(rank, layout, a, b, out) and so on */
template <BinaryOp Op>
Status binaryOf(Arguments& in) {
  Broadcast shape = broadcastArgument(in);
  const float* a = in.floats("a", operandSize(shape, shape.aStrides));
  const float* b = in.floats("b", operandSize(shape, shape.bStrides));
  return binary(Op, shape, a, b, in.mutableFloats("out", outputSize(shape)));
}

/** equal(rank, layout, a, b, out) and so on */
template <CompareOp Op>
Status compareOf(Arguments& in) {
  Broadcast shape = broadcastArgument(in);
  const float* a = in.floats("a", operandSize(shape, shape.aStrides));
  const float* b = in.floats("b", operandSize(shape, shape.bStrides));
  return compare(Op, shape, a, b, in.mutableBytes("out", outputSize(shape)));
}

/** equalInts(rank, layout, a, b, out) and so on */
template <CompareOp Op>
Status compareIntsOf(Arguments& in) {
  Broadcast shape = broadcastArgument(in);
  const int32_t* a = in.ints("a", operandSize(shape, shape.aStrides));
  const int32_t* b = in.ints("b", operandSize(shape, shape.bStrides));
  return compareInts(Op, shape, a, b, in.mutableBytes("out", outputSize(shape)));
}

template <LogicalOp Op>
Status logicalOf(Arguments& in) {
  Broadcast shape = broadcastArgument(in);
  const uint8_t* a = in.bytes("a", operandSize(shape, shape.aStrides));
  const uint8_t* b = in.bytes("b", operandSize(shape, shape.bStrides));
  return logical(Op, shape, a, b, in.mutableBytes("out", outputSize(shape)));
}

/** negate(count, first, second, x, out) and so on */
template <UnaryOp Op>
Status unaryOf(Arguments& in) {
  int64_t count = in.integer("count");
  float first = static_cast<float>(in.number("first")), second = static_cast<float>(in.number("second"));
  const float* x = in.floats("x", count);
  return unary(Op, count, first, second, x, in.mutableFloats("out", count));
}

/** select(count, condition, yes, no, out) */
Status select(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* condition = in.bytes("condition", count);
  const float* yes = in.floats("yes", count);
  const float* no = in.floats("no", count);
  return selectValues(count, condition, yes, no, in.mutableFloats("out", count));
}

/** bytesToFloats(count, x, out) */
Status fromBytes(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* x = in.bytes("x", count);
  return bytesToFloats(count, x, in.mutableFloats("out", count));
}

/** intsToFloats(count, x, out) */
Status fromInts(Arguments& in) {
  int64_t count = in.integer("count");
  const int32_t* x = in.ints("x", count);
  return intsToFloats(count, x, in.mutableFloats("out", count));
}

}  // namespace

void registerElementwise(Exports& exports) {
  exports.add("add", binaryOf<BinaryOp::add>);
  exports.add("subtract", binaryOf<BinaryOp::subtract>);
  exports.add("multiply", binaryOf<BinaryOp::multiply>);
  exports.add("divide", binaryOf<BinaryOp::divide>);
  exports.add("maximum", binaryOf<BinaryOp::maximum>);
  exports.add("minimum", binaryOf<BinaryOp::minimum>);
  exports.add("squaredDifference", binaryOf<BinaryOp::squaredDifference>);
  exports.add("power", binaryOf<BinaryOp::power>);
  exports.add("prelu", binaryOf<BinaryOp::prelu>);
  exports.add("equal", compareOf<CompareOp::equal>);
  exports.add("equalInts", compareIntsOf<CompareOp::equal>);
  exports.add("notEqual", compareOf<CompareOp::notEqual>);
  exports.add("notEqualInts", compareIntsOf<CompareOp::notEqual>);
  exports.add("greater", compareOf<CompareOp::greater>);
  exports.add("greaterInts", compareIntsOf<CompareOp::greater>);
  exports.add("greaterEqual", compareOf<CompareOp::greaterEqual>);
  exports.add("greaterEqualInts", compareIntsOf<CompareOp::greaterEqual>);
  exports.add("less", compareOf<CompareOp::less>);
  exports.add("lessInts", compareIntsOf<CompareOp::less>);
  exports.add("lessEqual", compareOf<CompareOp::lessEqual>);
  exports.add("lessEqualInts", compareIntsOf<CompareOp::lessEqual>);
  exports.add("logicalAnd", logicalOf<LogicalOp::both>);
  exports.add("logicalOr", logicalOf<LogicalOp::either>);
  exports.add("negate", unaryOf<UnaryOp::negate>);
  exports.add("exp", unaryOf<UnaryOp::exp>);
  exports.add("log", unaryOf<UnaryOp::log>);
  exports.add("sqrt", unaryOf<UnaryOp::sqrt>);
  exports.add("rsqrt", unaryOf<UnaryOp::rsqrt>);
  exports.add("square", unaryOf<UnaryOp::square>);
  exports.add("relu", unaryOf<UnaryOp::relu>);
  exports.add("relu6", unaryOf<UnaryOp::relu6>);
  exports.add("elu", unaryOf<UnaryOp::elu>);
  exports.add("leakyRelu", unaryOf<UnaryOp::leakyRelu>);
  exports.add("sigmoid", unaryOf<UnaryOp::sigmoid>);
  exports.add("tanh", unaryOf<UnaryOp::tanh>);
  exports.add("abs", unaryOf<UnaryOp::abs>);
  exports.add("step", unaryOf<UnaryOp::step>);
  exports.add("reciprocal", unaryOf<UnaryOp::reciprocal>);
  exports.add("clip", unaryOf<UnaryOp::clip>);
  exports.add("sin", unaryOf<UnaryOp::sin>);
  exports.add("cos", unaryOf<UnaryOp::cos>);
  exports.add("erf", unaryOf<UnaryOp::erf>);
  exports.add("log1p", unaryOf<UnaryOp::log1p>);
  exports.add("expm1", unaryOf<UnaryOp::expm1>);
  exports.add("floor", unaryOf<UnaryOp::floor>);
  exports.add("ceil", unaryOf<UnaryOp::ceil>);
  exports.add("select", select);
  exports.add("bytesToFloats", fromBytes);
  exports.add("intsToFloats", fromInts);
}

}  // namespace moe
