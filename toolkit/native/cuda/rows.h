#pragma once
#include "device.h"

/* Kernels in which some adjacent threads of a block share a row of a matrix, `lanes` of them, and a thread moves four
 * elements with one access of 16 bytes where the row lies so. */
namespace moe::cuda {

constexpr int kRowThreads = 256;

/** threads.x lanes (a power of two, at most kRowThreads) for a row of C elements, threads.y rows in a block. Each lane gets
 *  up to 16 elements before there are more lanes than a warp has. Kernels go on with later rows when the grid has ended. */
inline Grid rowGrid(int64_t rows, int64_t C, int mostLanes = kRowThreads) {
  constexpr int64_t kMostBlocks = 1 << 30;
  int lanes = 1;
  while (lanes < mostLanes && lanes * (lanes < kWarp ? 4 : 16) < C) lanes *= 2;
  int64_t blocks = ceilDivide(rows, kRowThreads / lanes);
  return {dim3(static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks)),
          dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(kRowThreads / lanes))};
}

/** A thread's first row in a grid of rowGrid, and how far its next one is. */
__device__ inline int64_t firstRow() { return int64_t{blockIdx.x} * blockDim.y + threadIdx.y; }
__device__ inline int64_t rowStep() { return int64_t{gridDim.x} * blockDim.y; }

/** Whether all arrays begin at a multiple of 16 bytes. */
template <class... Arrays>
bool areAligned(Arrays... arrays) { return ((reinterpret_cast<uintptr_t>(arrays) | ...) & 15) == 0; }

__device__ inline float4 loadFour(const float* from) { return __ldg(reinterpret_cast<const float4*>(from)); }
__device__ inline void storeFour(float* to, float4 values) { *reinterpret_cast<float4*>(to) = values; }

/** A lane's share of a row of C elements that begins at element `start` of aligned arrays: calls four(c) for elements c to
 *  c + 3 that begin at a multiple of 16 bytes, one(c) for the others; only one(c) unless isAligned. */
template <class Four, class One>
__device__ inline void forEachOfRow(bool isAligned, int64_t start, int64_t C, int lane, int lanes, Four&& four, One&& one) {
  int64_t head = isAligned ? min(-start & 3, C) : C;
  int64_t fours = (C - head) / 4;
#pragma unroll 4
  for (int64_t i = lane; i < fours; i += lanes) four(head + 4 * i);
  for (int64_t i = lane; i < C - 4 * fours; i += lanes) one(i < head ? i : i + 4 * fours);
}

/** Sum over groups of `lanes` adjacent lanes of a warp, a power of two, in each of them; always in the same order. */
template <class T>
__device__ inline T groupSum(T value, int lanes) {
  for (int bits = lanes / 2; bits > 0; bits /= 2) value += __shfl_xor_sync(kAllLanes, value, bits);
  return value;
}

}  // namespace moe::cuda
