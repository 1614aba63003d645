#include "queryKeyValue.h"

#include "matmul.h"

namespace moe::MOE_ISA {
namespace {

/** dx (+)= dOutput · weightᵀ */
Gemm inputGradient(const ProjectionSizes& s, int i, const float* weight, const float* dOutput, float* dx) {
  Gemm one;
  one.m = s.N, one.n = s.C, one.k = s.columns[i];
  one.a = dOutput, one.aRowStride = s.columns[i];
  one.b = weight, one.bRowStride = 1, one.bColumnStride = s.columns[i];
  one.c = dx, one.cRowStride = s.C;
  one.accumulate = i > 0;
  return one;
}

}  // namespace

Status queryKeyValueForward(const ProjectionSizes& s, const float* x, const float* const (&weights)[3],
                            float* const (&outputs)[3]) {
  Gemm products[3];
  for (int i = 0; i < 3; ++i) {
    Gemm& one = products[i];
    one.m = s.N, one.n = s.columns[i], one.k = s.C;
    one.a = x, one.aRowStride = s.C;
    one.b = weights[i], one.bRowStride = s.columns[i];
    one.c = outputs[i], one.cRowStride = s.columns[i];
  }
  return groupedMatmul(products, 3);
}

Status queryKeyValueBackward(const ProjectionSizes& s, const float* x, const float* const (&weights)[3],
                             const float* const (&dOutputs)[3], float* dx, float* const (&dWeights)[3]) {
  Gemm products[4];
  for (int i = 0; i < 3; ++i) {
    Gemm& one = products[i];
    one.m = s.C, one.n = s.columns[i], one.k = s.N;
    one.a = x, one.aRowStride = 1, one.aColumnStride = s.C;
    one.b = dOutputs[i], one.bRowStride = s.columns[i];
    one.c = dWeights[i], one.cRowStride = s.columns[i];
  }
  products[3] = inputGradient(s, 0, weights[0], dOutputs[0], dx);
  Status done = groupedMatmul(products, 4);
  for (int i = 1; i < 3 && done.isOk(); ++i) done = matmul(inputGradient(s, i, weights[i], dOutputs[i], dx));
  return done;
}

}  // namespace moe::MOE_ISA
