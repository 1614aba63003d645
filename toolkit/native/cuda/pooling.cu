#include "windows.h"

namespace moe::cuda {
namespace {

/** A thread has N channels of a pixel of y. */
template <PoolOp Op, int N>
__global__ void __launch_bounds__(kElementThreads)
poolPixels(const __grid_constant__ WindowSide<true> side, int64_t outputs, Divider packs, const float* x, float* y) {
  for (int64_t i = gridThread(); i < outputs; i += gridThreads()) {
    int64_t number = packs.quotient(i), channel = (i - number * packs.by) * N, channels = packs.by * N, count = 0;
    Pack<float, N> total;
#pragma unroll
    for (int n = 0; n < N; ++n) total.lane[n] = Op == PoolOp::maximum ? -INFINITY : 0.0f;
    side.forEachTap(side.pixelOf(number), [&](int64_t, int64_t source) {
      Pack<float, N> from = loadPack<N>(x + source * channels + channel);
      ++count;
#pragma unroll
      for (int n = 0; n < N; ++n) {
        if constexpr (Op == PoolOp::maximum) total.lane[n] = from.lane[n] > total.lane[n] ? from.lane[n] : total.lane[n];
        else total.lane[n] += from.lane[n];
      }
    });
    if constexpr (Op == PoolOp::mean)
#pragma unroll
      for (int n = 0; n < N; ++n) total.lane[n] /= static_cast<float>(count);
    storePack(y + i * N, total);
  }
}

/** largest [outputs]: the pixel of the image that the first of the largest of a window is, −1 where all are −∞ or NaN. */
__global__ void __launch_bounds__(kElementThreads)
findLargest(const __grid_constant__ WindowSide<true> side, int64_t outputs, Divider channels, const float* x, int32_t* largest) {
  for (int64_t i = gridThread(); i < outputs; i += gridThreads()) {
    int64_t number = channels.quotient(i), channel = i - number * channels.by;
    Pixel pixel = side.pixelOf(number);
    float best = -INFINITY;
    int64_t at = -1;
    side.forEachTap(pixel, [&](int64_t, int64_t source) {
      float value = x[source * channels.by + channel];
      if (value > best) best = value, at = source - pixel.image * side.otherPixels;
    });
    largest[i] = static_cast<int32_t>(at);
  }
}

/** A thread has an element of dx and looks at the windows that see it: each sum has one writer and one order. */
__global__ void __launch_bounds__(kElementThreads)
gatherLargest(const __grid_constant__ WindowSide<false> side, int64_t inputs, Divider channels, const int32_t* largest, const float* dy, float* dx) {
  for (int64_t i = gridThread(); i < inputs; i += gridThreads()) {
    int64_t number = channels.quotient(i), channel = i - number * channels.by;
    Pixel pixel = side.pixelOf(number);
    int64_t own = pixel.row * side.width.by + pixel.column;
    float sum = 0.0f;
    side.forEachTap(pixel, [&](int64_t, int64_t source) {
      if (largest[source * channels.by + channel] == own) sum += dy[source * channels.by + channel];
    });
    dx[i] = sum;
  }
}

template <int N>
__global__ void __launch_bounds__(kElementThreads)
shareGradient(const __grid_constant__ WindowSide<false> side, int64_t inputs, Divider packs, float share, const float* dy, float* dx) {
  for (int64_t i = gridThread(); i < inputs; i += gridThreads()) {
    int64_t number = packs.quotient(i), channel = (i - number * packs.by) * N, channels = packs.by * N;
    Pack<float, N> sum = {};
    side.forEachTap(side.pixelOf(number), [&](int64_t, int64_t source) {
      Pack<float, N> from = loadPack<N>(dy + source * channels + channel);
#pragma unroll
      for (int n = 0; n < N; ++n) sum.lane[n] += from.lane[n];
    });
#pragma unroll
    for (int n = 0; n < N; ++n) sum.lane[n] *= share;
    storePack(dx + i * N, sum);
  }
}

template <PoolOp Op>
Status run(const Windows& w, const float* x, float* y) {
  int64_t outputs = w.batch * w.outPixels() * w.channels;
  if (w.channels % 4 == 0 && isPackAligned<4>(x) && isPackAligned<4>(y))
    return launch(poolPixels<Op, 4>, elementGrid(outputs / 4), WindowSide<true>(w), outputs / 4, Divider(w.channels / 4), x, y);
  return launch(poolPixels<Op, 1>, elementGrid(outputs), WindowSide<true>(w), outputs, Divider(w.channels), x, y);
}

}  // namespace

Status pool(PoolOp op, const Windows& windows, const float* x, float* y) {
  return op == PoolOp::maximum ? run<PoolOp::maximum>(windows, x, y) : run<PoolOp::mean>(windows, x, y);
}

Status maxPoolGradient(const Windows& windows, const float* x, const float* dy, float* dx) {
  if (windows.inPixels() > INT32_MAX) return Status::outOfRange("pixels", windows.inPixels(), 0, INT32_MAX);
  int64_t outputs = windows.batch * windows.outPixels() * windows.channels, inputs = windows.batch * windows.inPixels() * windows.channels;
  Scratch largest(outputs > 0 ? outputs * 4 : 4);
  if (!largest.isOk()) return largest.status("where the largest of each window is");
  Divider channels(windows.channels);
  MOE_RETURN_IF_NOT_OK(launch(findLargest, elementGrid(outputs), WindowSide<true>(windows), outputs, channels, x, largest.as<int32_t>()));
  return launch(gatherLargest, elementGrid(inputs), WindowSide<false>(windows), inputs, channels, largest.as<int32_t>(), dy, dx);
}

Status meanPoolGradient(const Windows& windows, const float* dy, float* dx) {
  int64_t inputs = windows.batch * windows.inPixels() * windows.channels;
  float share = 1.0f / static_cast<float>(windows.taps());
  if (windows.channels % 4 == 0 && isPackAligned<4>(dy) && isPackAligned<4>(dx))
    return launch(shareGradient<4>, elementGrid(inputs / 4), WindowSide<false>(windows), inputs / 4, Divider(windows.channels / 4), share, dy, dx);
  return launch(shareGradient<1>, elementGrid(inputs), WindowSide<false>(windows), inputs, Divider(windows.channels), share, dy, dx);
}

}  // namespace moe::cuda
