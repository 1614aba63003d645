#include "convert.h"

#include "groups.h"

namespace moe {
namespace {

/** bytesToFloats(count, x, out) and so on */
Status fromBytesToFloats(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* x = in.bytes("x", count);
  return bytesToFloats(count, x, in.mutableFloats("out", count));
}

Status fromIntsToFloats(Arguments& in) {
  int64_t count = in.integer("count");
  const int32_t* x = in.ints("x", count);
  return intsToFloats(count, x, in.mutableFloats("out", count));
}

Status fromFloatsToInts(Arguments& in) {
  int64_t count = in.integer("count");
  const float* x = in.floats("x", count);
  return floatsToInts(count, x, in.mutableInts("out", count));
}

Status fromBytesToInts(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* x = in.bytes("x", count);
  return bytesToInts(count, x, in.mutableInts("out", count));
}

Status fromFloatsToBytes(Arguments& in) {
  int64_t count = in.integer("count");
  const float* x = in.floats("x", count);
  return floatsToBytes(count, x, in.mutableBytes("out", count));
}

Status fromIntsToBytes(Arguments& in) {
  int64_t count = in.integer("count");
  const int32_t* x = in.ints("x", count);
  return intsToBytes(count, x, in.mutableBytes("out", count));
}

/** logicalNot(count, x, out) */
Status bindLogicalNot(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* x = in.bytes("x", count);
  return logicalNot(count, x, in.mutableBytes("out", count));
}

/** isNaN(count, x, out) and so on */
template <FloatClass Which>
Status classOf(Arguments& in) {
  int64_t count = in.integer("count");
  const float* x = in.floats("x", count);
  return classify(Which, count, x, in.mutableBytes("out", count));
}

/** select(count, condition, yes, no, out); yes, no and out of elements of one size */
Status select(Arguments& in) {
  int64_t count = in.integer("count");
  const uint8_t* condition = in.bytes("condition", count);
  AnyArray yes = in.anyArray("yes"), no = in.anyArray("no"), out = in.mutableAnyArray("out");
  if (yes.length < count) return Status::shape("length of yes", yes.length, count);
  if (no.length < count) return Status::shape("length of no", no.length, count);
  if (out.length < count) return Status::shape("length of out", out.length, count);
  if (no.elementBytes != yes.elementBytes) return Status::shape("bytes of an element", no.elementBytes, yes.elementBytes);
  if (out.elementBytes != yes.elementBytes) return Status::shape("bytes of an element", out.elementBytes, yes.elementBytes);
  return selectValues(count, yes.elementBytes, condition, yes.data, no.data, out.data);
}

}  // namespace

void registerConvert(Exports& exports) {
  exports.add("bytesToFloats", fromBytesToFloats);
  exports.add("intsToFloats", fromIntsToFloats);
  exports.add("floatsToInts", fromFloatsToInts);
  exports.add("bytesToInts", fromBytesToInts);
  exports.add("floatsToBytes", fromFloatsToBytes);
  exports.add("intsToBytes", fromIntsToBytes);
  exports.add("logicalNot", bindLogicalNot);
  exports.add("isNaN", classOf<FloatClass::isNaN>);
  exports.add("isInf", classOf<FloatClass::isInfinite>);
  exports.add("isFinite", classOf<FloatClass::isFinite>);
  exports.add("select", select);
}

}  // namespace moe
