#include "elements.h"
#include "integers.h"
#include "reduction.h"
#include "scan.h"
#include "sort.h"

namespace moe::cuda {
namespace {

/* An entry of a row as one number: what comes earlier in the result is larger. The value's order is in the upper half,
 * the index, turned round, in the lower one, so no two entries are equal and no result depends on the order of threads. */
using Entry = unsigned long long;

/** Numbers that rise as the values do; 0 and −0 are the same, NaN is below all. */
__device__ inline uint32_t orderOf(float x) {
  if (x != x) return 0;
  uint32_t bits = x == 0.0f ? 0 : __float_as_uint(x);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ inline uint32_t orderOf(int32_t x) { return static_cast<uint32_t>(x) ^ 0x80000000u; }

__device__ inline Entry entryOf(uint32_t order, int64_t index) { return Entry{order} << 32 | ~static_cast<uint32_t>(index); }
__device__ inline int32_t indexOf(Entry entry) { return static_cast<int32_t>(~static_cast<uint32_t>(entry)); }
constexpr Entry kNoEntry = 0;  // an index has 31 bits: turned round it isn't 0

template <class Element>
struct Rows {
  int64_t rows, columns, k;
  const Element* x;
  Element* values;
  int32_t* indices;

  __device__ void put(int64_t row, int64_t place, Entry entry) const {
    int32_t index = indexOf(entry);
    values[row * k + place] = x[row * columns + index];
    indices[row * k + place] = index;
  }
};

/** Rows of at most 32: a warp sorts one, each lane has an entry. Bitonic, largest first: K. Batcher 1968,
 *  doi:10.1145/1468075.1468121 */
template <class Element>
__global__ void __launch_bounds__(kElementThreads)
sortShort(Rows<Element> r) {
  int lane = threadIdx.x % kWarp;
  for (int64_t row = gridThread() / kWarp; row < r.rows; row += gridThreads() / kWarp) {
    Entry entry = lane < r.columns ? entryOf(orderOf(r.x[row * r.columns + lane]), lane) : kNoEntry;
#pragma unroll
    for (int size = 2; size <= kWarp; size *= 2)
#pragma unroll
      for (int distance = size / 2; distance > 0; distance /= 2) {
        Entry other = __shfl_xor_sync(kAllLanes, entry, distance);
        bool takesLarger = ((lane & distance) == 0) == ((lane & size) == 0);
        if (takesLarger == (other > entry)) entry = other;
      }
    if (lane < r.k) r.put(row, lane, entry);
  }
}

/** Sorts `size` entries, a power of two, largest first; `pair` is the thread's number among at least size / 2, or among
 *  `pairs` that go round. */
__device__ inline void sortEntries(Entry* entries, int size, int pair, int pairs) {
  for (int run = 2; run <= size; run *= 2)
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int p = pair; p < size / 2; p += pairs) {
        int i = 2 * p - (p & (distance - 1)), j = i + distance;
        Entry a = entries[i], b = entries[j];
        if ((a < b) == ((i & run) == 0)) entries[i] = b, entries[j] = a;
      }
      __syncthreads();
    }
}

constexpr int kMostSorted = 2048;  // entries in shared memory
constexpr int kMostThreads = 1024;

/** Rows of at most kMostSorted: blockDim.y of them at a time in a block. */
template <class Element>
__global__ void __launch_bounds__(kMostThreads)
sortMiddle(Rows<Element> r, int size) {
  Entry* entries = dynamicShared<Entry>() + static_cast<size_t>(threadIdx.y) * size;
  for (int64_t first = int64_t{blockIdx.x} * blockDim.y; first < r.rows; first += int64_t{gridDim.x} * blockDim.y) {
    int64_t row = first + threadIdx.y;
    for (int c = threadIdx.x; c < size; c += blockDim.x)
      entries[c] = row < r.rows && c < r.columns ? entryOf(orderOf(r.x[row * r.columns + c]), c) : kNoEntry;
    __syncthreads();
    sortEntries(entries, size, threadIdx.x, blockDim.x);
    if (row < r.rows)
      for (int c = threadIdx.x; c < r.k; c += blockDim.x) r.put(row, c, entries[c]);
    __syncthreads();
  }
}

constexpr int kDigits = 256;

/** The order of the k-th largest of a row, and how many of that order belong to the k largest. */
struct Limit {
  uint32_t order;
  int64_t wanted;
};

/** Digit by digit from the highest: those of the entries that begin as the limit does are counted. */
template <class Element>
__device__ inline Limit findLimit(const Rows<Element>& r, const Element* row, unsigned (&counts)[kDigits], Limit& shared) {
  Limit limit = {0, r.k};
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int d = threadIdx.x; d < kDigits; d += blockDim.x) counts[d] = 0;
    __syncthreads();
    uint32_t above = shift == 24 ? 0 : ~0u << (shift + 8);
    for (int64_t c = threadIdx.x; c < r.columns; c += blockDim.x) {
      uint32_t order = orderOf(row[c]);
      if ((order & above) == limit.order) atomicAdd(&counts[order >> shift & (kDigits - 1)], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int digit = kDigits - 1;
      while (digit > 0 && counts[digit] < limit.wanted) limit.wanted -= counts[digit--];
      shared = {limit.order | static_cast<uint32_t>(digit) << shift, limit.wanted};
    }
    __syncthreads();
    limit = shared;
  }
  return limit;
}

