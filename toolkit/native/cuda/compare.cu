#include "broadcast.h"

namespace moe::cuda {
namespace {

template <CompareOp Op, class Element>
struct Holds {
  __device__ uint8_t operator()(Element a, Element b) const {
    if constexpr (Op == CompareOp::equal) return a == b;
    if constexpr (Op == CompareOp::notEqual) return a != b;
    if constexpr (Op == CompareOp::greater) return a > b;
    if constexpr (Op == CompareOp::greaterEqual) return a >= b;
    if constexpr (Op == CompareOp::less) return a < b;
    if constexpr (Op == CompareOp::lessEqual) return a <= b;
  }
};

struct Both {
  __device__ uint8_t operator()(uint8_t a, uint8_t b) const { return (a != 0) & (b != 0); }
};
struct Either {
  __device__ uint8_t operator()(uint8_t a, uint8_t b) const { return (a | b) != 0; }
};

template <CompareOp Op, class Element>
Status run(const Broadcast& shape, const Element* a, const Element* b, uint8_t* out) {
  return joinElements(shape, Holds<Op, Element>{}, a, b, out);
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
  if (op == LogicalOp::both) return joinElements(shape, Both{}, a, b, out);
  return joinElements(shape, Either{}, a, b, out);
}

}  // namespace moe::cuda
