#include "sort.h"

#include "scan.h"

/* Radix sort from the lowest digit to the highest: each pass counts the digits of each block's pairs, adds the counts up
 * to places, and puts the pairs there in their order. Source: Knuth, The Art of Computer Programming 3, §5.2.5. */
namespace moe::cuda {
namespace {

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;
constexpr int kThreads = kDigits;  // a thread owns a digit
constexpr int kWarps = kThreads / kWarp;
constexpr int kRounds = 8;                       // pairs of a thread
constexpr int kTilePairs = kThreads * kRounds;   // 2048
constexpr int64_t kMostBlocks = 512;
constexpr unsigned kNoDigit = kDigits;           // behind the last pair

/** A block's tile of pairs, in registers: warp w has pairs w · 256 … of it, lane l of round r the one at r · 32 + l. */
struct Tile {
  uint32_t keys[kRounds];
  int32_t values[kRounds];
  unsigned digits[kRounds];
  int places[kRounds];  // among the pairs of the tile

  __device__ static int pairAt(int round) { return threadIdx.x / kWarp * (kWarp * kRounds) + round * kWarp + threadIdx.x % kWarp; }

  __device__ void load(const uint32_t* fromKeys, const int32_t* fromValues, int64_t left, int shift) {
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      bool isThere = pairAt(r) < left;
      keys[r] = isThere ? fromKeys[pairAt(r)] : 0;
      values[r] = isThere ? fromValues[pairAt(r)] : 0;
      digits[r] = isThere ? keys[r] >> shift & (kDigits - 1) : kNoDigit;
    }
  }

  /** Fills `places` with how many pairs of the same warp and digit come before, and `counts` with those of each warp. */
  __device__ void rank(int (&counts)[kWarps][kDigits]) {
    int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    for (int w = 0; w < kWarps; ++w) counts[w][threadIdx.x] = 0;
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      unsigned peers = __match_any_sync(kAllLanes, digits[r]);
      int before = __popc(peers & ((1u << lane) - 1));
      int earlier = digits[r] == kNoDigit ? 0 : counts[warp][digits[r]];
      __syncwarp();
      if (before == 0 && digits[r] != kNoDigit) counts[warp][digits[r]] = earlier + __popc(peers);
      __syncwarp();
      places[r] = earlier + before;
    }
    __syncthreads();
  }
};

/** Turns the counts of a digit, one for each warp, into where each warp's pairs begin; returns where the next begin. */
__device__ inline int64_t spreadCounts(int (&counts)[kWarps][kDigits], int64_t start, int64_t (&starts)[kWarps][kDigits]) {
  for (int w = 0; w < kWarps; ++w) {
    starts[w][threadIdx.x] = start;
    start += counts[w][threadIdx.x];
  }
  return start;
}

/** At most one tile: all passes in one block. */
__global__ void __launch_bounds__(kThreads)
sortTile(int64_t count, int passes, Pairs given) {
  __shared__ int counts[kWarps][kDigits];
  __shared__ int64_t starts[kWarps][kDigits];
  __shared__ uint32_t keys[kTilePairs];
  __shared__ int32_t values[kTilePairs];
  for (int64_t i = threadIdx.x; i < count; i += kThreads) keys[i] = given.keys[i], values[i] = given.values[i];
  __syncthreads();
  Tile tile;
  for (int pass = 0; pass < passes; ++pass) {
    tile.load(keys, values, count, pass * kDigitBits);
    tile.rank(counts);
    int own = 0, all;
    for (int w = 0; w < kWarps; ++w) own += counts[w][threadIdx.x];
    spreadCounts(counts, blockExclusiveSum(own, all), starts);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      if (tile.digits[r] == kNoDigit) continue;
      int64_t at = starts[threadIdx.x / kWarp][tile.digits[r]] + tile.places[r];
      keys[at] = tile.keys[r], values[at] = tile.values[r];
    }
    __syncthreads();
  }
  for (int64_t i = threadIdx.x; i < count; i += kThreads) given.keys[i] = keys[i], given.values[i] = values[i];
}

/** counts [digits, blocks] */
__global__ void __launch_bounds__(kThreads)
countDigits(int64_t count, int64_t pairsOfBlock, int shift, const uint32_t* keys, int64_t* counts) {
  __shared__ int own[kDigits];
  own[threadIdx.x] = 0;
  __syncthreads();
  int64_t begin = blockIdx.x * pairsOfBlock, end = min(begin + pairsOfBlock, count);
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) atomicAdd(&own[keys[i] >> shift & (kDigits - 1)], 1);
  __syncthreads();
  counts[int64_t{threadIdx.x} * gridDim.x + blockIdx.x] = own[threadIdx.x];
}

constexpr int kScanThreads = 1024;

/** Each count becomes the sum of those before it. One block. */
__global__ void __launch_bounds__(kScanThreads)
addUpCounts(int64_t length, int64_t* counts) {
  int64_t carried = 0;
  for (int64_t start = 0; start < length; start += kScanThreads) {
    int64_t i = start + threadIdx.x, total;
    int64_t before = blockExclusiveSum(i < length ? counts[i] : int64_t{0}, total);
    if (i < length) counts[i] = carried + before;
    carried += total;
  }
}

__global__ void __launch_bounds__(kThreads)
placePairs(int64_t count, int64_t pairsOfBlock, int shift, Pairs from, Pairs to, const int64_t* places) {
  __shared__ int counts[kWarps][kDigits];
  __shared__ int64_t starts[kWarps][kDigits];
  int64_t next = places[int64_t{threadIdx.x} * gridDim.x + blockIdx.x];
  int64_t begin = blockIdx.x * pairsOfBlock, end = min(begin + pairsOfBlock, count);
  Tile tile;
  for (int64_t start = begin; start < end; start += kTilePairs) {
    tile.load(from.keys + start, from.values + start, end - start, shift);
    tile.rank(counts);
    next = spreadCounts(counts, next, starts);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      if (tile.digits[r] == kNoDigit) continue;
      int64_t at = starts[threadIdx.x / kWarp][tile.digits[r]] + tile.places[r];
      to.keys[at] = tile.keys[r], to.values[at] = tile.values[r];
    }
    __syncthreads();
  }
}

}  // namespace

Status sortPairs(int64_t count, int keyBits, const Pairs& given, const Pairs& spare, Pairs& sorted) {
  int passes = (keyBits + kDigitBits - 1) / kDigitBits;
  sorted = given;
  if (count <= kTilePairs) return launch(sortTile, Grid{dim3(count > 0), dim3(kThreads)}, count, passes, given);
  int64_t pairsOfBlock = ceilDivide(ceilDivide(count, kMostBlocks), kTilePairs) * kTilePairs;
  int64_t blocks = ceilDivide(count, pairsOfBlock);
  Scratch counts(kDigits * blocks * 8);
  if (!counts.isOk()) return counts.status("the digits of a sort");
  auto* places = counts.as<int64_t>();
  Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads)};
  Pairs other = spare;
  for (int pass = 0; pass < passes; ++pass) {
    int shift = pass * kDigitBits;
    MOE_RETURN_IF_NOT_OK(launch(countDigits, grid, count, pairsOfBlock, shift, sorted.keys, places));
    MOE_RETURN_IF_NOT_OK(launch(addUpCounts, Grid{dim3(1), dim3(kScanThreads)}, kDigits * blocks, places));
    MOE_RETURN_IF_NOT_OK(launch(placePairs, grid, count, pairsOfBlock, shift, sorted, other, places));
    Pairs result = other;
    other = sorted, sorted = result;
  }
  return Status::ok();
}

}  // namespace moe::cuda
