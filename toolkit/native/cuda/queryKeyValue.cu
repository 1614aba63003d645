#include "queryKeyValue.h"

#include "product.h"

namespace moe::cuda {
namespace {

Operand operand(const float* data, int64_t stride) {
  Operand made;
  made.data = data, made.stride = stride;
  return made;
}

}  // namespace

Status queryKeyValueForward(const ProjectionSizes& s, const float* x, const float* const (&weights)[3], float* const (&outputs)[3]) {
  for (int i = 0; i < 3; ++i) {
    Product p;
    p.m = s.N, p.n = s.columns[i], p.k = s.C;
    p.a = operand(x, s.C), p.b = operand(weights[i], s.columns[i]);
    p.c = outputs[i], p.cStride = s.columns[i];
    MOE_RETURN_IF_NOT_OK(multiply(p, productPrecision()));
  }
  return Status::ok();
}

Status queryKeyValueBackward(const ProjectionSizes& s, const float* x, const float* const (&weights)[3], const float* const (&dOutputs)[3], float* dx,
                             float* const (&dWeights)[3]) {
  for (int i = 0; i < 3; ++i) {
    Product weight;
    weight.m = s.C, weight.n = s.columns[i], weight.k = s.N, weight.transposeA = true;
    weight.a = operand(x, s.C), weight.b = operand(dOutputs[i], s.columns[i]);
    weight.c = dWeights[i], weight.cStride = s.columns[i];
    MOE_RETURN_IF_NOT_OK(multiply(weight, productPrecision()));
    Product input;
    input.m = s.N, input.n = s.C, input.k = s.columns[i], input.transposeB = true;
    input.a = operand(dOutputs[i], s.columns[i]), input.b = operand(weights[i], s.columns[i]);
    input.c = dx, input.cStride = s.C, input.accumulate = i > 0;
    MOE_RETURN_IF_NOT_OK(multiply(input, productPrecision()));
  }
  return Status::ok();
}

}  // namespace moe::cuda
