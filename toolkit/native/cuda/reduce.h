#pragma once
#include <type_traits>

#include "divider.h"
#include "elements.h"

/* Reductions of x [outer, length, inner] over the middle dimension. What is joined with what depends on the sizes alone.
 * An operation is a struct with
 *   Part, none(), take(part, element, row)   what a thread keeps of the elements it reads
 *   Whole, whole(part), join(whole, whole)   what threads join
 *   finish(whole)                            an element of the output */
namespace moe::cuda {

constexpr int kReduceThreads = 256;
constexpr int kPartsAtOnce = 4;  // of a thread: each has loads of its own on the way

/** The value of the lane whose number differs in `bits`. */
template <class T>
__device__ inline std::enable_if_t<std::is_arithmetic_v<T>, T> fromLaneXor(T value, int bits) { return __shfl_xor_sync(kAllLanes, value, bits); }

template <class Op, class Whole>
__device__ inline Whole joinWarp(const Op& op, Whole value) {
#pragma unroll
  for (int bits = kWarp / 2; bits > 0; bits /= 2) value = op.join(value, fromLaneXor(value, bits));
  return value;
}

/** The whole of a block of kReduceThreads, in every thread. */
template <class Op, class Whole>
__device__ inline Whole joinBlock(const Op& op, Whole value) {
  constexpr int kWarps = kReduceThreads / kWarp;
  __shared__ Whole wholes[kWarps];
  value = joinWarp(op, value);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) wholes[threadIdx.x / kWarp] = value;
  __syncthreads();
  Whole joined = wholes[0];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) joined = op.join(joined, wholes[w]);
  return joined;
}

/** How the middle dimension is cut where there are few outputs: the parts of all chunks are joined by a second kernel. */
struct ReduceCuts {
  int64_t outer, length, inner;
  int64_t chunks, chunkLength;

  ReduceCuts(int64_t outer, int64_t length, int64_t inner, int64_t blocks, int64_t rowsOfBlock) : outer(outer), length(length), inner(inner) {
    constexpr int64_t kWantedBlocks = 1024;
    constexpr int64_t kFewRows = 16;    // of a thread: to start a block has to pay
    constexpr int64_t kMostRows = 512;  // of a thread: at most as many terms come into each of its parts
    int64_t wanted = ceilDivide(kWantedBlocks, blocks > 0 ? blocks : 1);
    int64_t most = ceilDivide(length, kFewRows * rowsOfBlock), least = ceilDivide(length, kMostRows * rowsOfBlock);
    chunks = wanted < most ? wanted : most;
    if (chunks < least) chunks = least;
    if (chunks < 1) chunks = 1;
    chunkLength = ceilDivide(ceilDivide(length, chunks), rowsOfBlock) * rowsOfBlock;
    if (chunkLength > 0) chunks = ceilDivide(length, chunkLength);
  }
};

/** A thread for each output. */
template <class Op, class Element, class Out>
__global__ void __launch_bounds__(kReduceThreads)
reduceEach(Op op, int64_t outer, int64_t length, Divider inner, const Element* x, Out* out) {
  for (int64_t i = gridThread(); i < outer * inner.by; i += gridThreads()) {
    int64_t o = inner.quotient(i);
    const Element* from = x + o * length * inner.by + i - o * inner.by;
    typename Op::Part part = op.none();
#pragma unroll 4
    for (int64_t row = 0; row < length; ++row) part = op.take(part, from[row * inner.by], row);
    out[i] = op.finish(op.whole(part));
  }
}

/** What one of `Threads` threads has of elements [begin, end), read N at a time. */
template <int Threads, int N, class Op, class Element>
__device__ inline typename Op::Whole takeLine(const Op& op, const Element* line, int64_t begin, int64_t end, int thread) {
  constexpr int64_t kStep = Threads * N;
  typename Op::Part parts[kPartsAtOnce];
#pragma unroll
  for (int p = 0; p < kPartsAtOnce; ++p) parts[p] = op.none();
  int64_t at = begin + thread * N;
  for (; at + (kPartsAtOnce - 1) * kStep < end; at += kPartsAtOnce * kStep) {
    Pack<Element, N> packs[kPartsAtOnce];
#pragma unroll
    for (int p = 0; p < kPartsAtOnce; ++p) packs[p] = loadPack<N>(line + at + p * kStep);
#pragma unroll
    for (int p = 0; p < kPartsAtOnce; ++p)
#pragma unroll
      for (int i = 0; i < N; ++i) parts[p] = op.take(parts[p], packs[p].lane[i], at + p * kStep + i);
  }
  for (; at < end; at += kStep) {
    Pack<Element, N> pack = loadPack<N>(line + at);
#pragma unroll
    for (int i = 0; i < N; ++i) parts[0] = op.take(parts[0], pack.lane[i], at + i);
  }
  return op.join(op.join(op.whole(parts[0]), op.whole(parts[1])), op.join(op.whole(parts[2]), op.whole(parts[3])));
}

