#pragma once
/* What every CUDA kernel's host function uses: launching, working memory, and the device that is in use. Nothing here or
 * in the kernels waits for the device. */
#include <cuda_runtime.h>

#include <cstdint>

#include "runtime.h"

namespace moe::cuda {

/** Blocks of a launch, threads of a block (a multiple of 32 where warps work together) and bytes of dynamic shared memory. */
struct Grid {
  dim3 blocks, threads;
  size_t sharedBytes = 0;
};

/** Puts a kernel into the stream. A grid without blocks does nothing. */
template <class... Parameters, class... Arguments>
Status launch(void (*kernel)(Parameters...), const Grid& grid, Arguments... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return Status::ok();
  constexpr size_t kSharedBytesOfAll = 48 * 1024;
  if (grid.sharedBytes > kSharedBytesOfAll) {
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.sharedBytes));
    if (error != cudaSuccess) return statusOf(error);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks, config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.sharedBytes;
  config.stream = stream();
  noteLaunch();
  return statusOf(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

/** Returns from the calling function with what is not ok. */
#define MOE_RETURN_IF_NOT_OK(expression)        \
  do {                                          \
    Status moeStatus = (expression);            \
    if (!moeStatus.isOk()) return moeStatus;    \
  } while (false)

#ifdef MOE_EMULATED
template <class T>
__device__ inline T* dynamicShared() { return reinterpret_cast<T*>(cudaEmulator::dynamicSharedMemory()); }
#else
template <class T>
__device__ __forceinline__ T* dynamicShared() {
  extern __shared__ uint4 moeDynamicShared[];
  return reinterpret_cast<T*>(moeDynamicShared);
}
#endif

/** Notes the first bad index of many. */
__device__ inline void noteBadIndex(IndexError* error, int64_t index, int64_t length) {
  if (atomicCAS(&error->isSet, 0, 1) != 0) return;
  error->index = static_cast<int32_t>(index);
  error->length = static_cast<int32_t>(length);
}

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

__host__ __device__ constexpr int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Sum over the warp, in every lane; always in the same order. */
template <class T>
__device__ inline T warpSum(T value) {
#pragma unroll
  for (int bits = 16; bits > 0; bits /= 2) value += __shfl_xor_sync(kAllLanes, value, bits);
  return value;
}

__device__ inline float warpLargest(float value) {
#pragma unroll
  for (int bits = 16; bits > 0; bits /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, bits));
  return value;
}

/** Sum over a block of at most 1024 threads, whole warps, in every thread; always in the same order. All threads call it. */
template <class T>
__device__ inline T blockSum(T value) {
  __shared__ T sums[32];
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  value = warpSum(value);
  __syncthreads();  // the sums of the call before have been read
  if (lane == 0) sums[warp] = value;
  __syncthreads();
  return warpSum(lane < warps ? sums[lane] : T{});
}

__device__ inline float blockLargest(float value) {
  __shared__ float largest[32];
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  value = warpLargest(value);
  __syncthreads();
  if (lane == 0) largest[warp] = value;
  __syncthreads();
  return warpLargest(lane < warps ? largest[lane] : -INFINITY);
}

}  // namespace moe::cuda
