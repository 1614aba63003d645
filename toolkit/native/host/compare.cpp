#include "broadcast.h"

namespace moe::MOE_ISA {
namespace {

template <CompareOp Op, class Element>
MOE_INLINE bool holds(Element a, Element b) {
  if constexpr (Op == CompareOp::equal) return a == b;
  if constexpr (Op == CompareOp::notEqual) return a != b;
  if constexpr (Op == CompareOp::greater) return a > b;
  if constexpr (Op == CompareOp::greaterEqual) return a >= b;
  if constexpr (Op == CompareOp::less) return a < b;
  if constexpr (Op == CompareOp::lessEqual) return a <= b;
}

template <LogicalOp Op, class Element>
MOE_INLINE bool holds(Element a, Element b) {
  return Op == LogicalOp::both ? (a != 0) & (b != 0) : (a | b) != 0;
}

template <auto Op, class Element>
Status run(const Broadcast& shape, const Element* a, const Element* b, uint8_t* out) {
  bool aMoves = shape.aStrides[shape.rank - 1] != 0, bMoves = shape.bStrides[shape.rank - 1] != 0;
  forEachRow(shape, [&](int64_t aOffset, int64_t bOffset, int64_t outOffset, int64_t count) {
    const Element *__restrict aRow = a + aOffset, *__restrict bRow = b + bOffset;
    uint8_t* __restrict to = out + outOffset;
    if (aMoves && bMoves)
      for (int64_t i = 0; i < count; ++i) to[i] = holds<Op>(aRow[i], bRow[i]);
    else if (aMoves)
      for (int64_t i = 0; i < count; ++i) to[i] = holds<Op>(aRow[i], *bRow);
    else if (bMoves)
      for (int64_t i = 0; i < count; ++i) to[i] = holds<Op>(*aRow, bRow[i]);
    else
      for (int64_t i = 0; i < count; ++i) to[i] = holds<Op>(*aRow, *bRow);
  });
  return Status::ok();
}

template <class Element>
Status runCompare(CompareOp op, const Broadcast& shape, const Element* a, const Element* b, uint8_t* out) {
  switch (op) {
    case CompareOp::equal: return run<CompareOp::equal>(shape, a, b, out);
    case CompareOp::notEqual: return run<CompareOp::notEqual>(shape, a, b, out);
    case CompareOp::greater: return run<CompareOp::greater>(shape, a, b, out);
    case CompareOp::greaterEqual: return run<CompareOp::greaterEqual>(shape, a, b, out);
    case CompareOp::less: return run<CompareOp::less>(shape, a, b, out);
    case CompareOp::lessEqual: return run<CompareOp::lessEqual>(shape, a, b, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(CompareOp::lessEqual));
}

}  // namespace

Status compare(CompareOp op, const Broadcast& shape, const float* a, const float* b, uint8_t* out) {
  return runCompare(op, shape, a, b, out);
}

Status compareInts(CompareOp op, const Broadcast& shape, const int32_t* a, const int32_t* b, uint8_t* out) {
  return runCompare(op, shape, a, b, out);
}

Status compareBytes(CompareOp op, const Broadcast& shape, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  return runCompare(op, shape, a, b, out);
}

Status logical(LogicalOp op, const Broadcast& shape, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  if (op == LogicalOp::both) return run<LogicalOp::both>(shape, a, b, out);
  return run<LogicalOp::either>(shape, a, b, out);
}

}  // namespace moe::MOE_ISA