/** Rows of adjacent elements, a warp or a block for each chunk of them. */
template <int Threads, int N, class Op, class Element, class Out>
__global__ void __launch_bounds__(kReduceThreads)
reduceLines(Op op, ReduceCuts cuts, const Element* x, typename Op::Whole* wholes, Out* out) {
  constexpr int kGroups = kReduceThreads / Threads;
  int thread = threadIdx.x % Threads;
  for (int64_t task = int64_t{blockIdx.x} * kGroups + threadIdx.x / Threads; task < cuts.outer * cuts.chunks; task += int64_t{gridDim.x} * kGroups) {
    int64_t row = cuts.chunks == 1 ? task : task / cuts.chunks, begin = (task - row * cuts.chunks) * cuts.chunkLength;
    auto whole = takeLine<Threads, N>(op, x + row * cuts.length, begin, min(begin + cuts.chunkLength, cuts.length), thread);
    if constexpr (Threads == kWarp) whole = joinWarp(op, whole);
    if constexpr (Threads != kWarp) whole = joinBlock(op, whole);
    if (thread != 0) continue;
    if (cuts.chunks == 1) out[row] = op.finish(whole);
    else wholes[task] = whole;
  }
}

/** Blocks of `columns` columns, kReduceThreads / columns rows at a time. */
template <class Op, class Element, class Out>
__global__ void __launch_bounds__(kReduceThreads)
reduceColumns(Op op, ReduceCuts cuts, int columns, const Element* x, typename Op::Whole* wholes, Out* out) {
  auto* shared = dynamicShared<typename Op::Whole>();
  int column = threadIdx.x % columns, rowsAtOnce = kReduceThreads / columns, own = threadIdx.x / columns;
  int64_t columnBlocks = ceilDivide(cuts.inner, columns), tasks = cuts.outer * cuts.chunks * columnBlocks;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    int64_t part = task / columnBlocks, at = task % columnBlocks * columns + column;  // part: of [outer, chunks]
    int64_t o = part / cuts.chunks, begin = part % cuts.chunks * cuts.chunkLength;
    int64_t end = own < rowsAtOnce && at < cuts.inner ? min(begin + cuts.chunkLength, cuts.length) : 0;
    typename Op::Part parts[kPartsAtOnce];
#pragma unroll
    for (int p = 0; p < kPartsAtOnce; ++p) parts[p] = op.none();
    const Element* from = x + o * cuts.length * cuts.inner + at;
    int64_t row = begin + own;
    for (; row + (kPartsAtOnce - 1) * rowsAtOnce < end; row += kPartsAtOnce * rowsAtOnce) {
      Element elements[kPartsAtOnce];
#pragma unroll
      for (int p = 0; p < kPartsAtOnce; ++p) elements[p] = from[(row + p * rowsAtOnce) * cuts.inner];
#pragma unroll
      for (int p = 0; p < kPartsAtOnce; ++p) parts[p] = op.take(parts[p], elements[p], row + p * rowsAtOnce);
    }
    for (; row < end; row += rowsAtOnce) parts[0] = op.take(parts[0], from[row * cuts.inner], row);
    __syncthreads();  // what the task before put there has been read
    shared[threadIdx.x] = op.join(op.join(op.whole(parts[0]), op.whole(parts[1])), op.join(op.whole(parts[2]), op.whole(parts[3])));
    for (int distance = kReduceThreads / 2; distance > 0; distance /= 2) {
      __syncthreads();
      if (own < distance && own + distance < rowsAtOnce) shared[threadIdx.x] = op.join(shared[threadIdx.x], shared[threadIdx.x + distance * columns]);
    }
    if (own != 0 || at >= cuts.inner) continue;
    if (cuts.chunks == 1) out[o * cuts.inner + at] = op.finish(shared[threadIdx.x]);
    else wholes[part * cuts.inner + at] = shared[threadIdx.x];
  }
}

/** A warp for each output joins what the chunks gave: wholes [outer, chunks, inner]. */
template <class Op, class Out>
__global__ void __launch_bounds__(kReduceThreads)
joinChunks(Op op, ReduceCuts cuts, const typename Op::Whole* wholes, Out* out) {
  int64_t warps = gridThreads() / kWarp;
  for (int64_t i = gridThread() / kWarp; i < cuts.outer * cuts.inner; i += warps) {
    int64_t o = i / cuts.inner;
    const auto* from = wholes + o * cuts.chunks * cuts.inner + i - o * cuts.inner;
    auto whole = op.whole(op.none());
    for (int64_t chunk = threadIdx.x % kWarp; chunk < cuts.chunks; chunk += kWarp) whole = op.join(whole, from[chunk * cuts.inner]);
    whole = joinWarp(op, whole);
    if (threadIdx.x % kWarp == 0) out[i] = op.finish(whole);
  }
}

