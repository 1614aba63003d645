#include "choices.h"

#include "choiceSums.h"
#include "countingSort.h"
#include "sort.h"
#include "transfers.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRowsOfBlock = kThreads / kWarp;

/** Orders doubles as whole numbers: larger double, larger key; −0 and +0 are equal, NaN is below all. −infinity,
 *  which closes, has key 0. */
__device__ inline uint64_t orderKey(double score) {
  if (score == -INFINITY) return 0;
  if (score != score) return 1;
  auto bits = static_cast<uint64_t>(__double_as_longlong(score + 0.0));
  return (bits >> 63) != 0 ? ~bits : bits | uint64_t{1} << 63;
}

/** A place among others and its key; key 0 is none. Of equal keys the lower place comes first. */
struct Candidate {
  uint64_t key = 0;
  int place = INT32_MAX;
};

__device__ inline bool isBefore(Candidate a, Candidate b) { return a.key > b.key || (a.key == b.key && a.place < b.place); }

__device__ inline Candidate firstOfWarp(Candidate own) {
#pragma unroll
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    Candidate other;
    other.key = __shfl_xor_sync(kAllLanes, own.key, bits);
    other.place = __shfl_xor_sync(kAllLanes, own.place, bits);
    if (isBefore(other, own)) own = other;
  }
  return own;
}

/** A warp takes the K best of `count` places by keyAt(place), best first: take(k, place), −1 where fewer are open. */
template <class KeyAt, class Take>
__device__ inline void takeBest(int count, int K, KeyAt keyAt, Take take) {
  int lane = threadIdx.x % kWarp;
  auto next = [&](Candidate last, bool isStart) {
    Candidate best;
    for (int place = lane; place < count; place += kWarp) {
      Candidate own;
      own.key = keyAt(place), own.place = place;
      if (own.key != 0 && (isStart || isBefore(last, own)) && isBefore(own, best)) best = own;
    }
    return best;
  };
  Candidate best = next(Candidate{}, true);
  for (int k = 0; k < K; ++k) {
    Candidate taken = firstOfWarp(best);
    take(k, taken.key != 0 ? taken.place : -1);
    if (taken.key != 0 && best.place == taken.place) best = next(taken, false);
  }
}

/** Of the scores of a group its largest, or the sum of the two largest; a NaN is passed over. In every lane of the warp. */
template <class ScoreAt>
__device__ inline double scoreOfGroup(int size, int summed, ScoreAt scoreAt) {
  double best = -INFINITY, second = -INFINITY;
  for (int i = threadIdx.x % kWarp; i < size; i += kWarp) {
    double score = scoreAt(i);
    if (score > best)
      second = best, best = score;
    else if (score > second)
      second = score;
  }
#pragma unroll
  for (int bits = kWarp / 2; bits > 0; bits /= 2) {
    double otherBest = __shfl_xor_sync(kAllLanes, best, bits), otherSecond = __shfl_xor_sync(kAllLanes, second, bits);
    second = fmax(fmin(best, otherBest), fmax(second, otherSecond));
    best = fmax(best, otherBest);
  }
  return summed == 2 && second != -INFINITY ? best + second : best;
}

/** One warp a row. Shared memory for each: the groups' keys [numGroups], and whether each is open. */
__global__ void __launch_bounds__(kThreads)
selectRows(const float* scores, const float* bias, int64_t N, int E, int K, int numGroups, int groupsPerToken, int summed, int32_t* ids) {
  int64_t n = int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  int lane = threadIdx.x % kWarp, size = numGroups > 0 ? E / numGroups : E;
  if (n >= N) return;
  auto* keys = dynamicShared<uint64_t>() + threadIdx.x / kWarp * 2 * numGroups;
  uint64_t* isOpen = keys + numGroups;
  const float* row = scores + n * E;
  auto scoreAt = [&](int e) { return static_cast<double>(__ldg(row + e)) + (bias != nullptr ? static_cast<double>(__ldg(bias + e)) : 0.0); };
  for (int g = 0; g < numGroups; ++g) {
    double score = scoreOfGroup(size, summed, [&](int i) { return scoreAt(g * size + i); });
    if (lane == 0) keys[g] = orderKey(score), isOpen[g] = 0;
  }
  __syncwarp();
  if (numGroups > 0) {
    takeBest(numGroups, groupsPerToken, [&](int g) { return keys[g]; },
             [&](int, int g) {
               if (lane == 0 && g >= 0) isOpen[g] = 1;
             });
    __syncwarp();
  }
  takeBest(E, K, [&](int e) { return numGroups == 0 || isOpen[e / size] != 0 ? orderKey(scoreAt(e)) : 0; },
           [&](int k, int e) {
             if (lane == k % kWarp) ids[n * K + k] = e;
           });
}

/** A thread has a choice. */
__global__ void __launch_bounds__(kThreads)
readChosen(const float* scores, const int32_t* ids, int64_t choices, int64_t K, int64_t E, float* y, IndexError* error) {
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= choices) return;
  int32_t id = ids[i];
  bool isThere = id >= 0 && id < E;
  if (!isThere && id != -1) noteBadIndex(error, id, E);
  y[i] = isThere ? __ldg(scores + i / K * E + id) : 0.0f;
}

/** A thread has a row of dScores, which is zeros before. */
__global__ void __launch_bounds__(kThreads)
addChosen(const int32_t* ids, const float* dy, int64_t N, int64_t K, int64_t E, float* dScores, IndexError* error) {
  int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= N) return;
  for (int64_t i = n * K; i < (n + 1) * K; ++i) {
    int32_t id = ids[i];
    if (id >= 0 && id < E)
      dScores[n * E + id] += dy[i];
    else if (id != -1)
      noteBadIndex(error, id, E);
  }
}

