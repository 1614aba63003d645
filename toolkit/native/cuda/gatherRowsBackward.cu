/* The gradient of a table of rows: the ids are sorted, so that the rows of dy with one id lie together in their order; equal
 * pieces of that order are summed side by side, and what crosses their borders is put together afterwards. */
#include <bit>

#include "dispatch.h"
#include "rows.h"
#include "sort.h"
#include "transfers.h"

namespace moe::cuda {
namespace {

constexpr int kChunk = 32;  // sorted rows that a block adds up
constexpr int kBatch = 4;   // of them, loads under way at once

/** Items and their ids. A bad id counts as `rows`, behind all others. */
__global__ void __launch_bounds__(kRowThreads)
keysOfIds(const int32_t* ids, int64_t count, uint32_t rows, Pairs pairs, IndexError* error) {
  int64_t i = int64_t{blockIdx.x} * kRowThreads + threadIdx.x;
  if (i >= count) return;
  auto id = static_cast<uint32_t>(ids[i]);  // a negative one is above all others
  if (id >= rows) noteBadIndex(error, ids[i], rows);
  pairs.keys[i] = min(id, rows), pairs.values[i] = static_cast<int32_t>(i);
}

/** W adjacent floats that one access moves. */
template <int W>
struct alignas(W * 4) Floats {
  float at[W];
};

template <int W>
__device__ inline Floats<W>& floatsAt(float* array, int64_t index) { return *reinterpret_cast<Floats<W>*>(array + index); }
template <int W>
__device__ inline const Floats<W>& floatsAt(const float* array, int64_t index) { return *reinterpret_cast<const Floats<W>*>(array + index); }

/** A block has a chunk, a thread W columns. Sums of ids that lie in the chunk alone go to dx, those that begin before it
 *  to partial [chunks, 2, C] first, those that only go on behind it there second. */
template <int W>
__global__ void sumChunks(const int32_t* order, const uint32_t* ids, const float* dy, int64_t count, uint32_t rows, int64_t C, float* partial, float* dx) {
  int64_t c = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * W, begin = int64_t{blockIdx.x} * kChunk;
  if (c >= C) return;
  int n = static_cast<int>(min(int64_t{kChunk}, count - begin));
  bool isGoingOn = begin > 0 && ids[begin - 1] == ids[begin];
  Floats<W> sum{};
  for (int first = 0; first < n; first += kBatch) {
    Floats<W> row[kBatch] = {};
#pragma unroll
    for (int j = 0; j < kBatch; ++j)
      if (first + j < n) row[j] = floatsAt<W>(dy, order[begin + first + j] * C + c);
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      int64_t place = begin + first + j;
      if (first + j >= n) break;
#pragma unroll
      for (int i = 0; i < W; ++i) sum.at[i] += row[j].at[i];
      uint32_t id = ids[place];
      bool isSame = place + 1 < count && ids[place + 1] == id;
      if (isSame && first + j + 1 < n) continue;
      if (isGoingOn)
        floatsAt<W>(partial, begin / kChunk * 2 * C + c) = sum;
      else if (isSame)
        floatsAt<W>(partial, (begin / kChunk * 2 + 1) * C + c) = sum;
      else if (id < rows)
        floatsAt<W>(dx, id * C + c) = sum;
      isGoingOn = false;
      sum = {};
    }
  }
}

/** The first place behind `place` that has another id. */
__device__ inline int64_t endOfId(const uint32_t* ids, int64_t place, int64_t count) {
  uint32_t id = ids[place];
  int64_t same = place, other = count;
  while (other - same > 1) {
    int64_t middle = (same + other) / 2;
    if (ids[middle] == id)
      same = middle;
    else
      other = middle;
  }
  return other;
}

/** A block has the id that begins in its chunk and goes on behind it, if there is one. */
template <int W>
__global__ void joinChunks(const uint32_t* ids, int64_t count, uint32_t rows, int64_t C, const float* partial, float* dx) {
  int64_t c = (int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * W, chunk = blockIdx.x;
  int64_t last = (chunk + 1) * kChunk - 1;
  if (c >= C || last + 1 >= count) return;
  uint32_t id = ids[last];
  bool hasBegunBefore = chunk > 0 && ids[chunk * kChunk] == id && ids[chunk * kChunk - 1] == id;
  if (ids[last + 1] != id || hasBegunBefore || id >= rows) return;
  int64_t lastChunk = (endOfId(ids, last, count) - 1) / kChunk;
  Floats<W> sum = floatsAt<W>(partial, (chunk * 2 + 1) * C + c);
#pragma unroll 4
  for (int64_t next = chunk + 1; next <= lastChunk; ++next) {
    Floats<W> more = floatsAt<W>(partial, next * 2 * C + c);
#pragma unroll
    for (int i = 0; i < W; ++i) sum.at[i] += more.at[i];
  }
  floatsAt<W>(dx, id * C + c) = sum;
}

template <int W>
Status sumSorted(const int32_t* sorted, const uint32_t* sortedIds, const float* dy, int64_t count, uint32_t rows, int64_t C, float* dx) {
  int64_t chunks = ceilDivide(count, kChunk), columns = ceilDivide(C, W);
  Scratch partial(chunks * 2 * C * 4);
  if (!partial.isOk()) return partial.status("the partial sums of an embedding's gradient");
  int64_t threads = columns < kRowThreads ? ceilDivide(columns, kWarp) * kWarp : kRowThreads;
  Grid grid{dim3(static_cast<unsigned>(chunks), static_cast<unsigned>(ceilDivide(columns, threads))), dim3(static_cast<unsigned>(threads))};
  MOE_RETURN_IF_NOT_OK(launch(sumChunks<W>, grid, sorted, sortedIds, dy, count, rows, C, partial.as<float>(), dx));
  return launch(joinChunks<W>, grid, sortedIds, count, rows, C, partial.as<float>(), dx);
}

}  // namespace

Status gatherRowsBackward(const int32_t* ids, const float* dy, int64_t rows, int64_t count, int64_t C, float* dx) {
  if (count > INT32_MAX) return Status::outOfRange("count", count, 0, INT32_MAX);
  MOE_RETURN_IF_NOT_OK(clearOnDevice(dx, rows * C * 4));
  if (count == 0 || C == 0 || rows == 0) return Status::ok();
  constexpr int64_t kMostRows = int64_t{1} << 31;  // that an id can name
  auto rowCount = static_cast<uint32_t>(rows < kMostRows ? rows : kMostRows);
  int64_t arrayBytes = ceilDivide(count * 4, 256) * 256;
  Scratch pairs(4 * arrayBytes);
  if (!pairs.isOk()) return pairs.status("the order of an embedding's gradient");
  Pairs given{pairs.as<uint32_t>(), pairs.as<int32_t>(arrayBytes)}, spare{pairs.as<uint32_t>(2 * arrayBytes), pairs.as<int32_t>(3 * arrayBytes)}, sorted;
  Grid grid{dim3(static_cast<unsigned>(ceilDivide(count, kRowThreads))), dim3(kRowThreads)};
  MOE_RETURN_IF_NOT_OK(launch(keysOfIds, grid, ids, count, rowCount, given, indexError()));
  MOE_RETURN_IF_NOT_OK(sortPairs(count, std::bit_width(rowCount), given, spare, sorted));
  auto sum = C % 4 == 0 && areAligned(dy, dx) ? sumSorted<4> : sumSorted<1>;
  return sum(sorted.values, sorted.keys, dy, count, rowCount, C, dx);
}

}  // namespace moe::cuda
