#include "elementwise.h"

#include "groups.h"
#include "mathFunctions.h"
#include "operands.h"

namespace moe {
namespace {

/** add(rank, layout, a, b, out) and so on */
template <BinaryOp Op>
Status binaryOf(Arguments& in) {
  in.allowInPlace();
  Operands operands = operandsOf(in);
  const float* a = in.floats("a", operands.aSize);
  const float* b = in.floats("b", operands.bSize);
  return binary(Op, operands.shape(), a, b, in.mutableFloats("out", operands.outputSize));
}

/** equal(rank, layout, a, b, out) and so on */
template <CompareOp Op>
Status compareOf(Arguments& in) {
  Operands operands = operandsOf(in);
  const float* a = in.floats("a", operands.aSize);
  const float* b = in.floats("b", operands.bSize);
  return compare(Op, operands.shape(), a, b, in.mutableBytes("out", operands.outputSize));
}

/** equalInts(rank, layout, a, b, out) and so on */
template <CompareOp Op>
Status compareIntsOf(Arguments& in) {
  Operands operands = operandsOf(in);
  const int32_t* a = in.ints("a", operands.aSize);
  const int32_t* b = in.ints("b", operands.bSize);
  return compareInts(Op, operands.shape(), a, b, in.mutableBytes("out", operands.outputSize));
}

/** equalBytes(rank, layout, a, b, out) and so on */
template <CompareOp Op>
Status compareBytesOf(Arguments& in) {
  Operands operands = operandsOf(in);
  const uint8_t* a = in.bytes("a", operands.aSize);
  const uint8_t* b = in.bytes("b", operands.bSize);
  return compareBytes(Op, operands.shape(), a, b, in.mutableBytes("out", operands.outputSize));
}

template <LogicalOp Op>
Status logicalOf(Arguments& in) {
  Operands operands = operandsOf(in);
  const uint8_t* a = in.bytes("a", operands.aSize);
  const uint8_t* b = in.bytes("b", operands.bSize);
  return logical(Op, operands.shape(), a, b, in.mutableBytes("out", operands.outputSize));
}

/** negate(count, first, second, x, out) and so on */
template <UnaryOp Op>
Status unaryOf(Arguments& in) {
  in.allowInPlace();
  int64_t count = in.integer("count");
  float first = static_cast<float>(in.number("first")), second = static_cast<float>(in.number("second"));
  const float* x = in.floats("x", count);
  return unary(Op, count, first, second, x, in.mutableFloats("out", count));
}

/** tan(count, x, out) and so on */
template <MathFunction Op>
Status mathOf(Arguments& in) {
  in.allowInPlace();
  int64_t count = in.integer("count");
  const float* x = in.floats("x", count);
  return mathFunction(Op, count, x, in.mutableFloats("out", count));
}

/** modulo(rank, layout, a, b, out) and atan2 */
template <MathBinary Op>
Status mathBinaryOf(Arguments& in) {
  in.allowInPlace();
  Operands operands = operandsOf(in);
  const float* a = in.floats("a", operands.aSize);
  const float* b = in.floats("b", operands.bSize);
  return mathBinary(Op, operands.shape(), a, b, in.mutableFloats("out", operands.outputSize));
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
  exports.add("equalBytes", compareBytesOf<CompareOp::equal>);
  exports.add("notEqual", compareOf<CompareOp::notEqual>);
  exports.add("notEqualInts", compareIntsOf<CompareOp::notEqual>);
  exports.add("notEqualBytes", compareBytesOf<CompareOp::notEqual>);
  exports.add("greater", compareOf<CompareOp::greater>);
  exports.add("greaterInts", compareIntsOf<CompareOp::greater>);
  exports.add("greaterBytes", compareBytesOf<CompareOp::greater>);
  exports.add("greaterEqual", compareOf<CompareOp::greaterEqual>);
  exports.add("greaterEqualInts", compareIntsOf<CompareOp::greaterEqual>);
  exports.add("greaterEqualBytes", compareBytesOf<CompareOp::greaterEqual>);
  exports.add("less", compareOf<CompareOp::less>);
  exports.add("lessInts", compareIntsOf<CompareOp::less>);
  exports.add("lessBytes", compareBytesOf<CompareOp::less>);
  exports.add("lessEqual", compareOf<CompareOp::lessEqual>);
  exports.add("lessEqualInts", compareIntsOf<CompareOp::lessEqual>);
  exports.add("lessEqualBytes", compareBytesOf<CompareOp::lessEqual>);
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
  exports.add("tan", mathOf<MathFunction::tan>);
  exports.add("asin", mathOf<MathFunction::asin>);
  exports.add("acos", mathOf<MathFunction::acos>);
  exports.add("atan", mathOf<MathFunction::atan>);
  exports.add("sinh", mathOf<MathFunction::sinh>);
  exports.add("cosh", mathOf<MathFunction::cosh>);
  exports.add("asinh", mathOf<MathFunction::asinh>);
  exports.add("acosh", mathOf<MathFunction::acosh>);
  exports.add("atanh", mathOf<MathFunction::atanh>);
  exports.add("softplus", mathOf<MathFunction::softplus>);
  exports.add("selu", mathOf<MathFunction::selu>);
  exports.add("round", mathOf<MathFunction::round>);
  exports.add("sign", mathOf<MathFunction::sign>);
  exports.add("modulo", mathBinaryOf<MathBinary::modulo>);
  exports.add("atan2", mathBinaryOf<MathBinary::atan2>);
}

}  // namespace moe
