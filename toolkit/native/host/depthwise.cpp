#include "parallel.h"
#include "scratch.h"
#include "windows.h"

namespace moe::MOE_ISA {
namespace {

/** to [channels · multiplier] += x [channels] · filter [channels, multiplier] */
void addProducts(float* to, const float* x, const float* filter, int64_t channels, int64_t multiplier) {
  if (multiplier == 1) {
    forEachVector(channels, [&](int64_t c, auto lanes) {
      lanes.store(to + c, fma(lanes.load(x + c), lanes.load(filter + c), lanes.load(to + c)));
    });
    return;
  }
  for (int64_t c = 0; c < channels; ++c) addScaledRow(to + c * multiplier, filter + c * multiplier, x[c], multiplier);
}

/** to [channels] += the sums over m of dy [channels, multiplier] · filter [channels, multiplier] */
void addSums(float* to, const float* dy, const float* filter, int64_t channels, int64_t multiplier) {
  if (multiplier == 1) {
    addProducts(to, dy, filter, channels, 1);
    return;
  }
  for (int64_t c = 0; c < channels; ++c) to[c] += dotRows(dy + c * multiplier, filter + c * multiplier, multiplier);
}

}  // namespace

Status convolveDepthwise(const Windows& windows, int64_t multiplier, const float* x, const float* filter, float* y) {
  int64_t channels = windows.channels, outChannels = channels * multiplier;
  const Side<true> side(windows);
  parallelRanges(windows.batch * side.pixels, side.grain(outChannels), [&](int64_t begin, int64_t end, int) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      float* to = y + pixel * outChannels;
      fillRow(to, 0.0f, outChannels);
      side.forEachTap(pixel, [&](int64_t tap, int64_t source) {
        addProducts(to, x + source * channels, filter + tap * outChannels, channels, multiplier);
      });
    }
  });
  return Status::ok();
}

Status depthwiseInputGradient(const Windows& windows, int64_t multiplier, const float* dy, const float* filter, float* dx) {
  int64_t channels = windows.channels, outChannels = channels * multiplier;
  const Side<false> side(windows);
  parallelRanges(windows.batch * side.pixels, side.grain(outChannels), [&](int64_t begin, int64_t end, int) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      float* to = dx + pixel * channels;
      fillRow(to, 0.0f, channels);
      if (multiplier > 0) side.forEachTap(pixel, [&](int64_t tap, int64_t source) {
        addSums(to, dy + source * outChannels, filter + tap * outChannels, channels, multiplier);
      });
    }
  });
  return Status::ok();
}

Status depthwiseFilterGradient(const Windows& windows, int64_t multiplier, const float* x, const float* dy, float* dFilter) {
  int64_t channels = windows.channels, outChannels = channels * multiplier, width = windows.columns.out;
  int64_t lines = windows.outPixels() * windows.inPixels() == 0 ? 0 : windows.batch * windows.rows.out;
  Scratch sums(threadCount(), outChannels);  // of one line of the output: short sums lose less
  if (!sums.isOk()) return sums.status("the sums of a depthwise convolution's gradient");
  // One task a tap: each element of the result has one writer, whatever the number of threads.
  parallelFor(windows.taps(), [&](int64_t tap, int thread) {
    float* total = dFilter + tap * outChannels;
    float* sum = sums.floats(thread);
    fillRow(total, 0.0f, outChannels);
    int64_t startY = tap / windows.columns.filter * windows.rows.dilation - windows.rows.padding;
    int64_t startX = tap % windows.columns.filter * windows.columns.dilation - windows.columns.padding;
    for (int64_t line = 0; line < lines; ++line) {
      int64_t row = line % windows.rows.out * windows.rows.stride + startY;
      if (row < 0 || row >= windows.rows.in) continue;
      const float* from = x + (line / windows.rows.out * windows.inPixels() + row * windows.columns.in) * channels;
      const float* gradient = dy + line * width * outChannels;
      fillRow(sum, 0.0f, outChannels);
      for (int64_t i = 0; i < width; ++i) {
        int64_t column = i * windows.columns.stride + startX;
        if (column >= 0 && column < windows.columns.in)
          addProducts(sum, from + column * channels, gradient + i * outChannels, channels, multiplier);
      }
      addRow(total, sum, outChannels);
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