template <int Threads, class Op, class Element, class Out>
Status launchLines(const Op& op, const ReduceCuts& cuts, const Element* x, typename Op::Whole* wholes, Out* out) {
  constexpr int kPack = 16 / sizeof(Element);
  Grid grid = elementGrid(cuts.outer * cuts.chunks * Threads, kReduceThreads);
  bool isInPacks = cuts.length % kPack == 0 && isPackAligned<kPack>(x);
  if (isInPacks) return launch(reduceLines<Threads, kPack, Op, Element, Out>, grid, op, cuts, x, wholes, out);
  return launch(reduceLines<Threads, 1, Op, Element, Out>, grid, op, cuts, x, wholes, out);
}

/** out [outer, inner] = op over the middle dimension of x [outer, length, inner]. */
template <class Op, class Element, class Out>
Status reduceMiddle(const Op& op, int64_t outer, int64_t length, int64_t inner, const Element* x, Out* out) {
  using Whole = typename Op::Whole;
  constexpr int64_t kShortLine = 16, kShortColumn = 64, kManyOutputs = 1 << 14, kWarpLine = 2048;
  constexpr int kLineElements = kReduceThreads * 4, kColumns = 32, kMostInner = 64;
  int64_t outputs = outer * inner;
  if (outputs == 0) return Status::ok();
  if (length <= kShortLine || (inner > 1 && length <= kShortColumn && outputs >= kManyOutputs))
    return launch(reduceEach<Op, Element, Out>, elementGrid(outputs, kReduceThreads), op, outer, length, Divider(inner), x, out);
  if (inner == 1 && length <= kWarpLine) {
    ReduceCuts whole(outer, length, 1, outer, length);
    return launchLines<kWarp>(op, whole, x, static_cast<Whole*>(nullptr), out);
  }
  int columns = static_cast<int>(inner <= kMostInner ? inner : kColumns);
  ReduceCuts cuts = inner == 1 ? ReduceCuts(outer, length, 1, outer, kLineElements)
                               : ReduceCuts(outer, length, inner, outer * ceilDivide(inner, columns), kReduceThreads / columns);
  Scratch scratch(cuts.chunks > 1 ? cuts.chunks * outputs * static_cast<int64_t>(sizeof(Whole)) : 1);
  if (!scratch.isOk()) return scratch.status("partial results of a reduction");
  auto* wholes = scratch.as<Whole>();
  if (inner == 1) {
    MOE_RETURN_IF_NOT_OK(launchLines<kReduceThreads>(op, cuts, x, wholes, out));
  } else {
    Grid grid = elementGrid(cuts.outer * cuts.chunks * ceilDivide(inner, columns) * kReduceThreads, kReduceThreads);
    grid.sharedBytes = kReduceThreads * sizeof(Whole);
    MOE_RETURN_IF_NOT_OK(launch(reduceColumns<Op, Element, Out>, grid, op, cuts, columns, x, wholes, out));
  }
  if (cuts.chunks == 1) return Status::ok();
  return launch(joinChunks<Op, Out>, elementGrid(outputs * kWarp, kReduceThreads), op, cuts, wholes, out);
}

/* The largest or smallest element and where it is. */

template <class Element>
struct Place {
  Element value;
  int32_t index;
};

template <class Element>
__device__ inline Place<Element> fromLaneXor(Place<Element> place, int bits) {
  return {__shfl_xor_sync(kAllLanes, place.value, bits), __shfl_xor_sync(kAllLanes, place.index, bits)};
}

/** Ties go to the lower index; NaN is passed over unless it comes first. */
template <bool Largest, class Element>
struct ExtremePlace {
  using Part = Place<Element>;
  using Whole = Place<Element>;

  __device__ Part none() const { return {Element{}, -1}; }
  /** A part's rows rise, so an equal one comes too late; nothing is better than a NaN. */
  __device__ Part take(Part best, Element x, int64_t row) const {
    bool isFirst = best.index < 0 && (row == 0 || x == x), isBetter = best.index >= 0 && (Largest ? x > best.value : x < best.value);
    if (isFirst || isBetter) best = {x, static_cast<int32_t>(row)};
    return best;
  }
  __device__ Whole whole(Part part) const { return part; }
  __device__ Whole join(Whole a, Whole b) const {
    if (b.index < 0) return a;
    if (a.index < 0) return b;
    bool isFirst = b.index < a.index;
    if (a.value != a.value || b.value != b.value) return isFirst ? b : a;  // only the first element may be NaN here
    bool isBetter = Largest ? b.value > a.value : b.value < a.value;
    return isBetter || (b.value == a.value && isFirst) ? b : a;
  }
  __device__ int32_t finish(Whole whole) const { return whole.index; }
};

}  // namespace moe::cuda
