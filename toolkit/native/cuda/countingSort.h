#pragma once
#include "scan.h"

/* A stable counting sort without atomics that change an order: each block counts the bins of its items, a scan over the
 * blocks gives each where its items of a bin begin, and within a block each warp places its items 32 at a time. */
namespace moe::cuda {

constexpr int kItemsOfThread = 16;
constexpr int kMostSortWarps = 8;

/** Bins of one sort: 64 KB of shared memory, for as many warps as find place. */
constexpr int64_t kMostBins = 16384;

/** Items of one warp lie together, those of a block too. */
__device__ inline int64_t firstItemOfWarp() {
  int64_t warps = blockDim.x / kWarp;
  return (blockIdx.x * warps + threadIdx.x / kWarp) * kItemsOfThread * kWarp + threadIdx.x % kWarp;
}

/** counts [bins, blocks]: the items of each bin in each block's part. */
template <class Bin>
__global__ void countBins(int64_t count, int bins, Bin bin, int32_t* counts) {
  auto* histogram = dynamicShared<int32_t>();
  for (int b = threadIdx.x; b < bins; b += blockDim.x) histogram[b] = 0;
  __syncthreads();
  int64_t first = firstItemOfWarp();
#pragma unroll
  for (int j = 0; j < kItemsOfThread; ++j) {
    int64_t item = first + j * kWarp;
    int own = item < count ? bin(item) : -1;
    if (own >= 0) atomicAdd(&histogram[own], 1);
  }
  __syncthreads();
  for (int b = threadIdx.x; b < bins; b += blockDim.x) counts[int64_t{b} * gridDim.x + blockIdx.x] = histogram[b];
}

/** counts [bins, blocks] become the sums over the blocks before; totals [bins]. One warp a bin. */
static __global__ void scanCounts(int bins, int64_t blocks, int32_t* counts, int32_t* totals) {
  int64_t bin = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (bin >= bins) return;
  int32_t sum = 0;
  for (int64_t start = 0; start < blocks; start += kWarp) {
    int64_t block = start + threadIdx.x % kWarp;
    int32_t* count = counts + bin * blocks + block;
    int32_t own = block < blocks ? *count : 0, upTo = warpInclusiveSum(own);
    if (block < blocks) *count = sum + upTo - own;
    sum += __shfl_sync(kAllLanes, upTo, kWarp - 1);
  }
  if (threadIdx.x % kWarp == 0) totals[bin] = sum;
}

/** starts [warps, bins] holds the items of each bin in each warp's part and becomes where the first of them goes.
 *  @returns how many items have a bin */
__device__ inline int32_t startsOfWarps(int bins, const int32_t* counts, const int32_t* totals, int32_t* starts, int32_t* offsets) {
  int warps = blockDim.x / kWarp;
  int32_t begin = 0;
  for (int first = 0; first < bins; first += blockDim.x) {
    int bin = first + threadIdx.x;
    int32_t items = 0, total;
    if (bin < bins && totals != nullptr) items = totals[bin];
    if (bin < bins && totals == nullptr)
      for (int warp = 0; warp < warps; ++warp) items += starts[warp * bins + bin];
    int32_t next = begin + blockExclusiveSum(items, total);
    begin += total;
    if (bin >= bins) continue;
    if (blockIdx.x == 0 && offsets != nullptr) offsets[bin] = next;
    if (counts != nullptr) next += counts[int64_t{bin} * gridDim.x + blockIdx.x];
    for (int warp = 0; warp < warps; ++warp) {
      int32_t own = starts[warp * bins + bin];
      starts[warp * bins + bin] = next;
      next += own;
    }
  }
  if (blockIdx.x == 0 && threadIdx.x == 0 && offsets != nullptr) offsets[bins] = begin;
  return begin;
}

/** Calls put(item, position, used) for each item, position −1 where it has no bin. counts and totals are null when the
 *  grid has one block. */
template <class Bin, class Put>
__global__ void placeItems(int64_t count, int bins, Bin bin, Put put, const int32_t* counts, const int32_t* totals, int32_t* offsets) {
  auto* starts = dynamicShared<int32_t>();
  int32_t* ofWarp = starts + threadIdx.x / kWarp * bins;
  int lane = threadIdx.x % kWarp;
  for (int b = lane; b < bins; b += kWarp) ofWarp[b] = 0;
  __syncwarp();
  int64_t first = firstItemOfWarp();
  int own[kItemsOfThread];
#pragma unroll
  for (int j = 0; j < kItemsOfThread; ++j) {
    int64_t item = first + j * kWarp;
    own[j] = item < count ? bin(item) : -1;
    if (own[j] >= 0) atomicAdd(&ofWarp[own[j]], 1);
  }
  __syncthreads();
  int32_t used = startsOfWarps(bins, counts, totals, starts, offsets);
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kItemsOfThread; ++j) {
    unsigned peers = __match_any_sync(kAllLanes, own[j]);
    int rank = __popc(peers & ((1u << lane) - 1));
    int32_t position = own[j] >= 0 ? ofWarp[own[j]] + rank : -1;
    __syncwarp();  // all have read where their bin stands
    if (own[j] >= 0 && rank == 0) ofWarp[own[j]] += __popc(peers);
    __syncwarp();
    int64_t item = first + j * kWarp;
    if (item < count) put(item, position, used);
  }
}

/** Sorts `count` < 2³¹ items by bin(item), which is in [0, bins) or −1 for none; bins ≤ kMostBins. put(item, position,
 *  used) gets each item's place among those that have a bin, and how many these are. offsets [bins + 1], where a bin's
 *  items begin, may be null. */
template <class Bin, class Put>
Status countingSort(int64_t count, int64_t bins, Bin bin, Put put, int32_t* offsets) {
  int warps = bins * kMostSortWarps <= kMostBins ? kMostSortWarps : 1;
  dim3 threads(static_cast<unsigned>(warps * kWarp));
  int64_t tile = int64_t{warps} * kWarp * kItemsOfThread;
  int64_t blocks = count > tile ? ceilDivide(count, tile) : 1;
  dim3 grid(static_cast<unsigned>(blocks));
  auto binBytes = static_cast<size_t>(bins) * 4;
  if (blocks == 1)
    return launch(placeItems<Bin, Put>, Grid{grid, threads, warps * binBytes}, count, bins, bin, put, nullptr, nullptr, offsets);
  Scratch counts(bins * blocks * 4 + 4), totals(bins * 4 + 4);
  if (!counts.isOk()) return counts.status("the counts of a sort");
  if (!totals.isOk()) return totals.status("the totals of a sort");
  MOE_RETURN_IF_NOT_OK(launch(countBins<Bin>, Grid{grid, threads, binBytes}, count, bins, bin, counts.as<int32_t>()));
  constexpr int kScanWarps = 8;
  dim3 scanGrid(static_cast<unsigned>(ceilDivide(bins, kScanWarps)));
  MOE_RETURN_IF_NOT_OK(launch(scanCounts, Grid{scanGrid, dim3(kScanWarps * kWarp)}, bins, blocks, counts.as<int32_t>(), totals.as<int32_t>()));
  return launch(placeItems<Bin, Put>, Grid{grid, threads, warps * binBytes}, count, bins, bin, put, counts.as<int32_t>(), totals.as<int32_t>(), offsets);
}

}  // namespace moe::cuda
