#include "convolution.h"

#include "matmul.h"
#include "parallel.h"
#include "scratch.h"
#include "windows.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kPatchFloats = int64_t{1} << 20;  // 4 MB of patches at a time: they are read soon after

/** Pixels whose patches are made at a time. The cuts depend on the sizes alone. */
int64_t pixelsAtOnce(int64_t patch) { return patch >= kPatchFloats ? 1 : kPatchFloats / patch; }

/** patches [count, taps · channels]: what the taps of pixels [first, first + count) see of image [pixels, channels],
 *  zeros where that is nothing. */
template <bool Forward>
void makePatches(const Windows& windows, int64_t channels, const float* image, int64_t first, int64_t count, float* patches) {
  int64_t patch = windows.taps() * channels;
  const Side<Forward> side(windows);
  parallelRanges(count, rowGrain(patch), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float* to = patches + i * patch;
      int64_t filled = 0;  // taps before this one have their values
      side.forEachTap(first + i, [&](int64_t tap, int64_t source) {
        fillRow(to + filled * channels, 0.0f, (tap - filled) * channels);
        copyRow(to + tap * channels, image + source * channels, channels);
        filled = tap + 1;
      });
      fillRow(to + filled * channels, 0.0f, (windows.taps() - filled) * channels);
    }
  });
}

/** A window of one tap that stands on every pixel: the image is its own matrix of patches. */
bool isPointwise(const Windows& w) {
  bool sameRows = w.rows.filter == 1 && w.rows.stride == 1 && w.rows.padding == 0 && w.rows.in == w.rows.out;
  return sameRows && w.columns.filter == 1 && w.columns.stride == 1 && w.columns.padding == 0 && w.columns.in == w.columns.out;
}

/** Calls multiply(first, count, patches) for runs of pixels, one after the other, with their patches; once for all where
 *  patches have no elements. */
template <bool Forward, class Multiply>
Status forEachPatches(const Windows& windows, int64_t channels, const float* image, Multiply&& multiply) {
  int64_t pixels = windows.batch * Side<Forward>(windows).pixels;
  int64_t patch = windows.taps() * channels;
  if (patch == 0 || isPointwise(windows)) return multiply(0, pixels, image);
  int64_t atOnce = pixelsAtOnce(patch) < pixels ? pixelsAtOnce(patch) : pixels;
  Scratch scratch(1, atOnce * patch);
  if (!scratch.isOk()) return scratch.status("the patches of a convolution");
  for (int64_t first = 0; first < pixels; first += atOnce) {
    int64_t count = pixels - first < atOnce ? pixels - first : atOnce;
    makePatches<Forward>(windows, channels, image, first, count, scratch.floats());
    Status done = multiply(first, count, scratch.floats());
    if (!done.isOk()) return done;
  }
  return Status::ok();
}

/** out [pixels, columns] = patches · matrix [taps · channels, columns] */
template <bool Forward>
Status multiplyPatches(const Windows& windows, int64_t channels, const float* image, const float* matrix,
                       int64_t columns, float* out) {
  int64_t patch = windows.taps() * channels;
  return forEachPatches<Forward>(windows, channels, image, [&](int64_t first, int64_t count, const float* patches) {
    Gemm product;
    product.m = count, product.n = columns, product.k = patch;
    product.a = patches, product.aRowStride = patch;
    product.b = matrix, product.bRowStride = columns;
    product.c = out + first * columns, product.cRowStride = columns;
    return matmul(product);
  });
}

}  // namespace

Status convolve(const Windows& windows, int64_t outChannels, const float* x, const float* filter, float* y) {
  return multiplyPatches<true>(windows, windows.channels, x, filter, outChannels, y);
}

Status convolveInputGradient(const Windows& windows, int64_t outChannels, const float* dy, const float* filter, float* dx) {
  int64_t channels = windows.channels, matrix = channels * outChannels;
  Scratch scratch(1, windows.taps() * matrix);
  if (!scratch.isOk()) return scratch.status("the filter of a convolution's gradient");
  float* transposed = scratch.floats();  // [taps, outChannels, channels]
  parallelRanges(matrix == 0 ? 0 : windows.taps(), rowGrain(matrix), [&](int64_t begin, int64_t end, int) {
    for (int64_t tap = begin; tap < end; ++tap)
      for (int64_t o = 0; o < outChannels; ++o)
        for (int64_t c = 0; c < channels; ++c)
          transposed[tap * matrix + o * channels + c] = filter[tap * matrix + c * outChannels + o];
  });
  return multiplyPatches<false>(windows, outChannels, dy, transposed, channels, dx);
}

Status convolveFilterGradient(const Windows& windows, int64_t outChannels, const float* x, const float* dy, float* dFilter) {
  int64_t patch = windows.taps() * windows.channels;
  Gemm product;
  product.m = patch, product.n = outChannels;
  product.c = dFilter, product.cRowStride = outChannels;
  if (windows.batch * windows.outPixels() == 0) return matmul(product);  // a product over nothing: zeros
  return forEachPatches<true>(windows, windows.channels, x, [&](int64_t first, int64_t count, const float* patches) {
    product.k = count;
    product.a = patches, product.aRowStride = 1, product.aColumnStride = patch;
    product.b = dy + first * outChannels, product.bRowStride = outChannels;
    product.accumulate = first > 0;
    return matmul(product);
  });
}

}  // namespace moe::MOE_ISA