/** Longer rows, of which at most kMostSorted are asked for: a block finds the limit, takes what is above it and the first
 *  of what is equal, and sorts that. */
template <class Element>
__global__ void __launch_bounds__(kMostThreads)
selectLong(Rows<Element> r, int size) {
  __shared__ unsigned counts[kDigits];
  __shared__ Limit shared;
  __shared__ unsigned taken;
  Entry* entries = dynamicShared<Entry>();
  for (int64_t row = blockIdx.x; row < r.rows; row += gridDim.x) {
    const Element* from = r.x + row * r.columns;
    Limit limit = findLimit(r, from, counts, shared);
    for (int i = threadIdx.x; i < size; i += blockDim.x) entries[i] = kNoEntry;
    if (threadIdx.x == 0) taken = 0;
    __syncthreads();
    int64_t equal = 0;  // found so far
    for (int64_t start = 0; start < r.columns; start += blockDim.x) {
      int64_t c = start + threadIdx.x;
      uint32_t order = c < r.columns ? orderOf(from[c]) : 0;
      if (c < r.columns && order > limit.order) entries[atomicAdd(&taken, 1u)] = entryOf(order, c);
      if (equal >= limit.wanted) continue;  // for all threads at the same time
      int found;
      int64_t before = equal + blockExclusiveSum(static_cast<int>(c < r.columns && order == limit.order), found);
      if (c < r.columns && order == limit.order && before < limit.wanted) entries[r.k - limit.wanted + before] = entryOf(order, c);
      equal += found;
    }
    __syncthreads();
    sortEntries(entries, size, threadIdx.x, blockDim.x);
    for (int i = threadIdx.x; i < r.k; i += blockDim.x) r.put(row, i, entries[i]);
    __syncthreads();
  }
}

/** Keys that rise as the order falls. */
template <class Element>
__global__ void __launch_bounds__(kElementThreads)
makeKeys(int64_t columns, const Element* row, Pairs pairs) {
  for (int64_t c = gridThread(); c < columns; c += gridThreads()) pairs.keys[c] = ~orderOf(row[c]), pairs.values[c] = static_cast<int32_t>(c);
}

template <class Element>
__global__ void __launch_bounds__(kElementThreads)
takeSorted(int64_t k, const Element* row, const int32_t* order, Element* values, int32_t* indices) {
  for (int64_t i = gridThread(); i < k; i += gridThreads()) values[i] = row[order[i]], indices[i] = order[i];
}

/** Long rows of which many are asked for are sorted, one after the other. */
template <class Element>
Status sortLong(const Rows<Element>& r) {
  int64_t listBytes = ceilDivide(r.columns, 64) * 256;
  Scratch lists(4 * listBytes);
  if (!lists.isOk()) return lists.status("the order of a row in topK");
  Pairs given = {lists.as<uint32_t>(), lists.as<int32_t>(listBytes)};
  Pairs spare = {lists.as<uint32_t>(2 * listBytes), lists.as<int32_t>(3 * listBytes)};
  for (int64_t row = 0; row < r.rows; ++row) {
    const Element* from = r.x + row * r.columns;
    Pairs sorted;
    MOE_RETURN_IF_NOT_OK(launch(makeKeys<Element>, elementGrid(r.columns), r.columns, from, given));
    MOE_RETURN_IF_NOT_OK(sortPairs(r.columns, 32, given, spare, sorted));
    MOE_RETURN_IF_NOT_OK(launch(takeSorted<Element>, elementGrid(r.k), r.k, from, sorted.values, r.values + row * r.k, r.indices + row * r.k));
  }
  return Status::ok();
}

int powerOfTwo(int64_t atLeast) {
  int power = kWarp;
  while (power < atLeast) power *= 2;
  return power;
}

template <class Element>
Status run(const Rows<Element>& r) {
  if (r.k < 1 || r.k > r.columns) return Status::outOfRange("k", r.k, 1, r.columns);
  if (r.columns > INT32_MAX) return Status::outOfRange("columns", r.columns, 1, INT32_MAX);
  if (r.columns <= kWarp) return launch(sortShort<Element>, elementGrid(r.rows * kWarp), r);
  if (r.columns <= kMostSorted) {
    int size = powerOfTwo(r.columns), threads = size / 2, rows = threads < kElementThreads ? kElementThreads / threads : 1;
    Grid grid = elementGrid(ceilDivide(r.rows, rows), 1);
    grid.threads = dim3(static_cast<unsigned>(threads), static_cast<unsigned>(rows));
    grid.sharedBytes = static_cast<size_t>(rows * size) * sizeof(Entry);
    return launch(sortMiddle<Element>, grid, r, size);
  }
  if (r.k > kMostSorted) return sortLong(r);
  Grid grid = elementGrid(r.rows, 1);
  grid.threads = dim3(kMostThreads);
  int size = powerOfTwo(r.k);
  grid.sharedBytes = static_cast<size_t>(size) * sizeof(Entry);
  return launch(selectLong<Element>, grid, r, size);
}

}  // namespace

Status largestOfRows(int64_t rows, int64_t columns, int64_t k, const float* x, float* values, int32_t* indices) {
  return run(Rows<float>{rows, columns, k, x, values, indices});
}

Status largestIntsOfRows(int64_t rows, int64_t columns, int64_t k, const int32_t* x, int32_t* values, int32_t* indices) {
  return run(Rows<int32_t>{rows, columns, k, x, values, indices});
}

}  // namespace moe::cuda
