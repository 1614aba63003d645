#include "crossEntropy.h"

#include "logSumExp.h"
#include "maskSum.h"

namespace moe::cuda {
namespace {

/** logSumExp [N] and losses [N] = mask · (logSumExp − logits[target]), by `lanes` threads a row: a warp's or all of a block. */
__global__ void __launch_bounds__(kRowThreads)
lossOfRows(const float* logits, const int32_t* targets, const float* mask, int64_t N, int64_t V, int lanes, bool isAligned, float* logSumExp,
           double* losses, IndexError* error) {
  int64_t n = int64_t{blockIdx.x} * (kRowThreads / lanes) + threadIdx.x / lanes;
  int lane = threadIdx.x % lanes;
  bool isCounted = n < N && mask[n] != 0.0f;
  RunningPowers powers;
  if (isCounted) powers = powersOfRow(logits, n * V, V, isAligned, lane, lanes);
  if (lanes > kWarp)
    powers.joinBlock();
  else
    powers.joinGroup(lanes);
  if (n >= N || lane != 0) return;
  logSumExp[n] = isCounted ? powers.logarithm() : 0.0f;
  losses[n] = 0.0;
  if (!isCounted) return;
  int64_t target = targets[n];
  if (target < 0 || target >= V)
    noteBadIndex(error, target, V);
  else
    losses[n] = static_cast<double>(mask[n]) * (static_cast<double>(logSumExp[n]) - logits[n * V + target]);
}

__global__ void __launch_bounds__(kMaskThreads)
meanLoss(const double* losses, const float* mask, int64_t N, float* nats) {
  double sum = 0.0;
#pragma unroll 4
  for (int64_t n = threadIdx.x; n < N; n += kMaskThreads) sum += losses[n];
  sum = blockSum(sum);
  double count = sumOfMask(mask, N);
  if (threadIdx.x == 0) *nats = count == 0.0 ? 0.0f : static_cast<float>(sum / count);
}

constexpr int64_t kPart = 4096;  // logits of a row that a block writes

__global__ void __launch_bounds__(kRowThreads)
logitGradients(const float* logits, const int32_t* targets, const float* mask, const float* logSumExp, const double* share, int64_t N, int64_t V,
               bool isAligned, float* dLogits, IndexError* error) {
  int64_t begin = blockIdx.y * kPart, length = min(kPart, V - begin);
  for (int64_t n = firstRow(); n < N; n += rowStep()) {
    bool isCounted = mask[n] != 0.0f;
    float factor = isCounted ? mask[n] * static_cast<float>(*share) : 0.0f, shift = logSumExp[n];
    int64_t target = targets[n], start = n * V + begin;
    if (isCounted && (target < 0 || target >= V) && begin == 0 && threadIdx.x == 0) noteBadIndex(error, target, V);
    auto gradient = [&](float logit, int64_t c) { return isCounted ? (expf(logit - shift) - (begin + c == target ? 1.0f : 0.0f)) * factor : 0.0f; };
    forEachOfRow(isAligned, start, length, threadIdx.x, blockDim.x,
                 [&](int64_t c) {
                   float4 x = loadFour(logits + start + c);
                   storeFour(dLogits + start + c, make_float4(gradient(x.x, c), gradient(x.y, c + 1), gradient(x.z, c + 2), gradient(x.w, c + 3)));
                 },
                 [&](int64_t c) { dLogits[start + c] = gradient(__ldg(logits + start + c), c); });
  }
}

}  // namespace

Status crossEntropyForward(const float* logits, const int32_t* targets, const float* mask, int64_t N, int64_t V, float* logSumExp, float* nats) {
  constexpr int64_t kMostOfWarp = 2048;  // logits of a row that a warp takes alone
  int lanes = V > kMostOfWarp ? kRowThreads : kWarp;
  Scratch losses(N * 8 + 8);
  if (!losses.isOk()) return losses.status("the losses of the rows in cross-entropy");
  Grid grid{dim3(static_cast<unsigned>(ceilDivide(N, kRowThreads / lanes))), dim3(kRowThreads)};
  MOE_RETURN_IF_NOT_OK(launch(lossOfRows, grid, logits, targets, mask, N, V, lanes, areAligned(logits), logSumExp, losses.as<double>(), indexError()));
  return launch(meanLoss, Grid{dim3(1), dim3(kMaskThreads)}, losses.as<double>(), mask, N, nats);
}

Status crossEntropyBackward(const float* logits, const int32_t* targets, const float* mask, const float* logSumExp, const float* dNats, int64_t N,
                            int64_t V, float* dLogits) {
  Scratch share(8);
  if (!share.isOk()) return share.status("the share of a row in cross-entropy");
  MOE_RETURN_IF_NOT_OK(launch(shareOfMask, Grid{dim3(1), dim3(kMaskThreads)}, mask, N, dNats, 1.0, true, share.as<double>()));
  Grid grid = rowGrid(N, V < kPart ? V : kPart);
  grid.blocks.y = static_cast<unsigned>(ceilDivide(V, kPart));
  return launch(logitGradients, grid, logits, targets, mask, logSumExp, share.as<double>(), N, V, areAligned(logits, dLogits), dLogits, indexError());
}

}  // namespace moe::cuda
