#include "convolution.h"

#include "layout.h"
#include "product.h"
#include "transfers.h"
#include "windows.h"

namespace moe::cuda {
namespace {

constexpr int64_t kPatchFloats = int64_t{1} << 25;  // 128 MB of patches at a time

/** Pixels whose patches are made at a time. The cuts depend on the sizes alone. */
int64_t pixelsAtOnce(int64_t patch) { return patch >= kPatchFloats ? 1 : kPatchFloats / patch; }

/** patches [count, taps · channels]: what the taps of pixels [first, first + count) see of image [pixels, channels],
 *  zeros where that is nothing. `packs` of N channels, `taps` of a pixel, `tapColumns` of a row of taps. */
template <bool Forward, int N>
__global__ void __launch_bounds__(kElementThreads)
makePatches(const __grid_constant__ WindowSide<Forward> side, Divider packs, Divider taps, Divider tapColumns, const float* image, int64_t first,
            int64_t count, float* patches) {
  for (int64_t i = gridThread(); i < count * taps.by * packs.by; i += gridThreads()) {
    int64_t line = packs.quotient(i), channel = (i - line * packs.by) * N;  // line: of [count, taps]
    int64_t pixel = taps.quotient(line), tap = line - pixel * taps.by, tapRow = tapColumns.quotient(tap);
    int64_t source = side.sourceOf(side.pixelOf(first + pixel), tapRow, tap - tapRow * tapColumns.by);
    Pack<float, N> pack = {};
    if (source >= 0) pack = loadPack<N>(image + source * packs.by * N + channel);
    storePack(patches + i * N, pack);
  }
}

/** A window of one tap that stands on every pixel: the image is its own matrix of patches. */
bool isPointwise(const Windows& w) {
  bool sameRows = w.rows.filter == 1 && w.rows.stride == 1 && w.rows.padding == 0 && w.rows.in == w.rows.out;
  return sameRows && w.columns.filter == 1 && w.columns.stride == 1 && w.columns.padding == 0 && w.columns.in == w.columns.out;
}

template <bool Forward, int N>
Status launchPatches(const Windows& w, int64_t channels, const float* image, int64_t first, int64_t count, float* patches) {
  Divider packs(channels / N), taps(w.taps()), tapColumns(w.columns.filter);
  return launch(makePatches<Forward, N>, elementGrid(count * w.taps() * packs.by), WindowSide<Forward>(w), packs, taps, tapColumns, image, first,
                count, patches);
}

/** Calls multiply(first, count, patches) for runs of pixels, one after the other, with their patches. */
template <bool Forward, class Multiply>
Status forEachPatches(const Windows& windows, int64_t channels, const float* image, Multiply&& multiply) {
  int64_t pixels = windows.batch * (Forward ? windows.outPixels() : windows.inPixels()), patch = windows.taps() * channels;
  if (patch == 0 || pixels == 0 || isPointwise(windows)) return multiply(0, pixels, image);
  int64_t atOnce = pixelsAtOnce(patch) < pixels ? pixelsAtOnce(patch) : pixels;
  Scratch scratch(atOnce * patch * 4);
  if (!scratch.isOk()) return scratch.status("the patches of a convolution");
  auto* patches = scratch.as<float>();
  bool isInPacks = channels % 4 == 0 && isPackAligned<4>(image);
  for (int64_t first = 0; first < pixels; first += atOnce) {
    int64_t count = pixels - first < atOnce ? pixels - first : atOnce;
    MOE_RETURN_IF_NOT_OK(isInPacks ? (launchPatches<Forward, 4>(windows, channels, image, first, count, patches))
                                   : (launchPatches<Forward, 1>(windows, channels, image, first, count, patches)));
    MOE_RETURN_IF_NOT_OK(multiply(first, count, patches));
  }
  return Status::ok();
}

Operand rowsOf(const float* data, int64_t stride) {
  Operand operand;
  operand.data = data, operand.stride = stride;
  return operand;
}

/** out [pixels, columns] = patches · matrix [taps · channels, columns] */
template <bool Forward>
Status multiplyPatches(const Windows& windows, int64_t channels, const float* image, const float* matrix, int64_t columns, float* out) {
  int64_t patch = windows.taps() * channels;
  return forEachPatches<Forward>(windows, channels, image, [&](int64_t first, int64_t count, const float* patches) {
    Product product;
    product.m = count, product.n = columns, product.k = patch;
    product.a = rowsOf(patches, patch), product.b = rowsOf(matrix, columns);
    product.c = out + first * columns, product.cStride = columns;
    return multiply(product, productPrecision());
  });
}

}  // namespace

Status convolve(const Windows& windows, int64_t outChannels, const float* x, const float* filter, float* y) {
  return multiplyPatches<true>(windows, windows.channels, x, filter, outChannels, y);
}

Status convolveInputGradient(const Windows& windows, int64_t outChannels, const float* dy, const float* filter, float* dx) {
  int64_t channels = windows.channels, matrix = channels * outChannels;
  Scratch transposed(windows.taps() * matrix * 4);  // [taps, outChannels, channels]
  if (!transposed.isOk()) return transposed.status("the filter of a convolution's gradient");
  const int64_t sizes[] = {windows.taps(), outChannels, channels}, from[] = {matrix, 1, outChannels}, to[] = {matrix, channels, 1};
  MOE_RETURN_IF_NOT_OK(copyBlock({3, sizes, from, to, 0, 0}, 4, filter, transposed.as<float>()));
  return multiplyPatches<false>(windows, outChannels, dy, transposed.as<float>(), channels, dx);
}

Status convolveFilterGradient(const Windows& windows, int64_t outChannels, const float* x, const float* dy, float* dFilter) {
  int64_t patch = windows.taps() * windows.channels;
  if (windows.batch * windows.outPixels() == 0) return clearOnDevice(dFilter, patch * outChannels * 4);
  return forEachPatches<true>(windows, windows.channels, x, [&](int64_t first, int64_t count, const float* patches) {
    Product product;
    product.m = patch, product.n = outChannels, product.k = count;
    product.transposeA = true;
    product.a = rowsOf(patches, patch), product.b = rowsOf(dy + first * outChannels, outChannels);
    product.c = dFilter, product.cStride = outChannels;
    product.accumulate = first > 0;
    return multiply(product, productPrecision());
  });
}

}  // namespace moe::cuda
