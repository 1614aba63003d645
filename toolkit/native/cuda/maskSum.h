#pragma once
#include "device.h"

namespace moe::cuda {

constexpr int kMaskThreads = 1024;

/** Σ mask in double, in every thread of a block of kMaskThreads. */
__device__ inline double sumOfMask(const float* mask, int64_t N) {
  double sum = 0.0;
#pragma unroll 4
  for (int64_t n = threadIdx.x; n < N; n += kMaskThreads) sum += __ldg(mask + n);
  return blockSum(sum);
}

/** share [1] = factor · dLoss / Σ mask, 0 where Σ mask = 0 if orZero. One block of kMaskThreads. */
static __global__ void __launch_bounds__(kMaskThreads)
shareOfMask(const float* mask, int64_t N, const float* dLoss, double factor, bool orZero, double* share) {
  double sum = sumOfMask(mask, N);
  if (threadIdx.x == 0) *share = orZero && sum == 0.0 ? 0.0 : factor * *dLoss / sum;
}

}  // namespace moe::cuda
