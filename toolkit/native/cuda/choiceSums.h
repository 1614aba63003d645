#pragma once
#include "device.h"

/* Sums over the tokens of a router's choices, without atomics: a thread has an expert and looks at all choices of its tokens. */
namespace moe::cuda {

constexpr int kChoiceThreads = 256;

/** How B rows of T tokens with E experts are cut: the same for the same sizes. */
struct ChoiceParts {
  int64_t parts, tokensPerPart;  // of each row
  Grid grid;

  ChoiceParts(int64_t B, int64_t T, int64_t E) {
    constexpr int64_t kMostParts = 512, kFewestTokens = 64;
    tokensPerPart = ceilDivide(T, kMostParts);
    if (tokensPerPart < kFewestTokens) tokensPerPart = kFewestTokens;
    parts = ceilDivide(T, tokensPerPart);
    int lanes = 1;
    while (lanes < kChoiceThreads && lanes < E) lanes *= 2;
    grid = {dim3(static_cast<unsigned>(B * parts), static_cast<unsigned>(ceilDivide(E, lanes))),
            dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(kChoiceThreads / lanes))};
  }
};

/** sums [B, parts, 2, E] over the tokens of a part: Σ mask · choices of e, Σ mask · probabilities[., e]. mask may be null for
 *  ones, probabilities for zeros. */
static __global__ void __launch_bounds__(kChoiceThreads)
sumChoices(const int32_t* ids, const float* probabilities, const float* mask, int64_t T, int K, int64_t E, int64_t parts, int64_t tokensPerPart,
           double* sums, IndexError* error) {
  __shared__ float chosenOf[kChoiceThreads], meanOf[kChoiceThreads];
  int64_t e = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  int64_t row = blockIdx.x / parts, first = blockIdx.x % parts * tokensPerPart, end = min(first + tokensPerPart, T);
  float chosen = 0.0f, mean = 0.0f;
#pragma unroll 2
  for (int64_t t = first + threadIdx.y; t < end; t += blockDim.y) {
    int64_t n = row * T + t;
    float weight = mask != nullptr ? __ldg(mask + n) : 1.0f;
    for (int k = 0; k < K; ++k) {
      int32_t id = __ldg(ids + n * K + k);
      if (id == e) chosen += weight;
      if (e == 0 && (id < -1 || id >= E)) noteBadIndex(error, id, E);
    }
    if (probabilities != nullptr && e < E) mean = fmaf(weight, __ldg(probabilities + n * E + e), mean);
  }
  int own = threadIdx.y * blockDim.x + threadIdx.x;
  chosenOf[own] = chosen, meanOf[own] = mean;
  __syncthreads();
  if (threadIdx.y != 0 || e >= E) return;
  double allChosen = 0.0, all = 0.0;
  for (unsigned y = 0; y < blockDim.y; ++y) allChosen += chosenOf[y * blockDim.x + threadIdx.x], all += meanOf[y * blockDim.x + threadIdx.x];
  sums[(int64_t{blockIdx.x} * 2) * E + e] = allChosen;
  sums[(int64_t{blockIdx.x} * 2 + 1) * E + e] = all;
}

/** Sum over the parts, by a warp: `which` is 0 for choices, 1 for probabilities. */
__device__ inline double sumOfParts(const double* sums, int64_t row, int64_t parts, int which, int64_t E, int64_t e) {
  double sum = 0.0;
  for (int64_t part = threadIdx.x % kWarp; part < parts; part += kWarp) sum += sums[((row * parts + part) * 2 + which) * E + e];
  return warpSum(sum);
}

}  // namespace moe::cuda
