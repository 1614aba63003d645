#include "parallel.h"
#include "windows.h"

namespace moe::MOE_ISA {
namespace {

constexpr float kLowest = -__builtin_inff();
constexpr int64_t kChannelsAtOnce = 64;  // channels that one task of a gradient owns: a few cache lines of each pixel

void takeLargest(float* to, const float* x, int64_t channels) {
  // x last: where it is NaN, vmax gives `to`
  forEachVector(channels, [&](int64_t c, auto lanes) { lanes.store(to + c, vmax(lanes.load(x + c), lanes.load(to + c))); });
}

/** One image and some of its channels: adds dy to the first of the largest of each window. */
void maxGradientOf(const Windows& windows, int64_t image, int64_t channel, int64_t channels, const float* x,
                   const float* dy, float* dx) {
  const Side<true> side(windows);
  int64_t firstIn = image * windows.inPixels(), firstOut = image * windows.outPixels();
  for (int64_t i = 0; i < windows.inPixels(); ++i) fillRow(dx + (firstIn + i) * windows.channels + channel, 0.0f, channels);
  float best[kChannelsAtOnce];
  int64_t at[kChannelsAtOnce];
  for (int64_t pixel = firstOut; pixel < firstOut + windows.outPixels(); ++pixel) {
    for (int64_t c = 0; c < channels; ++c) best[c] = kLowest, at[c] = -1;
    side.forEachTap(pixel, [&](int64_t, int64_t source) {
      const float* from = x + source * windows.channels + channel;
      for (int64_t c = 0; c < channels; ++c)
        if (from[c] > best[c]) best[c] = from[c], at[c] = source;
    });
    const float* gradient = dy + pixel * windows.channels + channel;
    for (int64_t c = 0; c < channels; ++c)
      if (at[c] >= 0) dx[at[c] * windows.channels + channel + c] += gradient[c];
  }
}

}  // namespace

Status pool(PoolOp op, const Windows& windows, const float* x, float* y) {
  int64_t channels = windows.channels;
  const Side<true> side(windows);
  parallelRanges(windows.batch * side.pixels, side.grain(channels), [&](int64_t begin, int64_t end, int) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      float* to = y + pixel * channels;
      int64_t count = 0;
      fillRow(to, op == PoolOp::maximum ? kLowest : 0.0f, channels);
      side.forEachTap(pixel, [&](int64_t, int64_t source) {
        ++count;
        if (op == PoolOp::maximum)
          takeLargest(to, x + source * channels, channels);
        else
          addRow(to, x + source * channels, channels);
      });
      if (op == PoolOp::mean)
        forEachVector(channels, [&](int64_t c, auto lanes) { lanes.store(to + c, lanes.load(to + c) / static_cast<float>(count)); });
    }
  });
  return Status::ok();
}

Status maxPoolGradient(const Windows& windows, const float* x, const float* dy, float* dx) {
  int64_t blocks = (windows.channels + kChannelsAtOnce - 1) / kChannelsAtOnce;
  parallelFor(windows.batch * blocks, [&](int64_t task, int) {
    int64_t channel = task % blocks * kChannelsAtOnce;
    int64_t channels = windows.channels - channel < kChannelsAtOnce ? windows.channels - channel : kChannelsAtOnce;
    maxGradientOf(windows, task / blocks, channel, channels, x, dy, dx);
  });
  return Status::ok();
}

Status meanPoolGradient(const Windows& windows, const float* dy, float* dx) {
  int64_t channels = windows.channels;
  float share = 1.0f / static_cast<float>(windows.taps());
  const Side<false> side(windows);
  parallelRanges(windows.batch * side.pixels, side.grain(channels), [&](int64_t begin, int64_t end, int) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      float* to = dx + pixel * channels;
      fillRow(to, 0.0f, channels);
      side.forEachTap(pixel, [&](int64_t, int64_t source) { addRow(to, dy + source * channels, channels); });
      scaleRow(to, to, share, channels);
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
