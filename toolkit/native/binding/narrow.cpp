#include "narrow.h"

#include "groups.h"

namespace moe {
namespace {

/** toBfloat16(count, x, out) and toFloat16 */
template <NarrowType Type>
Status narrowOf(Arguments& in) {
  int64_t count = in.integer("count");
  const float* x = in.floats("x", count);
  return narrowFloats(Type, count, x, in.mutableHalves("out", count));
}

/** fromBfloat16(count, x, out) and fromFloat16 */
template <NarrowType Type>
Status widenOf(Arguments& in) {
  int64_t count = in.integer("count");
  const uint16_t* x = in.halves("x", count);
  return widenFloats(Type, count, x, in.mutableFloats("out", count));
}

}  // namespace

void registerNarrow(Exports& exports) {
  exports.add("toBfloat16", narrowOf<NarrowType::bfloat16>);
  exports.add("toFloat16", narrowOf<NarrowType::float16>);
  exports.add("fromBfloat16", widenOf<NarrowType::bfloat16>);
  exports.add("fromFloat16", widenOf<NarrowType::float16>);
}

}  // namespace moe
