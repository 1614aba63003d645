#include "products.h"

#include "product.h"

namespace moe::cuda {
namespace {

Operand operand(const float* data, int64_t stride, int64_t groupStride = 0) {
  Operand made;
  made.data = data, made.stride = stride, made.groupStride = groupStride;
  return made;
}

}  // namespace

Status matmulBatch(int64_t batch, int64_t m, int64_t n, int64_t k, bool transposeA, bool transposeB, int64_t aBatches, int64_t bBatches,
                   const float* a, const float* b, float* out) {
  Product p;
  p.groups = batch, p.m = m, p.n = n, p.k = k;
  p.transposeA = transposeA, p.transposeB = transposeB;
  p.a = operand(a, transposeA ? m : k, aBatches == 1 ? 0 : m * k);
  p.b = operand(b, transposeB ? k : n, bBatches == 1 ? 0 : k * n);
  p.c = out, p.cStride = n, p.cGroupStride = m * n;
  bool rowsOfAllBatchesFormOneMatrix = bBatches == 1 && aBatches == batch && !transposeA;
  if (rowsOfAllBatchesFormOneMatrix) p.m = batch * m, p.groups = 1;
  return multiply(p, productPrecision());
}

Status matmulGroups(int64_t groups, int64_t rows, int64_t inner, int64_t columns, bool transposeWeights, const int32_t* offsets, const float* a,
                    const float* weights, float* out) {
  Product p;
  p.groups = groups, p.n = columns, p.k = inner;
  p.ragged = Ragged::m, p.offsets = offsets, p.total = rows;
  p.transposeB = transposeWeights;
  p.a = operand(a, inner);
  p.b = operand(weights, transposeWeights ? inner : columns, inner * columns);
  p.c = out, p.cStride = columns;
  return multiply(p, productPrecision());
}

Status matmulGroupsWeightGradient(int64_t groups, int64_t rows, int64_t inner, int64_t columns, const int32_t* offsets, const float* a,
                                  const float* gradient, float* out) {
  Product p;
  p.groups = groups, p.m = inner, p.n = columns;
  p.ragged = Ragged::k, p.offsets = offsets, p.total = rows;
  p.transposeA = true;
  p.a = operand(a, inner);
  p.b = operand(gradient, columns);
  p.c = out, p.cStride = columns, p.cGroupStride = inner * columns;
  return multiply(p, productPrecision());
}

}  // namespace moe::cuda
