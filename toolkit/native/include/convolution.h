#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** How a window moves along one axis of an image: tap t of output o reads input o · stride − padding + t · dilation, or
 *  nothing where that lies outside the image. All numbers are at most kMostWindow. */
struct WindowAxis {
  int64_t in, out, filter;  // positions of the image, of the output, and taps
  int64_t stride, dilation;  // ≥ 1
  int64_t padding;           // before the first position; negative to begin inside the image
};

inline constexpr int64_t kMostWindow = int64_t{1} << 30;

/** A batch of images x [batch, rows.in, columns.in, channels] and windows that move over them. */
struct Windows {
  int64_t batch, channels;
  WindowAxis rows, columns;

  int64_t inPixels() const { return rows.in * columns.in; }
  int64_t outPixels() const { return rows.out * columns.out; }
  int64_t taps() const { return rows.filter * columns.filter; }
};

enum class PoolOp {
  maximum,  // NaN is passed over; −∞ where no tap lies in the image
  mean      // over the taps that lie in the image
};

}  // namespace moe

/** y [batch, out, outChannels] = the sum over taps and channels of x · filter [taps, channels, outChannels]. */
MOE_KERNEL(Status, convolve, (const Windows& windows, int64_t outChannels, const float* x, const float* filter, float* y))

/** dx, shaped like x, from dy, shaped like y. */
MOE_KERNEL(Status, convolveInputGradient,
           (const Windows& windows, int64_t outChannels, const float* dy, const float* filter, float* dx))

/** dFilter, shaped like filter. */
MOE_KERNEL(Status, convolveFilterGradient,
           (const Windows& windows, int64_t outChannels, const float* x, const float* dy, float* dFilter))

/** y [batch, out, channels · multiplier]: each channel with its own filters [taps, channels, multiplier]. */
MOE_KERNEL(Status, convolveDepthwise,
           (const Windows& windows, int64_t multiplier, const float* x, const float* filter, float* y))
MOE_KERNEL(Status, depthwiseInputGradient,
           (const Windows& windows, int64_t multiplier, const float* dy, const float* filter, float* dx))
MOE_KERNEL(Status, depthwiseFilterGradient,
           (const Windows& windows, int64_t multiplier, const float* x, const float* dy, float* dFilter))

/** y [batch, out, channels] */
MOE_KERNEL(Status, pool, (PoolOp op, const Windows& windows, const float* x, float* y))

/** dx, shaped like x: dy goes to the first of the largest of each window. */
MOE_KERNEL(Status, maxPoolGradient, (const Windows& windows, const float* x, const float* dy, float* dx))

/** dx, shaped like x: each tap gets dy / taps, as in tfjs, also where some of them lie outside the image. */
MOE_KERNEL(Status, meanPoolGradient, (const Windows& windows, const float* dy, float* dx))
