#include "routerLosses.h"

#include "choiceSums.h"
#include "logSumExp.h"
#include "maskSum.h"

namespace moe::cuda {
namespace {

/** totals [2, E]: the sums over all parts; a warp has one. */
__global__ void joinParts(const double* sums, int64_t parts, int64_t E, double* totals) {
  int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (i >= 2 * E) return;
  double sum = sumOfParts(sums, 0, parts, static_cast<int>(i / E), E, i % E);
  if (threadIdx.x % kWarp == 0) totals[i] = sum;
}

/** One block. */
__global__ void __launch_bounds__(kMaskThreads)
balanceLoss(const double* totals, const float* mask, int64_t N, int64_t E, float* share, float* loss) {
  const double *chosen = totals, *means = totals + E;
  double assignments = 0.0, total = 0.0;
  for (int64_t e = threadIdx.x; e < E; e += kMaskThreads) assignments += chosen[e];
  assignments = blockSum(assignments);
  double tokens = sumOfMask(mask, N);
  for (int64_t e = threadIdx.x; e < E; e += kMaskThreads) {
    share[e] = assignments == 0.0 ? 0.0f : static_cast<float>(chosen[e] / assignments);
    total += chosen[e] / assignments * (means[e] / tokens);
  }
  total = blockSum(total);
  if (threadIdx.x == 0) *loss = assignments == 0.0 ? 0.0f : static_cast<float>(total * static_cast<double>(E));
}

__global__ void __launch_bounds__(kRowThreads)
balanceGradients(const float* share, const float* mask, const double* shareOfToken, int64_t N, int64_t E, bool isAligned, float* dProbabilities) {
  for (int64_t n = firstRow(); n < N; n += rowStep()) {
    auto scale = static_cast<float>(*shareOfToken * mask[n]);
    float* to = dProbabilities + n * E;
    forEachOfRow(isAligned, 0, E, threadIdx.x, blockDim.x,
                 [&](int64_t e) {
                   float4 own = loadFour(share + e);
                   storeFour(to + e, make_float4(own.x * scale, own.y * scale, own.z * scale, own.w * scale));
                 },
                 [&](int64_t e) { to[e] = share[e] * scale; });
  }
}

/** Lanes of a warp that share a row of E logits. */
int lanesOf(int64_t E) {
  int lanes = 1;
  while (lanes < kWarp && lanes * 4 < E) lanes *= 2;
  return lanes;
}

Grid gridOf(int64_t N, int lanes, int64_t mostBlocks) {
  int64_t blocks = ceilDivide(N, kRowThreads / lanes);
  return {dim3(static_cast<unsigned>(blocks < mostBlocks ? blocks : mostBlocks)), dim3(kRowThreads)};
}

/** sums [blocks]: Σ mask · logsumexp² over the rows of a block. */
__global__ void __launch_bounds__(kRowThreads)
sumSquaredLogs(const float* logits, const float* mask, int64_t N, int64_t E, int lanes, bool isAligned, double* sums) {
  int rows = kRowThreads / lanes, lane = threadIdx.x % lanes;
  double sum = 0.0;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < N; first += int64_t{gridDim.x} * rows) {
    int64_t n = first + threadIdx.x / lanes;
    RunningPowers powers;
    if (n < N) powers = powersOfRow(logits, n * E, E, isAligned, lane, lanes);
    powers.joinGroup(lanes);
    if (n >= N || lane != 0) continue;
    double log = powers.logarithm();
    sum += mask[n] * log * log;
  }
  sum = blockSum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

/** One block. */
__global__ void __launch_bounds__(kMaskThreads)
zLoss(const double* sums, int64_t count, const float* mask, int64_t N, float* loss) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < count; i += kMaskThreads) sum += sums[i];
  sum = blockSum(sum);
  double tokens = sumOfMask(mask, N);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / tokens);
}

