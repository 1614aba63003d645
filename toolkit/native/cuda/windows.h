#pragma once
#include "convolution.h"
#include "divider.h"
#include "elements.h"

/* Which pixels belong together when a window moves over an image, seen from both sides. */
namespace moe::cuda {

/** A WindowAxis as kernels take it. */
struct WindowLine {
  int64_t in, out, filter, stride, dilation, padding;
  Divider strides;

  explicit WindowLine(const WindowAxis& axis)
      : in(axis.in), out(axis.out), filter(axis.filter), stride(axis.stride), dilation(axis.dilation), padding(axis.padding), strides(axis.stride) {}

  /** The input that tap `tap` of output `position` reads, or −1. */
  __device__ int64_t inputOf(int64_t position, int64_t tap) const {
    int64_t at = position * stride - padding + tap * dilation;
    return at >= 0 && at < in ? at : -1;
  }

  /** The output whose tap `tap` reads input `position`, or −1. */
  __device__ int64_t outputOf(int64_t position, int64_t tap) const {
    int64_t reach = position + padding - tap * dilation;  // the distance from the first window
    if (reach < 0) return -1;
    int64_t at = strides.quotient(reach);
    return at * stride == reach && at < out ? at : -1;
  }
};

/** A pixel of one side. */
struct Pixel {
  int64_t image, row, column;
};

/** The pixels of one side and what they see of the other: Forward from outputs to inputs, else from inputs to outputs. */
template <bool Forward>
struct WindowSide {
  WindowLine rows, columns;
  Divider width, pixels;            // of an image on this side
  int64_t otherWidth, otherPixels;  // on the other
  bool isBlind;                     // nothing is there to see

  explicit WindowSide(const Windows& w)
      : rows(w.rows), columns(w.columns), width(Forward ? w.columns.out : w.columns.in), pixels(Forward ? w.outPixels() : w.inPixels()),
        otherWidth(Forward ? w.columns.in : w.columns.out), otherPixels(Forward ? w.inPixels() : w.outPixels()),
        isBlind(w.taps() == 0 || otherPixels == 0) {}

  /** Pixel `number`, counted over all images. */
  __device__ Pixel pixelOf(int64_t number) const {
    int64_t image = pixels.quotient(number), rest = number - image * pixels.by, row = width.quotient(rest);
    return {image, row, rest - row * width.by};
  }

  __device__ static int64_t along(const WindowLine& line, int64_t position, int64_t tap) {
    return Forward ? line.inputOf(position, tap) : line.outputOf(position, tap);
  }

  /** The pixel on the other side, counted over all images, that a tap of this one belongs to, or −1. */
  __device__ int64_t sourceOf(const Pixel& pixel, int64_t tapRow, int64_t tapColumn) const {
    int64_t row = along(rows, pixel.row, tapRow), column = along(columns, pixel.column, tapColumn);
    return row < 0 || column < 0 || isBlind ? -1 : pixel.image * otherPixels + row * otherWidth + column;
  }

  /** Calls body(tap, source) for each tap of a pixel that has a pixel on the other side. Taps rise. */
  template <class Body>
  __device__ void forEachTap(const Pixel& pixel, Body&& body) const {
    if (isBlind) return;
    for (int64_t tapRow = 0; tapRow < rows.filter; ++tapRow) {
      int64_t row = along(rows, pixel.row, tapRow);
      if (row < 0) continue;
      for (int64_t tapColumn = 0; tapColumn < columns.filter; ++tapColumn) {
        int64_t column = along(columns, pixel.column, tapColumn);
        if (column >= 0) body(tapRow * columns.filter + tapColumn, pixel.image * otherPixels + row * otherWidth + column);
      }
    }
  }
};

}  // namespace moe::cuda
