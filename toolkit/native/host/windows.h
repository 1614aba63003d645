#pragma once
#include "convolution.h"
#include "rows.h"

/* Which pixels belong together when a window moves over an image, seen from both sides. */
namespace moe::MOE_ISA {

/** ⌈a / b⌉ for b ≥ 1 and any a. */
MOE_INLINE int64_t divideUp(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }
/** ⌊a / b⌋ for b ≥ 1 and any a. */
MOE_INLINE int64_t divideDown(int64_t a, int64_t b) { return -divideUp(-a, b); }

/** Calls body(tap, in) for the taps of output `out` that read the image, from the first to the last. */
template <class Body>
MOE_INLINE void forEachInput(const WindowAxis& axis, int64_t out, Body&& body) {
  int64_t start = out * axis.stride - axis.padding;
  int64_t first = start >= 0 ? 0 : divideUp(-start, axis.dilation);
  int64_t end = divideUp(axis.in - start, axis.dilation);
  if (end > axis.filter) end = axis.filter;
  for (int64_t tap = first; tap < end; ++tap) body(tap, start + tap * axis.dilation);
}

/** Calls body(tap, out) for the outputs that read input `in`, from the first tap to the last. */
template <class Body>
MOE_INLINE void forEachOutput(const WindowAxis& axis, int64_t in, Body&& body) {
  int64_t reach = in + axis.padding;  // the distance from the first window's first tap
  int64_t last = divideDown(reach, axis.stride);
  int64_t first = divideUp(reach - (axis.filter - 1) * axis.dilation, axis.stride);
  if (last >= axis.out) last = axis.out - 1;
  if (first < 0) first = 0;
  for (int64_t out = last; out >= first; --out) {
    int64_t distance = reach - out * axis.stride;
    if (distance % axis.dilation == 0) body(distance / axis.dilation, out);
  }
}

/** The pixels of one side and what they see of the other: Forward from outputs to inputs, else from inputs to outputs. */
template <bool Forward>
struct Side {
  const Windows& windows;
  int64_t width, pixels;            // of an image on this side
  int64_t otherWidth, otherPixels;  // on the other
  bool isBlind;                     // nothing is there to see

  MOE_INLINE explicit Side(const Windows& windows)
      : windows(windows), width(Forward ? windows.columns.out : windows.columns.in),
        pixels(Forward ? windows.outPixels() : windows.inPixels()),
        otherWidth(Forward ? windows.columns.in : windows.columns.out),
        otherPixels(Forward ? windows.inPixels() : windows.outPixels()),
        isBlind(windows.taps() == 0 || otherPixels == 0) {}

  template <class Body>
  MOE_INLINE void along(const WindowAxis& axis, int64_t position, Body&& body) const {
    if constexpr (Forward)
      forEachInput(axis, position, body);
    else
      forEachOutput(axis, position, body);
  }

  /** Calls body(tap, source) for each tap of a pixel, counted over all images, that has a pixel on the other side;
   *  `source` is its number over all images. Taps rise. */
  template <class Body>
  MOE_INLINE void forEachTap(int64_t pixel, Body&& body) const {
    if (isBlind) return;
    int64_t image = pixel / pixels * otherPixels;
    along(windows.rows, pixel % pixels / width, [&](int64_t tapY, int64_t row) {
      along(windows.columns, pixel % width, [&](int64_t tapX, int64_t column) {
        body(tapY * windows.columns.filter + tapX, image + row * otherWidth + column);
      });
    });
  }

  /** Pixels that make a task, when each tap of one has `channels` elements. */
  MOE_INLINE int64_t grain(int64_t channels) const {
    constexpr int64_t kManyTaps = 1024;
    return rowGrain((windows.taps() < kManyTaps ? windows.taps() : kManyTaps) * channels);
  }
};

}  // namespace moe::MOE_ISA