__global__ void __launch_bounds__(kRowThreads)
zGradients(const float* logits, const float* mask, const double* share, int64_t N, int64_t E, int lanes, bool isAligned, float* dLogits) {
  int rows = kRowThreads / lanes, lane = threadIdx.x % lanes;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < N; first += int64_t{gridDim.x} * rows) {
    int64_t n = first + threadIdx.x / lanes, start = n * E;
    RunningPowers powers;
    if (n < N) powers = powersOfRow(logits, start, E, isAligned, lane, lanes);
    powers.joinGroup(lanes);
    if (n >= N) continue;
    float log = powers.logarithm();
    auto factor = static_cast<float>(*share * mask[n] * log);
    auto gradient = [&](float logit) { return expf(logit - log) * factor; };
    forEachOfRow(isAligned, start, E, lane, lanes,
                 [&](int64_t e) {
                   float4 x = loadFour(logits + start + e);
                   storeFour(dLogits + start + e, make_float4(gradient(x.x), gradient(x.y), gradient(x.z), gradient(x.w)));
                 },
                 [&](int64_t e) { dLogits[start + e] = gradient(__ldg(logits + start + e)); });
  }
}

constexpr int64_t kMostSums = 1024, kMostBlocks = 1 << 30;

}  // namespace

Status balanceLossForward(const int32_t* ids, const float* probabilities, const float* mask, int64_t N, int64_t K, int64_t E, float* share, float* loss) {
  ChoiceParts cut(1, N, E);
  Scratch sums(cut.parts * 2 * E * 8 + 8), totals(2 * E * 8 + 8);
  if (!sums.isOk() || !totals.isOk()) return sums.status("the sums of a router's probabilities");
  MOE_RETURN_IF_NOT_OK(launch(sumChoices, cut.grid, ids, probabilities, mask, N, K, E, cut.parts, cut.tokensPerPart, sums.as<double>(), indexError()));
  dim3 blocks(static_cast<unsigned>(ceilDivide(2 * E, kChoiceThreads / kWarp)));
  MOE_RETURN_IF_NOT_OK(launch(joinParts, Grid{blocks, dim3(kChoiceThreads)}, sums.as<double>(), cut.parts, E, totals.as<double>()));
  return launch(balanceLoss, Grid{dim3(1), dim3(kMaskThreads)}, totals.as<double>(), mask, N, E, share, loss);
}

Status balanceLossBackward(const float* share, const float* mask, const float* dLoss, int64_t N, int64_t E, float* dProbabilities) {
  Scratch shareOfToken(8);
  if (!shareOfToken.isOk()) return shareOfToken.status("the share of a token in a balance loss");
  auto factor = static_cast<double>(E);
  MOE_RETURN_IF_NOT_OK(launch(shareOfMask, Grid{dim3(1), dim3(kMaskThreads)}, mask, N, dLoss, factor, true, shareOfToken.as<double>()));
  bool isAligned = E % 4 == 0 && areAligned(share, dProbabilities);
  return launch(balanceGradients, rowGrid(N, E), share, mask, shareOfToken.as<double>(), N, E, isAligned, dProbabilities);
}

Status zLossForward(const float* logits, const float* mask, int64_t N, int64_t E, float* loss) {
  Scratch sums(kMostSums * 8);
  if (!sums.isOk()) return sums.status("the sums of a z-loss");
  int lanes = lanesOf(E);
  Grid grid = gridOf(N, lanes, kMostSums);
  MOE_RETURN_IF_NOT_OK(launch(sumSquaredLogs, grid, logits, mask, N, E, lanes, areAligned(logits), sums.as<double>()));
  return launch(zLoss, Grid{dim3(1), dim3(kMaskThreads)}, sums.as<double>(), grid.blocks.x, mask, N, loss);
}

Status zLossBackward(const float* logits, const float* mask, const float* dLoss, int64_t N, int64_t E, float* dLogits) {
  Scratch share(8);
  if (!share.isOk()) return share.status("the share of a token in a z-loss");
  MOE_RETURN_IF_NOT_OK(launch(shareOfMask, Grid{dim3(1), dim3(kMaskThreads)}, mask, N, dLoss, 2.0, false, share.as<double>()));
  int lanes = lanesOf(E);
  return launch(zGradients, gridOf(N, lanes, kMostBlocks), logits, mask, share.as<double>(), N, E, lanes, areAligned(logits, dLogits), dLogits);
}

}  // namespace moe::cuda
