#pragma once
#include "device.h"

namespace moe::cuda {

/** Sum of the values of the warp's lanes up to and with this one. */
template <class T>
__device__ inline T warpInclusiveSum(T value) {
  int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    T before = __shfl_up_sync(kAllLanes, value, distance);
    if (lane >= distance) value = before + value;
  }
  return value;
}

/** Sum of the values of the block's threads before this one, and of all; always in the same order. At most 1024 threads in
 *  whole warps; all of them call it. */
template <class T>
__device__ inline T blockExclusiveSum(T value, T& total) {
  __shared__ T sums[kWarp];
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  T inclusive = warpInclusiveSum(value);
  T exclusive = __shfl_up_sync(kAllLanes, inclusive, 1);
  if (lane == 0) exclusive = T{};
  __syncthreads();  // the sums of the call before have been read
  if (lane == kWarp - 1) sums[warp] = inclusive;
  __syncthreads();
  T upTo = warpInclusiveSum(lane < warps ? sums[lane] : T{});
  total = __shfl_sync(kAllLanes, upTo, warps - 1);
  T before = __shfl_sync(kAllLanes, upTo, warp > 0 ? warp - 1 : 0);
  return warp > 0 ? before + exclusive : exclusive;
}

}  // namespace moe::cuda
