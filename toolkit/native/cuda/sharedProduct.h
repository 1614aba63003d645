#pragma once
/* A warp's product of two tiles in shared memory, on tensor cores in 16 bits or without them in float32: kernels that are
 * written with it exist in both precisions. */
#include "mma.h"

namespace moe::cuda {

/** Tiles of 16-bit values. */
template <Narrow N>
struct NarrowTiles {
  using Value = uint16_t;
  /** Elements by which a line is longer than it needs to be, so that eight lines begin in different banks. */
  static constexpr int kPadding = 8;

  __device__ static Value of(float value) { return narrow<N>(value); }

  /** sums += A · B over `depth`, a multiple of 16. A's rows from firstRow and B's columns from firstColumn on: 16 · I rows,
   *  8 · J columns. A lies as [row][k], or [k][row] where TransposeA; B as [k][column], or [column][k] where TransposeB;
   *  strides in elements. J is even. */
  template <bool TransposeA, bool TransposeB, int I, int J>
  __device__ static void multiply(float (&sums)[I][J][4], const Value* a, int aStride, int firstRow, const Value* b, int bStride, int firstColumn, int depth) {
    int lane = threadIdx.x % 32, eighth = lane / 8, within = lane % 8;
#pragma unroll
    for (int k = 0; k < depth; k += 16) {
      uint32_t fromA[I][4];
#pragma unroll
      for (int i = 0; i < I; ++i) {
        int row = firstRow + i * 16;
        if constexpr (TransposeA) loadMatrices<true>(fromA[i], a + (k + within + eighth / 2 * 8) * aStride + row + eighth % 2 * 8);
        else loadMatrices<false>(fromA[i], a + (row + lane % 16) * aStride + k + lane / 16 * 8);
      }
#pragma unroll
      for (int j = 0; j < J; j += 2) {
        int column = firstColumn + j * 8;
        uint32_t fromB[4];
        if constexpr (TransposeB) loadMatrices<false>(fromB, b + (column + within + eighth / 2 * 8) * bStride + k + eighth % 2 * 8);
        else loadMatrices<true>(fromB, b + (k + within + eighth % 2 * 8) * bStride + column + eighth / 2 * 8);
#pragma unroll
        for (int i = 0; i < I; ++i) {
          multiplyTile<N>(sums[i][j], fromA[i], fromB[0], fromB[1]);
          multiplyTile<N>(sums[i][j + 1], fromA[i], fromB[2], fromB[3]);
        }
      }
    }
  }
};

/** Tiles of float32 values; a lane has the same elements of the sums as with tensor cores. */
struct PlainTiles {
  using Value = float;
  static constexpr int kPadding = 4;

  __device__ static Value of(float value) { return value; }

  template <bool TransposeA, bool TransposeB, int I, int J>
  __device__ static void multiply(float (&sums)[I][J][4], const Value* a, int aStride, int firstRow, const Value* b, int bStride, int firstColumn, int depth) {
    int lane = threadIdx.x % 32, row = firstRow + lane / 4, column = firstColumn + lane % 4 * 2;
    for (int k = 0; k < depth; ++k) {
      float fromA[I][2];
#pragma unroll
      for (int i = 0; i < I; ++i)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          int at = row + i * 16 + half * 8;
          fromA[i][half] = TransposeA ? a[k * aStride + at] : a[at * aStride + k];
        }
#pragma unroll
      for (int j = 0; j < J; ++j) {
        int at = column + j * 8;
        float first = TransposeB ? b[at * bStride + k] : b[k * bStride + at];
        float second = TransposeB ? b[(at + 1) * bStride + k] : b[k * bStride + at + 1];
#pragma unroll
        for (int i = 0; i < I; ++i) {
          sums[i][j][0] = fmaf(fromA[i][0], first, sums[i][j][0]);
          sums[i][j][1] = fmaf(fromA[i][0], second, sums[i][j][1]);
          sums[i][j][2] = fmaf(fromA[i][1], first, sums[i][j][2]);
          sums[i][j][3] = fmaf(fromA[i][1], second, sums[i][j][3]);
        }
      }
    }
  }
};

}  // namespace moe::cuda
