#include "reduction.h"
#include "windows.h"

namespace moe::cuda {
namespace {

/** A thread has N channels of a pixel of y; N > 1 only where the multiplier is 1. */
template <int N>
__global__ void __launch_bounds__(kElementThreads)
convolvePixels(const __grid_constant__ WindowSide<true> side, int64_t outputs, int64_t channels, Divider packs, Divider multiplier, const float* x,
               const float* filter, float* y) {
  int64_t outChannels = channels * multiplier.by;
  for (int64_t i = gridThread(); i < outputs; i += gridThreads()) {
    int64_t number = packs.quotient(i), out = (i - number * packs.by) * N, channel = multiplier.quotient(out);
    Pack<float, N> sum = {};
    side.forEachTap(side.pixelOf(number), [&](int64_t tap, int64_t source) {
      Pack<float, N> from = loadPack<N>(x + source * channels + channel), weight = loadPack<N>(filter + tap * outChannels + out);
#pragma unroll
      for (int n = 0; n < N; ++n) sum.lane[n] += from.lane[n] * weight.lane[n];
    });
    storePack(y + number * outChannels + out, sum);
  }
}

/** A thread has a channel of a pixel of dx. */
__global__ void __launch_bounds__(kElementThreads)
inputGradient(const __grid_constant__ WindowSide<false> side, int64_t inputs, Divider channels, int64_t multiplier, const float* dy,
              const float* filter, float* dx) {
  int64_t outChannels = channels.by * multiplier;
  for (int64_t i = gridThread(); i < inputs; i += gridThreads()) {
    int64_t number = channels.quotient(i), first = (i - number * channels.by) * multiplier;
    float sum = 0.0f;
    side.forEachTap(side.pixelOf(number), [&](int64_t tap, int64_t source) {
      for (int64_t m = first; m < first + multiplier; ++m) sum += dy[source * outChannels + m] * filter[tap * outChannels + m];
    });
    dx[i] = sum;
  }
}

constexpr int kColumns = 32, kLines = 8;  // of a block: weights and pixels

/** partial [cuts, taps · outChannels]: sums of x · dy over the pixels of a cut. */
__global__ void __launch_bounds__(kColumns * kLines)
filterGradientCuts(const __grid_constant__ WindowSide<true> side, int64_t weights, int64_t pixels, int64_t pixelsPerCut, int64_t channels,
                   Divider outChannels, Divider multiplier, const float* x, const float* dy, float* partial) {
  __shared__ float sums[kLines][kColumns];
  int64_t weight = int64_t{blockIdx.x} * kColumns + threadIdx.x, cut = blockIdx.y;
  int64_t tap = outChannels.quotient(weight), out = weight - tap * outChannels.by, channel = multiplier.quotient(out);
  int64_t tapRow = tap / side.columns.filter, tapColumn = tap % side.columns.filter;
  int64_t end = weight < weights ? min((cut + 1) * pixelsPerCut, pixels) : 0;
  float sum = 0.0f;
  for (int64_t number = cut * pixelsPerCut + threadIdx.y; number < end; number += kLines) {
    int64_t source = side.sourceOf(side.pixelOf(number), tapRow, tapColumn);
    if (source >= 0) sum += x[source * channels + channel] * dy[number * outChannels.by + out];
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || weight >= weights) return;
#pragma unroll
  for (int line = 1; line < kLines; ++line) sum += sums[line][threadIdx.x];
  partial[cut * weights + weight] = sum;
}

template <int N>
Status convolveIn(const Windows& w, int64_t multiplier, const float* x, const float* filter, float* y) {
  int64_t packs = w.channels * multiplier / N, outputs = w.batch * w.outPixels() * packs;
  return launch(convolvePixels<N>, elementGrid(outputs), WindowSide<true>(w), outputs, w.channels, Divider(packs), Divider(multiplier), x, filter, y);
}

}  // namespace

Status convolveDepthwise(const Windows& windows, int64_t multiplier, const float* x, const float* filter, float* y) {
  bool isInPacks = multiplier == 1 && windows.channels % 4 == 0 && isPackAligned<4>(x) && isPackAligned<4>(filter) && isPackAligned<4>(y);
  if (isInPacks) return convolveIn<4>(windows, multiplier, x, filter, y);
  return convolveIn<1>(windows, multiplier, x, filter, y);
}

Status depthwiseInputGradient(const Windows& windows, int64_t multiplier, const float* dy, const float* filter, float* dx) {
  int64_t inputs = windows.batch * windows.inPixels() * windows.channels;
  return launch(inputGradient, elementGrid(inputs), WindowSide<false>(windows), inputs, Divider(windows.channels), multiplier, dy, filter, dx);
}

Status depthwiseFilterGradient(const Windows& windows, int64_t multiplier, const float* x, const float* dy, float* dFilter) {
  constexpr int64_t kMostCuts = 1024, kFewPixels = 16 * kLines, kWantedBlocks = 1024;
  int64_t outChannels = windows.channels * multiplier, weights = windows.taps() * outChannels;
  int64_t pixels = windows.batch * windows.outPixels(), blocks = ceilDivide(weights, kColumns);
  if (weights == 0) return Status::ok();
  int64_t cuts = ceilDivide(kWantedBlocks, blocks), most = ceilDivide(pixels, kFewPixels);
  if (cuts > most) cuts = most;
  if (cuts > kMostCuts) cuts = kMostCuts;
  int64_t pixelsPerCut = cuts > 0 ? ceilDivide(pixels, cuts) : 1;
  Scratch scratch((cuts > 0 ? cuts : 1) * weights * 4);
  if (!scratch.isOk()) return scratch.status("the sums of a depthwise convolution's gradient");
  auto* partial = scratch.as<float>();
  Grid grid{dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(cuts)), dim3(kColumns, kLines)};
  MOE_RETURN_IF_NOT_OK(launch(filterGradientCuts, grid, WindowSide<true>(windows), weights, pixels, pixelsPerCut, windows.channels,
                              Divider(outChannels), Divider(multiplier), x, dy, partial));
  return reduce(ReduceOp::sum, 1, cuts, weights, 1.0f, partial, dFilter);
}

}  // namespace moe::cuda
