#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** C = alpha · A · B, or C += alpha · A · B. Float32; strides in elements; C's columns are contiguous. */
struct Gemm {
  int64_t m = 0, n = 0, k = 0;  // A [m, k], B [k, n], C [m, n]; any may be 0
  const float* a = nullptr;
  int64_t aRowStride = 0, aColumnStride = 1;
  const float* b = nullptr;
  int64_t bRowStride = 0, bColumnStride = 1;
  float* c = nullptr;
  int64_t cRowStride = 0;
  bool accumulate = false;
  float alpha = 1.0f;
  const int32_t* aRows = nullptr;    // [m]: row i of A is at a + aRows[i] · aRowStride (tokens of an expert)
  const int32_t* aColumns = nullptr; // [k]: column j of A is at a + aColumns[j] · aColumnStride (weight gradients)
};

}  // namespace moe

/** One product, on all threads. */
MOE_KERNEL(Status, matmul, (const Gemm& problem))

/** `count` independent products; the tiles of all of them share the threads, so uneven sizes cost nothing.
 *  No two problems may write the same element of C. */
MOE_KERNEL(Status, groupedMatmul, (const Gemm* problems, int64_t count))

#ifdef MOE_ISA
#include "simd.h"

/* Serial building blocks for kernels that fuse products, such as attention: pack B once, multiply blocks of rows. */
namespace moe::MOE_ISA {

#if defined(__AVX512F__)
inline constexpr int kTileRows = 14, kTileVectors = 2;  // 28 of 32 registers hold sums
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kTileVectors = 2;   // 12 of 16 registers
#elif defined(__aarch64__)
inline constexpr int kTileRows = 4, kTileVectors = 4;   // 16 of 32: enough sums in flight for four pipes of latency 4
#else
inline constexpr int kTileRows = 4, kTileVectors = 3;   // 12 of 16
#endif
inline constexpr int kTileColumns = kTileVectors * kLanes;
static_assert(kTileRows <= kLanes, "packA copies a column of a strip as one vector");

/** What to do with rows of C as soon as they are there, while they are still in the cache. */
struct RowsDone {
  void (*call)(void* context, int64_t problem, int64_t firstRow, int64_t rows);
  void* context;
};

/** groupedMatmul that calls done for all rows of each problem, a block at a time, on any thread. */
Status groupedMatmul(const Gemm* problems, int64_t count, RowsDone done);

/** Floats that packB writes for B [k, n]. */
MOE_INLINE int64_t packedBSize(int64_t k, int64_t n) {
  return (n + kTileColumns - 1) / kTileColumns * kTileColumns * k;
}

/** Columns that k columns of A take in a packed strip. */
MOE_INLINE int64_t packedDepth(int64_t k) { return (k + 15) / 16 * 16; }

/** Floats of working memory that multiplyPacked needs for m rows and k columns of A. */
MOE_INLINE int64_t packedASize(int64_t m, int64_t k) { return (m + kTileRows) * packedDepth(k) + kLanes; }

/** Packs B [k, n] into panels of kTileColumns columns, each k rows long; the last panel is filled with zeros. */
void packB(const float* b, int64_t rowStride, int64_t columnStride, int64_t k, int64_t n, float* packed);

/** C [m, n] (+)= alpha · A [m, k] · B, where `packed` came from packB with packedK ≥ k rows: only the first k rows
 *  and the first n columns of it are used. `aScratch` has packedASize(m, k) floats. k ≥ 1. */
void multiplyPacked(int64_t m, int64_t n, int64_t k, const float* a, int64_t aRowStride, int64_t aColumnStride,
                    const float* packed, int64_t packedK, float* c, int64_t cRowStride, bool accumulate, float alpha,
                    float* aScratch);

}  // namespace moe::MOE_ISA
#endif
