#pragma once
#include <cstdint>

namespace moe::cuda {

/** What tensor cores multiply: float32 operands are rounded to it on their way into shared memory. float32 multiplies
 *  without tensor cores, exactly as the host does but for the order of the sums. */
enum class Precision : int32_t { float32, bfloat16, float16 };

/** The precision of the products that are asked for next; float32 at the start. */
Precision productPrecision();
void setProductPrecision(Precision precision);

}  // namespace moe::cuda
