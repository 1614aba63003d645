#include "convolution.h"

#include "groups.h"

namespace moe {
namespace {

/** Elements of the arrays of one call. */
struct Sizes {
  int64_t x, y, filter;
};

/** One axis of argument `window`: in, out, filter, stride, dilation, padding. */
WindowAxis axisOf(const int64_t* numbers) {
  WindowAxis axis = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
  const int64_t lowest[] = {0, 0, 0, 1, 1, -kMostWindow};
  const char* names[] = {"in", "out", "filter", "stride", "dilation", "padding"};
  for (int i = 0; i < 6; ++i)
    if (numbers[i] < lowest[i] || numbers[i] > kMostWindow) throw Status::outOfRange(names[i], numbers[i], lowest[i], kMostWindow);
  return axis;
}

/** Reads batch, channels and window [12]: six numbers of the rows, six of the columns. */
Windows windowsOf(Arguments& in) {
  Windows windows;
  windows.batch = in.integer("batch"), windows.channels = in.integer("channels");
  int64_t numbers[12];
  in.wholeNumbers("window", 12, numbers);
  windows.rows = axisOf(numbers), windows.columns = axisOf(numbers + 6);
  return windows;
}

Sizes sizesOf(const Windows& w, int64_t outChannels, int64_t filters) {
  return {elementCount({w.batch, w.rows.in, w.columns.in, w.channels}),
          elementCount({w.batch, w.rows.out, w.columns.out, outChannels}),
          elementCount({w.rows.filter, w.columns.filter, filters})};
}

/** convolve(batch, channels, window, outChannels, x, filter, y) */
Status bindConvolve(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t outChannels = in.integer("outChannels");
  Sizes sizes = sizesOf(windows, outChannels, elementCount({windows.channels, outChannels}));
  const float* x = in.floats("x", sizes.x);
  const float* filter = in.floats("filter", sizes.filter);
  float* y = in.mutableFloats("y", sizes.y);
  if (sizes.y == 0) return Status::ok();
  return convolve(windows, outChannels, x, filter, y);
}

/** convolveInputGradient(batch, channels, window, outChannels, dy, filter, dx) */
Status bindConvolveInputGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t outChannels = in.integer("outChannels");
  Sizes sizes = sizesOf(windows, outChannels, elementCount({windows.channels, outChannels}));
  const float* dy = in.floats("dy", sizes.y);
  const float* filter = in.floats("filter", sizes.filter);
  float* dx = in.mutableFloats("dx", sizes.x);
  if (sizes.x == 0) return Status::ok();
  return convolveInputGradient(windows, outChannels, dy, filter, dx);
}

/** convolveFilterGradient(batch, channels, window, outChannels, x, dy, dFilter) */
Status bindConvolveFilterGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t outChannels = in.integer("outChannels");
  Sizes sizes = sizesOf(windows, outChannels, elementCount({windows.channels, outChannels}));
  const float* x = in.floats("x", sizes.x);
  const float* dy = in.floats("dy", sizes.y);
  float* dFilter = in.mutableFloats("dFilter", sizes.filter);
  if (sizes.filter == 0) return Status::ok();
  return convolveFilterGradient(windows, outChannels, x, dy, dFilter);
}

/** convolveDepthwise(batch, channels, window, multiplier, x, filter, y) */
Status bindConvolveDepthwise(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t multiplier = in.integer("multiplier"), outChannels = elementCount({windows.channels, multiplier});
  Sizes sizes = sizesOf(windows, outChannels, outChannels);
  const float* x = in.floats("x", sizes.x);
  const float* filter = in.floats("filter", sizes.filter);
  float* y = in.mutableFloats("y", sizes.y);
  if (sizes.y == 0) return Status::ok();
  return convolveDepthwise(windows, multiplier, x, filter, y);
}

/** depthwiseInputGradient(batch, channels, window, multiplier, dy, filter, dx) */
Status bindDepthwiseInputGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t multiplier = in.integer("multiplier"), outChannels = elementCount({windows.channels, multiplier});
  Sizes sizes = sizesOf(windows, outChannels, outChannels);
  const float* dy = in.floats("dy", sizes.y);
  const float* filter = in.floats("filter", sizes.filter);
  float* dx = in.mutableFloats("dx", sizes.x);
  if (sizes.x == 0) return Status::ok();
  return depthwiseInputGradient(windows, multiplier, dy, filter, dx);
}

/** depthwiseFilterGradient(batch, channels, window, multiplier, x, dy, dFilter) */
Status bindDepthwiseFilterGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  int64_t multiplier = in.integer("multiplier"), outChannels = elementCount({windows.channels, multiplier});
  Sizes sizes = sizesOf(windows, outChannels, outChannels);
  const float* x = in.floats("x", sizes.x);
  const float* dy = in.floats("dy", sizes.y);
  float* dFilter = in.mutableFloats("dFilter", sizes.filter);
  if (sizes.filter == 0) return Status::ok();
  return depthwiseFilterGradient(windows, multiplier, x, dy, dFilter);
}

/** maxPool(batch, channels, window, x, y) and meanPool */
template <PoolOp Op>
Status poolOf(Arguments& in) {
  Windows windows = windowsOf(in);
  Sizes sizes = sizesOf(windows, windows.channels, 0);
  const float* x = in.floats("x", sizes.x);
  float* y = in.mutableFloats("y", sizes.y);
  if (sizes.y == 0) return Status::ok();
  return pool(Op, windows, x, y);
}

/** maxPoolGradient(batch, channels, window, x, dy, dx) */
Status bindMaxPoolGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  Sizes sizes = sizesOf(windows, windows.channels, 0);
  const float* x = in.floats("x", sizes.x);
  const float* dy = in.floats("dy", sizes.y);
  float* dx = in.mutableFloats("dx", sizes.x);
  if (sizes.x == 0) return Status::ok();
  return maxPoolGradient(windows, x, dy, dx);
}

/** meanPoolGradient(batch, channels, window, dy, dx) */
Status bindMeanPoolGradient(Arguments& in) {
  Windows windows = windowsOf(in);
  Sizes sizes = sizesOf(windows, windows.channels, 0);
  const float* dy = in.floats("dy", sizes.y);
  float* dx = in.mutableFloats("dx", sizes.x);
  if (sizes.x == 0) return Status::ok();
  return meanPoolGradient(windows, dy, dx);
}

}  // namespace

void registerConvolution(Exports& exports) {
  exports.add("convolve", bindConvolve);
  exports.add("convolveInputGradient", bindConvolveInputGradient);
  exports.add("convolveFilterGradient", bindConvolveFilterGradient);
  exports.add("convolveDepthwise", bindConvolveDepthwise);
  exports.add("depthwiseInputGradient", bindDepthwiseInputGradient);
  exports.add("depthwiseFilterGradient", bindDepthwiseFilterGradient);
  exports.add("maxPool", poolOf<PoolOp::maximum>);
  exports.add("meanPool", poolOf<PoolOp::mean>);
  exports.add("maxPoolGradient", bindMaxPoolGradient);
  exports.add("meanPoolGradient", bindMeanPoolGradient);
}

}  // namespace moe
