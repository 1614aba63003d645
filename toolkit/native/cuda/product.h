#pragma once
/* Products of matrices on the device: one description for dense, batched and grouped ones. */
#include <cstdint>

#include "device.h"
#include "mma.h"
#include "precision.h"
#include "status.h"

namespace moe::cuda {

/** How an array keeps its values. */
enum class Element : int32_t { float32, bfloat16, float16 };

/** One operand of a product: a matrix of rows that lie `stride` elements apart. */
struct Operand {
  const void* data = nullptr;
  Element element = Element::float32;
  int64_t stride = 0;
  int64_t groupStride = 0;              // elements from one group's matrix to the next; 0 where they share one
  const int32_t* rowIds = nullptr;      // row r is at row rowIds[r] of data; null: at r itself
  int64_t rows = 0;                     // of data, which rowIds name
};

/** Which dimension is cut into the groups' parts by the offsets. */
enum class Ragged : int32_t { none, m, k };

/** C[g] = A[g] · B[g] for each group g: A [m, k], stored as [k, m] where transposeA; B [k, n], stored as [n, k] where
 *  transposeB; C [m, n]. With offsets [groups + 1] group g has the rows offsets[g] … offsets[g + 1] of A and C (Ragged::m;
 *  A not transposed) or of A and B as they are stored (Ragged::k; A transposed, B not). Offsets are made to rise from 0
 *  to `total`, whatever they are. */
struct Product {
  int64_t groups = 1, m = 0, n = 0, k = 0;  // the ragged one is not looked at
  Ragged ragged = Ragged::none;
  const int32_t* offsets = nullptr;
  int64_t total = 0;
  bool transposeA = false, transposeB = false;
  Operand a, b;
  void* c = nullptr;
  Element cElement = Element::float32;
  int64_t cStride = 0, cGroupStride = 0;
  bool accumulate = false;
  /** Parts of k that blocks sum apart; multiply() chooses. C is then [splits, groups, m, n] of partial sums. */
  int64_t splits = 1;
};

/** Puts the product into the stream. */
Status multiply(const Product& product, Precision precision);

}  // namespace moe::cuda
