#include "groups.h"
#include "products.h"

namespace moe {
namespace {

/** matmul(batch, m, n, k, transposeA, transposeB, aBatches, bBatches, a, b, out): see products.h */
Status bindMatmul(Arguments& in) {
  int64_t batch = in.integer("batch"), m = in.integer("m"), n = in.integer("n"), k = in.integer("k");
  bool transposeA = in.flag("transposeA"), transposeB = in.flag("transposeB");
  int64_t aBatches = in.integer("aBatches"), bBatches = in.integer("bBatches");
  if (aBatches != 1 && aBatches != batch) return Status::shape("aBatches", aBatches, batch);
  if (bBatches != 1 && bBatches != batch) return Status::shape("bBatches", bBatches, batch);
  const float* a = in.floats("a", elementCount({aBatches, m, k}));
  const float* b = in.floats("b", elementCount({bBatches, k, n}));
  int64_t made = elementCount({batch, m, n});
  float* out = in.mutableFloats("out", made);
  if (made == 0) return Status::ok();
  return matmulBatch(batch, m, n, k, transposeA, transposeB, aBatches, bBatches, a, b, out);
}

/** matmulGroups(groups, rows, inner, columns, transposeWeights, offsets, a, weights, out) */
Status bindMatmulGroups(Arguments& in) {
  int64_t groups = in.integer("groups"), rows = in.integer("rows"), inner = in.integer("inner");
  int64_t columns = in.integer("columns");
  bool transposeWeights = in.flag("transposeWeights");
  const int32_t* offsets = in.indices("offsets", groups + 1);
  const float* a = in.floats("a", elementCount({rows, inner}));
  const float* weights = in.floats("weights", elementCount({groups, inner, columns}));
  float* out = in.mutableFloats("out", elementCount({rows, columns}));
  return matmulGroups(groups, rows, inner, columns, transposeWeights, offsets, a, weights, out);
}

/** matmulGroupsWeightGradient(groups, rows, inner, columns, offsets, a, gradient, out) */
Status bindMatmulGroupsWeightGradient(Arguments& in) {
  int64_t groups = in.integer("groups"), rows = in.integer("rows"), inner = in.integer("inner");
  int64_t columns = in.integer("columns");
  const int32_t* offsets = in.indices("offsets", groups + 1);
  const float* a = in.floats("a", elementCount({rows, inner}));
  const float* gradient = in.floats("gradient", elementCount({rows, columns}));
  float* out = in.mutableFloats("out", elementCount({groups, inner, columns}));
  return matmulGroupsWeightGradient(groups, rows, inner, columns, offsets, a, gradient, out);
}

}  // namespace

void registerMatmul(Exports& exports) {
  exports.add("matmul", bindMatmul);
  exports.add("matmulGroups", bindMatmulGroups);
  exports.add("matmulGroupsWeightGradient", bindMatmulGroupsWeightGradient);
}

}  // namespace moe
