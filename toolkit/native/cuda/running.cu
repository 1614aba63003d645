#include "running.h"

#include "divider.h"
#include "elements.h"
#include "scan.h"

namespace moe::cuda {
namespace {

/* Sums of few long columns are cut into chunks: first the sum of each chunk, then the sums up to each, then all. Products
 * and what isn't cut run from the first element to the last. Integers are added as unsigned ones, which wrap. */

constexpr int kThreads = 256;
constexpr int kOfThread = 4;                    // neighbours that one thread adds up
constexpr int kTile = kThreads * kOfThread;

struct Run {
  int64_t outer, length, inner;
  bool isExclusive, isReversed;
  int64_t chunks, chunkLength;
  Divider columns;  // inner

  int64_t columnsOfAll() const { return outer * chunks * inner; }

  /** Where element `step` of the run is among those of its column. */
  __device__ int64_t rowOf(int64_t step) const { return isReversed ? length - 1 - step : step; }
};

struct Add {
  template <class Element>
  __device__ static Element none() { return Element{0}; }
  template <class Element>
  __device__ static Element join(Element a, Element b) { return a + b; }
};

struct Multiply {
  template <class Element>
  __device__ static Element none() { return Element{1}; }
  __device__ static float join(float a, float b) { return a * b; }
  /** Of int32: in float64 first, as JavaScript multiplies. */
  __device__ static uint32_t join(uint32_t a, uint32_t b) {
    double product = static_cast<double>(static_cast<int32_t>(a)) * static_cast<double>(static_cast<int32_t>(b));
    return static_cast<uint32_t>(static_cast<int64_t>(product));
  }
};

/** A thread runs through a chunk of a column. With `starts` [outer, chunks, inner] from what was before it; without `out`
 *  only the total is kept, in `totals`. */
template <class Op, class Element>
__global__ void __launch_bounds__(kThreads)
runColumns(const __grid_constant__ Run r, const Element* x, const Element* starts, Element* out, Element* totals) {
  for (int64_t i = gridThread(); i < r.outer * r.chunks * r.inner; i += gridThreads()) {
    int64_t part = r.columns.quotient(i), o = r.chunks == 1 ? part : part / r.chunks;
    int64_t column = o * r.length * r.inner + i - part * r.inner;
    int64_t begin = (part - o * r.chunks) * r.chunkLength, end = min(begin + r.chunkLength, r.length);
    Element total = starts != nullptr ? starts[i] : Op::template none<Element>();
#pragma unroll 4
    for (int64_t step = begin; step < end; ++step) {
      int64_t at = column + r.rowOf(step) * r.inner;
      Element next = Op::join(total, x[at]);
      if (out != nullptr) out[at] = r.isExclusive ? total : next;
      total = next;
    }
    if (totals != nullptr) totals[i] = total;
  }
}

/** A block runs through a chunk of a line (inner is 1), a tile at a time. */
template <class Element>
__global__ void __launch_bounds__(kThreads)
runLines(const __grid_constant__ Run r, const Element* x, const Element* starts, Element* out, Element* totals) {
  for (int64_t task = blockIdx.x; task < r.outer * r.chunks; task += gridDim.x) {
    int64_t o = task / r.chunks, begin = task % r.chunks * r.chunkLength, end = min(begin + r.chunkLength, r.length);
    Element carried = starts != nullptr ? starts[task] : Element{0};
    for (int64_t tile = begin; tile < end; tile += kTile) {
      int64_t first = tile + threadIdx.x * kOfThread;
      Element values[kOfThread], sum{0}, all;
#pragma unroll
      for (int i = 0; i < kOfThread; ++i) {
        values[i] = first + i < end ? x[o * r.length + r.rowOf(first + i)] : Element{0};
        sum += values[i];
      }
      Element total = carried + blockExclusiveSum(sum, all);
      carried += all;
#pragma unroll
      for (int i = 0; i < kOfThread; ++i) {
        Element next = total + values[i];
        if (out != nullptr && first + i < end) out[o * r.length + r.rowOf(first + i)] = r.isExclusive ? total : next;
        total = next;
      }
    }
    if (totals != nullptr && threadIdx.x == 0) totals[task] = carried;
  }
}

/** totals [outer, chunks, inner]: of each column, every total becomes the sum of those before it. */
template <class Element>
__global__ void __launch_bounds__(kThreads)
addUpTotals(const __grid_constant__ Run r, Element* totals) {
  for (int64_t i = gridThread(); i < r.outer * r.inner; i += gridThreads()) {
    int64_t o = r.columns.quotient(i);
    Element* own = totals + o * r.chunks * r.inner + i - o * r.inner;
    Element sum{0};
    for (int64_t chunk = 0; chunk < r.chunks; ++chunk) {
      Element total = own[chunk * r.inner];
      own[chunk * r.inner] = sum;
      sum += total;
    }
  }
}

template <class Element>
Status runSums(const Run& r, const Element* x, const Element* starts, Element* out, Element* totals) {
  if (r.inner == 1) return launch(runLines<Element>, elementGrid(r.columnsOfAll() * kThreads, kThreads), r, x, starts, out, totals);
  return launch(runColumns<Add, Element>, elementGrid(r.columnsOfAll(), kThreads), r, x, starts, out, totals);
}

/** Chunks that make enough work for a device out of few columns; the sizes alone decide. */
int64_t chunksOf(const Running& running) {
  constexpr int64_t kWantedThreads = 1 << 17, kShortLine = 8 * kTile, kShortColumn = 64, kMostChunks = 512;
  int64_t threads = running.inner == 1 ? running.outer * kThreads : running.outer * running.inner;
  int64_t most = running.length / (running.inner == 1 ? kShortLine : kShortColumn);
  int64_t chunks = ceilDivide(kWantedThreads, threads > 0 ? threads : 1);
  if (chunks > most) chunks = most;
  return chunks < 1 ? 1 : chunks < kMostChunks ? chunks : kMostChunks;
}

template <class Element>
Status run(const Running& running, const Element* x, Element* out) {
  Run r = {running.outer, running.length, running.inner, running.isExclusive, running.isReversed, 1, running.length, Divider(running.inner)};
  if (r.outer * r.length * r.inner == 0) return Status::ok();
  Element* nothing = nullptr;
  if (running.ofProducts) return launch(runColumns<Multiply, Element>, elementGrid(r.columnsOfAll(), kThreads), r, x, nothing, out, nothing);
  r.chunkLength = ceilDivide(r.length, chunksOf(running));
  r.chunks = ceilDivide(r.length, r.chunkLength);
  if (r.chunks == 1) return runSums<Element>(r, x, nothing, out, nothing);
  Scratch scratch(r.columnsOfAll() * 4);
  if (!scratch.isOk()) return scratch.status("the sums of parts of a running sum");
  Element* totals = scratch.as<Element>();
  MOE_RETURN_IF_NOT_OK(runSums<Element>(r, x, nothing, nothing, totals));
  MOE_RETURN_IF_NOT_OK(launch(addUpTotals<Element>, elementGrid(r.outer * r.inner, kThreads), r, totals));
  return runSums<Element>(r, x, totals, out, nothing);
}

}  // namespace

Status runFloats(const Running& running, const float* x, float* out) { return run(running, x, out); }

Status runInts(const Running& running, const int32_t* x, int32_t* out) {
  return run(running, reinterpret_cast<const uint32_t*>(x), reinterpret_cast<uint32_t*>(out));
}

}  // namespace moe::cuda
