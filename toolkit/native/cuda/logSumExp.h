#pragma once
#include "rows.h"

namespace moe::cuda {

/** Σ e^x of the values seen so far, as e^largest · sum. NaN and +infinity make it NaN, as does a row of −infinity alone. */
struct RunningPowers {
  float largest = -INFINITY, sum = 0.0f;

  __device__ void rise(float value) {
    if (!(value > largest)) return;
    sum *= expf(largest - value);
    largest = value;
  }
  /** What is taken off before e^: −infinity can't be. */
  __device__ float shift() const { return largest == -INFINITY ? 0.0f : largest; }

  __device__ void add(float value) {
    rise(value);
    sum += expf(value - shift());
  }
  __device__ void add(float4 values) {
    rise(fmaxf(fmaxf(values.x, values.y), fmaxf(values.z, values.w)));
    float low = shift();
    sum += (expf(values.x - low) + expf(values.y - low)) + (expf(values.z - low) + expf(values.w - low));
  }

  __device__ void add(RunningPowers other) {
    float most = fmaxf(largest, other.largest), low = most == -INFINITY ? 0.0f : most;
    sum = sum * expf(largest - low) + other.sum * expf(other.largest - low);
    largest = most;
  }

  /** Joins those of `lanes` adjacent lanes of a warp, a power of two; each lane gets the same. */
  __device__ void joinGroup(int lanes) {
    for (int bits = lanes / 2; bits > 0; bits /= 2) {
      RunningPowers other;
      other.largest = __shfl_xor_sync(kAllLanes, largest, bits);
      other.sum = __shfl_xor_sync(kAllLanes, sum, bits);
      add(other);
    }
  }

  /** Joins those of a block of whole warps. All threads call it. */
  __device__ void joinBlock() {
    __shared__ float largests[32], sums[32];
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
    joinGroup(kWarp);
    __syncthreads();  // those of the call before have been read
    if (lane == 0) largests[warp] = largest, sums[warp] = sum;
    __syncthreads();
    largest = lane < warps ? largests[lane] : -INFINITY;
    sum = lane < warps ? sums[lane] : 0.0f;
    joinGroup(kWarp);
  }

  __device__ float logarithm() const { return largest == -INFINITY ? NAN : largest + logf(sum); }
};

/** A lane's share of a row. */
__device__ inline RunningPowers powersOfRow(const float* rows, int64_t start, int64_t length, bool isAligned, int lane, int lanes) {
  RunningPowers powers;
  forEachOfRow(isAligned, start, length, lane, lanes, [&](int64_t c) { powers.add(loadFour(rows + start + c)); },
               [&](int64_t c) { powers.add(__ldg(rows + start + c)); });
  return powers;
}

}  // namespace moe::cuda
