#include "matmul.h"

#include <vector>

#include "groups.h"

namespace moe {
namespace {

struct Strides {
  int64_t row, column;
};

/** Strides of a matrix [rows, columns] that is stored as it is, or as its transpose [columns, rows]. */
Strides stridesOf(int64_t rows, int64_t columns, bool isTransposed) {
  return isTransposed ? Strides{1, rows} : Strides{columns, 1};
}

void setA(Gemm& problem, const float* a, Strides strides) {
  problem.a = a, problem.aRowStride = strides.row, problem.aColumnStride = strides.column;
}

void setB(Gemm& problem, const float* b, Strides strides) {
  problem.b = b, problem.bRowStride = strides.row, problem.bColumnStride = strides.column;
}

/** Multiplies `count` problems, describe(i) each, a thousand at a time: a list of millions of tiny ones would need more
 *  memory than their matrices. */
template <class Describe>
Status multiplyAll(int64_t count, Describe&& describe) {
  constexpr int64_t kAtOnce = 1024;
  std::vector<Gemm> problems(static_cast<size_t>(count < kAtOnce ? count : kAtOnce));
  for (int64_t first = 0; first < count; first += kAtOnce) {
    int64_t now = count - first < kAtOnce ? count - first : kAtOnce;
    for (int64_t i = 0; i < now; ++i) problems[i] = describe(first + i);
    Status done = groupedMatmul(problems.data(), now);
    if (!done.isOk()) return done;
  }
  return Status::ok();
}

/** matmul(batch, m, n, k, transposeA, transposeB, aBatches, bBatches, a, b, out)
 *  out [batch, m, n] = A · B, where A is a[aBatches, m, k] ([…, k, m] when transposed) and aBatches is batch or 1
 *  (the same for all); B likewise. */
Status matmulBatch(Arguments& in) {
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

  Gemm one;
  one.m = m, one.n = n, one.k = k;
  one.c = out, one.cRowStride = n;
  setA(one, a, stridesOf(m, k, transposeA));
  setB(one, b, stridesOf(k, n, transposeB));
  bool rowsOfAllBatchesFormOneMatrix = bBatches == 1 && aBatches == batch && !transposeA;
  if (rowsOfAllBatchesFormOneMatrix) {
    one.m = batch * m;
    return matmul(one);
  }
  return multiplyAll(batch, [&](int64_t i) {
    Gemm problem = one;
    problem.a = a + (aBatches == 1 ? 0 : i * m * k);
    problem.b = b + (bBatches == 1 ? 0 : i * k * n);
    problem.c = out + i * m * n;
    return problem;
  });
}

/** offsets[0 … groups] must rise from 0 to rows. */
Status checkOffsets(const int32_t* offsets, int64_t groups, int64_t rows) {
  int64_t before = 0;
  for (int64_t i = 0; i <= groups; ++i) {
    int64_t lowest = i == groups ? rows : before, highest = i == 0 ? 0 : rows;
    if (offsets[i] < lowest || offsets[i] > highest) return Status::outOfRange("offsets", offsets[i], lowest, highest);
    before = offsets[i];
  }
  return Status::ok();
}

/** matmulGroups(groups, rows, inner, columns, transposeWeights, offsets, a, weights, out)
 *  out [rows, columns]: rows offsets[g] … offsets[g + 1] are those rows of a [rows, inner] times weights[g]
 *  ([groups, inner, columns], or [groups, columns, inner] when transposed). */
Status matmulGroups(Arguments& in) {
  int64_t groups = in.integer("groups"), rows = in.integer("rows"), inner = in.integer("inner");
  int64_t columns = in.integer("columns");
  bool transposed = in.flag("transposeWeights");
  const int32_t* offsets = in.indices("offsets", groups + 1);
  const float* a = in.floats("a", elementCount({rows, inner}));
  const float* weights = in.floats("weights", elementCount({groups, inner, columns}));
  int64_t made = elementCount({rows, columns});
  float* out = in.mutableFloats("out", made);
  Status offsetsFit = checkOffsets(offsets, groups, rows);
  if (!offsetsFit.isOk() || made == 0) return offsetsFit;

  return multiplyAll(groups, [&](int64_t g) {
    Gemm one;
    one.m = offsets[g + 1] - offsets[g], one.n = columns, one.k = inner;
    setA(one, a + offsets[g] * inner, stridesOf(one.m, inner, false));
    setB(one, weights + g * inner * columns, stridesOf(inner, columns, transposed));
    one.c = out + offsets[g] * columns, one.cRowStride = columns;
    return one;
  });
}

/** matmulGroupsWeightGradient(groups, rows, inner, columns, offsets, a, gradient, out)
 *  out [groups, inner, columns]: out[g] = Aᵀ · G over rows offsets[g] … offsets[g + 1] of a [rows, inner] and
 *  gradient [rows, columns]; zeros for a group without rows. */
Status matmulGroupsWeightGradient(Arguments& in) {
  int64_t groups = in.integer("groups"), rows = in.integer("rows"), inner = in.integer("inner");
  int64_t columns = in.integer("columns");
  const int32_t* offsets = in.indices("offsets", groups + 1);
  const float* a = in.floats("a", elementCount({rows, inner}));
  const float* gradient = in.floats("gradient", elementCount({rows, columns}));
  int64_t made = elementCount({groups, inner, columns});
  float* out = in.mutableFloats("out", made);
  Status offsetsFit = checkOffsets(offsets, groups, rows);
  if (!offsetsFit.isOk() || made == 0) return offsetsFit;

  return multiplyAll(groups, [&](int64_t g) {
    Gemm one;
    one.m = inner, one.n = columns, one.k = offsets[g + 1] - offsets[g];
    setA(one, a + offsets[g] * inner, {1, inner});
    setB(one, gradient + offsets[g] * columns, stridesOf(one.k, columns, false));
    one.c = out + g * inner * columns, one.cRowStride = columns;
    return one;
  });
}

}  // namespace

void registerMatmul(Exports& exports) {
  exports.add("matmul", matmulBatch);
  exports.add("matmulGroups", matmulGroups);
  exports.add("matmulGroupsWeightGradient", matmulGroupsWeightGradient);
}

}  // namespace moe