/** counts [B, E]; a warp has one. */
__global__ void __launch_bounds__(kThreads)
joinCounts(const double* sums, int64_t B, int64_t parts, int64_t E, float* counts) {
  int64_t i = int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (i >= B * E) return;
  double sum = sumOfParts(sums, i / E, parts, 0, E, i % E);
  if (threadIdx.x % kWarp == 0) counts[i] = static_cast<float>(sum);
}

/** Sorted upwards, these keys are weights from the largest to the smallest, NaN last. */
__global__ void __launch_bounds__(kThreads)
keysOfWeights(const float* weights, int64_t count, Pairs pairs) {
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  float weight = weights[i] + 0.0f;
  unsigned bits = __float_as_uint(weight);
  pairs.keys[i] = weight != weight ? 0xffffffffu : (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
  pairs.values[i] = static_cast<int32_t>(i);
}

/** The expert of the choice at a place of the order; order is null where they stay as they are. */
struct ExpertOf {
  const int32_t *ids, *order;
  int64_t E;
  IndexError* error;

  __device__ int operator()(int64_t place) const {
    int32_t id = ids[order != nullptr ? order[place] : place];
    if (id >= 0 && id < E) return id;
    if (id != -1) noteBadIndex(error, id, E);
    return -1;
  }
};

struct PutPosition {
  const int32_t* order;
  int32_t* positions;

  __device__ void operator()(int64_t place, int32_t position, int32_t) const { positions[order != nullptr ? order[place] : place] = position; }
};

__global__ void __launch_bounds__(kThreads)
keepFirst(const int32_t* ids, const int32_t* positions, const int32_t* offsets, int64_t count, int64_t capacity, int32_t* assigned) {
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  bool isKept = positions[i] >= 0 && positions[i] - offsets[ids[i]] < capacity;
  assigned[i] = isKept ? ids[i] : -1;
}

Grid gridOf(int64_t items, int64_t itemsOfBlock = kThreads) { return {dim3(static_cast<unsigned>(ceilDivide(items, itemsOfBlock))), dim3(kThreads)}; }

}  // namespace

Status selectExperts(const float* scores, const float* bias, int64_t N, int64_t E, int64_t K, const GroupLimit& groups, int32_t* ids) {
  constexpr int64_t kMostGroups = 1024;  // 64 KB of shared memory
  if (groups.numGroups > kMostGroups) return Status::outOfRange("numGroups", groups.numGroups, 0, kMostGroups);
  Grid grid = gridOf(N, kRowsOfBlock);
  grid.sharedBytes = static_cast<size_t>(kRowsOfBlock * 2 * groups.numGroups) * 8;
  return launch(selectRows, grid, scores, bias, N, E, K, groups.numGroups, groups.groupsPerToken, groups.summed, ids);
}

Status chosenScores(const float* scores, const int32_t* ids, int64_t N, int64_t E, int64_t K, float* y) {
  return launch(readChosen, gridOf(N * K), scores, ids, N * K, K, E, y, indexError());
}

Status chosenScoresBackward(const int32_t* ids, const float* dy, int64_t N, int64_t E, int64_t K, float* dScores) {
  MOE_RETURN_IF_NOT_OK(clearOnDevice(dScores, N * E * 4));
  return launch(addChosen, gridOf(N), ids, dy, N, K, E, dScores, indexError());
}

Status countChoices(const int32_t* ids, const float* mask, int64_t B, int64_t T, int64_t K, int64_t E, float* counts) {
  ChoiceParts cut(B, T, E);
  Scratch sums(B * cut.parts * 2 * E * 8 + 8);
  if (!sums.isOk()) return sums.status("the counts of choices");
  MOE_RETURN_IF_NOT_OK(launch(sumChoices, cut.grid, ids, nullptr, mask, T, K, E, cut.parts, cut.tokensPerPart, sums.as<double>(), indexError()));
  return launch(joinCounts, gridOf(B * E, kRowsOfBlock), sums.as<double>(), B, cut.parts, E, counts);
}

Status limitChoices(const int32_t* ids, const float* weights, int64_t count, int64_t E, int64_t capacity, int32_t* assigned) {
  if (count > INT32_MAX) return Status::outOfRange("the number of choices", count, 0, INT32_MAX);
  if (E > kMostBins) return Status::outOfRange("E", E, 0, kMostBins);
  int64_t arrayBytes = ceilDivide(count * 4 + 4, 256) * 256;
  Scratch positions(arrayBytes), offsets(E * 4 + 4), sorted(weights != nullptr ? 4 * arrayBytes : 4);
  if (!positions.isOk() || !offsets.isOk() || !sorted.isOk()) return positions.status("the order of the choices");
  const int32_t* order = nullptr;
  if (weights != nullptr) {
    Pairs given{sorted.as<uint32_t>(), sorted.as<int32_t>(arrayBytes)}, spare{sorted.as<uint32_t>(2 * arrayBytes), sorted.as<int32_t>(3 * arrayBytes)}, result;
    MOE_RETURN_IF_NOT_OK(launch(keysOfWeights, gridOf(count), weights, count, given));
    MOE_RETURN_IF_NOT_OK(sortPairs(count, 32, given, spare, result));
    order = result.values;
  }
  MOE_RETURN_IF_NOT_OK(countingSort(count, E, ExpertOf{ids, order, E, indexError()}, PutPosition{order, positions.as<int32_t>()}, offsets.as<int32_t>()));
  return launch(keepFirst, gridOf(count), ids, positions.as<int32_t>(), offsets.as<int32_t>(), count, capacity, assigned);
}

}  // namespace moe::cuda
