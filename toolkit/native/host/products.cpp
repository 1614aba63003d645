#include "products.h"

#include "matmul.h"
#include "scratch.h"

namespace moe::MOE_ISA {
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
  int64_t most = count < kAtOnce ? count : kAtOnce;
  Scratch room(1, (most * static_cast<int64_t>(sizeof(Gemm)) + 3) / 4);
  if (!room.isOk()) return room.status("a list of products");
  Gemm* problems = static_cast<Gemm*>(room.bytes());
  for (int64_t first = 0; first < count; first += kAtOnce) {
    int64_t now = count - first < kAtOnce ? count - first : kAtOnce;
    for (int64_t i = 0; i < now; ++i) problems[i] = describe(first + i);
    Status done = groupedMatmul(problems, now);
    if (!done.isOk()) return done;
  }
  return Status::ok();
}

Status checkOffsets(const int32_t* offsets, int64_t groups, int64_t rows) {
  int64_t before = 0;
  for (int64_t i = 0; i <= groups; ++i) {
    int64_t lowest = i == groups ? rows : before, highest = i == 0 ? 0 : rows;
    if (offsets[i] < lowest || offsets[i] > highest) return Status::outOfRange("offsets", offsets[i], lowest, highest);
    before = offsets[i];
  }
  return Status::ok();
}

}  // namespace

Status matmulBatch(int64_t batch, int64_t m, int64_t n, int64_t k, bool transposeA, bool transposeB, int64_t aBatches,
                   int64_t bBatches, const float* a, const float* b, float* out) {
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

Status matmulGroups(int64_t groups, int64_t rows, int64_t inner, int64_t columns, bool transposeWeights,
                    const int32_t* offsets, const float* a, const float* weights, float* out) {
  Status offsetsFit = checkOffsets(offsets, groups, rows);
  if (!offsetsFit.isOk() || rows * columns == 0) return offsetsFit;
  return multiplyAll(groups, [&](int64_t g) {
    Gemm one;
    one.m = offsets[g + 1] - offsets[g], one.n = columns, one.k = inner;
    setA(one, a + offsets[g] * inner, stridesOf(one.m, inner, false));
    setB(one, weights + g * inner * columns, stridesOf(inner, columns, transposeWeights));
    one.c = out + offsets[g] * columns, one.cRowStride = columns;
    return one;
  });
}

Status matmulGroupsWeightGradient(int64_t groups, int64_t rows, int64_t inner, int64_t columns, const int32_t* offsets,
                                  const float* a, const float* gradient, float* out) {
  Status offsetsFit = checkOffsets(offsets, groups, rows);
  if (!offsetsFit.isOk() || groups * inner * columns == 0) return offsetsFit;
  return multiplyAll(groups, [&](int64_t g) {
    Gemm one;
    one.m = inner, one.n = columns, one.k = offsets[g + 1] - offsets[g];
    setA(one, a + offsets[g] * inner, {1, inner});
    setB(one, gradient + offsets[g] * columns, stridesOf(one.k, columns, false));
    one.c = out + g * inner * columns, one.cRowStride = columns;
    return one;
  });
}

}  // namespace moe::MOE_ISA
