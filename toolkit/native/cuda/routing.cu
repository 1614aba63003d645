#include "routing.h"

#include "rows.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

/** Orders floats as whole numbers: larger float, larger key; −0 and +0 are equal, NaN is below all. */
__device__ inline unsigned orderKey(float score) {
  if (score != score) return 0;
  unsigned bits = __float_as_uint(score + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/** The score that has this key; NaN of 0. */
__device__ inline float scoreOf(unsigned key) {
  if (key == 0) return NAN;
  return __uint_as_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

/** A score and its expert. Of equal scores the lower expert comes first. */
struct Candidate {
  unsigned key, expert;
};
constexpr Candidate kNobody{0, 0xffffffffu};

__device__ inline bool isBefore(Candidate a, Candidate b) { return a.key > b.key || (a.key == b.key && a.expert < b.expert); }

/** The first of `lanes` adjacent lanes' candidates. */
template <int Lanes>
__device__ inline Candidate firstOfGroup(Candidate own) {
  if constexpr (Lanes == kWarp) {
    unsigned key = __reduce_max_sync(kAllLanes, own.key);
    return {key, __reduce_min_sync(kAllLanes, own.key == key ? own.expert : kNobody.expert)};
  } else {
#pragma unroll
    for (int bits = Lanes / 2; bits > 0; bits /= 2) {
      Candidate other{__shfl_xor_sync(kAllLanes, own.key, bits), __shfl_xor_sync(kAllLanes, own.expert, bits)};
      if (isBefore(other, own)) own = other;
    }
    return own;
  }
}

/** A row in the registers of a group of lanes: each has 4 adjacent scores out of every 4 · Lanes. */
template <int Lanes, int PerLane>
struct HeldRow {
  float score[PerLane];

  __device__ static int expert(int j, int lane) { return j / 4 * 4 * Lanes + lane * 4 + j % 4; }

  __device__ void load(const float* from, int E, int lane, bool isAligned) {
#pragma unroll
    for (int j = 0; j < PerLane; j += 4) {
      int e = expert(j, lane);
      float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (isAligned && e < E) four = loadFour(from + e);
      score[j] = four.x, score[j + 1] = four.y, score[j + 2] = four.z, score[j + 3] = four.w;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (!isAligned && e + i < E) score[j + i] = __ldg(from + e + i);
    }
  }

  __device__ void store(float* to, int E, int lane, bool isAligned) const {
#pragma unroll
    for (int j = 0; j < PerLane; j += 4) {
      int e = expert(j, lane);
      if (isAligned && e < E) storeFour(to + e, make_float4(score[j], score[j + 1], score[j + 2], score[j + 3]));
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (!isAligned && e + i < E) to[e + i] = score[j + i];
    }
  }

  /** The first candidate of this lane behind `last`. */
  __device__ Candidate next(Candidate last, bool isStart, int E, int lane) const {
    Candidate best = kNobody;
#pragma unroll
    for (int j = 0; j < PerLane; ++j) {
      Candidate own{orderKey(score[j]), static_cast<unsigned>(expert(j, lane))};
      if (expert(j, lane) < E && (isStart || isBefore(last, own)) && isBefore(own, best)) best = own;
    }
    return best;
  }
};

/** A row that is too long for registers, read from memory each time; a warp has it. */
struct FarRow {
  const float* scores;

  __device__ Candidate next(Candidate last, bool isStart, int E, int lane) const {
    Candidate best = kNobody;
    for (int e = lane; e < E; e += kWarp) {
      Candidate own{orderKey(__ldg(scores + e)), static_cast<unsigned>(e)};
      if ((isStart || isBefore(last, own)) && isBefore(own, best)) best = own;
    }
    return best;
  }
};

/** Writes the K first of a row: ids, and as weights what weightOf(score) gives. A lane writes every Lanes-th of them. */
template <int Lanes, class Row, class WeightOf>
__device__ inline void choose(const Row& row, int E, int K, bool isRow, bool renormalize, int lane, WeightOf weightOf, int32_t* ids, float* weights) {
  Candidate best = row.next(kNobody, true, isRow ? E : 0, lane);
  float kept = 0.0f;
  for (int k = 0; k < K; ++k) {
    Candidate chosen = firstOfGroup<Lanes>(best);
    float weight = weightOf(scoreOf(chosen.key));
    kept += weight;
    if (isRow && lane == k % Lanes) ids[k] = static_cast<int32_t>(chosen.expert), weights[k] = weight;
    if (best.expert == chosen.expert) best = row.next(chosen, false, isRow ? E : 0, lane);
  }
  if (!isRow || !renormalize) return;
  for (int k = lane; k < K; k += Lanes) weights[k] /= kept;
}

template <int Lanes, int PerLane>
__global__ void __launch_bounds__(kThreads)
routeHeld(const float* logits, int64_t N, int E, int K, bool renormalize, bool isAligned, int32_t* ids, float* weights, float* probabilities) {
  int64_t n = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / Lanes;
  int lane = threadIdx.x % Lanes;
  bool isRow = n < N;  // all lanes of a warp stay: its groups work together
  HeldRow<Lanes, PerLane> row{};
  if (isRow) row.load(logits + n * E, E, lane, isAligned);
  float largest = -INFINITY, sum = 0.0f;
#pragma unroll
  for (int j = 0; j < PerLane; ++j)
    if (row.expert(j, lane) < E) largest = fmaxf(largest, row.score[j]);
#pragma unroll
  for (int bits = Lanes / 2; bits > 0; bits /= 2) largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, bits));
  HeldRow<Lanes, PerLane> p;
#pragma unroll
  for (int j = 0; j < PerLane; ++j) {
    p.score[j] = row.expert(j, lane) < E ? expf(row.score[j] - largest) : 0.0f;
    sum += p.score[j];
  }
  float scale = 1.0f / groupSum(sum, Lanes);
#pragma unroll
  for (int j = 0; j < PerLane; ++j) p.score[j] *= scale;
  if (isRow) p.store(probabilities + n * E, E, lane, isAligned);
  choose<Lanes>(row, E, K, isRow, renormalize, lane, [&](float score) { return expf(score - largest) * scale; }, ids + n * K, weights + n * K);
}

/** One warp a row. */
__global__ void __launch_bounds__(kThreads)
routeFar(const float* logits, int64_t N, int E, int K, bool renormalize, int32_t* ids, float* weights, float* probabilities) {
  int64_t n = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  int lane = threadIdx.x % kWarp;
  if (n >= N) return;
  const float* scores = logits + n * E;
  float largest = -INFINITY, sum = 0.0f;
  for (int e = lane; e < E; e += kWarp) largest = fmaxf(largest, __ldg(scores + e));
  largest = warpLargest(largest);
  for (int e = lane; e < E; e += kWarp) sum += expf(__ldg(scores + e) - largest);
  float scale = 1.0f / warpSum(sum);
  for (int e = lane; e < E; e += kWarp) probabilities[n * E + e] = expf(__ldg(scores + e) - largest) * scale;
  choose<kWarp>(FarRow{scores}, E, K, true, renormalize, lane, [&](float score) { return expf(score - largest) * scale; }, ids + n * K, weights + n * K);
}

/** What the gradient of a row needs of its choices; a bad id adds nothing. */
struct Choices {
  const int32_t* ids;
  const float *probabilities, *weights, *dWeights;  // of the row
  int E, K;

  __device__ bool isThere(int k) const { return ids[k] >= 0 && ids[k] < E; }

  /** w = p / kept, so every chosen p also lowers the other weights, by `shared`. */
  struct Sums {
    float kept, shared;
  };
  __device__ Sums sums(bool renormalize) const {
    if (!renormalize) return {1.0f, 0.0f};
    Sums sums{};
    for (int k = 0; k < K; ++k)
      if (isThere(k)) sums.kept += probabilities[ids[k]], sums.shared += dWeights[k] * weights[k];
    return sums;
  }
};

template <int Lanes, int PerLane>
__global__ void __launch_bounds__(kThreads)
routeGradientHeld(const int32_t* ids, const float* weights, const float* probabilities, const float* dWeights, const float* dProbabilities, int64_t N,
                  int E, int K, bool renormalize, bool isAligned, float* dLogits, IndexError* error) {
  int64_t n = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / Lanes;
  int lane = threadIdx.x % Lanes;
  HeldRow<Lanes, PerLane> d{}, p{};
  float mean = 0.0f;
  if (n < N) {
    d.load(dProbabilities + n * E, E, lane, isAligned);
    p.load(probabilities + n * E, E, lane, isAligned);
    Choices choices{ids + n * K, probabilities + n * E, weights + n * K, dWeights + n * K, E, K};
    auto [kept, shared] = choices.sums(renormalize);
    for (int k = 0; k < K; ++k) {
      if (!choices.isThere(k)) {
        if (lane == 0) noteBadIndex(error, choices.ids[k], E);
        continue;
      }
      float more = (choices.dWeights[k] - shared) / kept;
#pragma unroll
      for (int j = 0; j < PerLane; ++j)
        if (d.expert(j, lane) == choices.ids[k]) d.score[j] += more;
    }
#pragma unroll
    for (int j = 0; j < PerLane; ++j) mean += d.score[j] * p.score[j];
  }
  mean = groupSum(mean, Lanes);
  if (n >= N) return;
#pragma unroll
  for (int j = 0; j < PerLane; ++j) d.score[j] = p.score[j] * (d.score[j] - mean);
  d.store(dLogits + n * E, E, lane, isAligned);
}

/** One warp a row, which stays in memory. */
__global__ void __launch_bounds__(kThreads)
routeGradientFar(const int32_t* ids, const float* weights, const float* probabilities, const float* dWeights, const float* dProbabilities, int64_t N,
                 int E, int K, bool renormalize, float* dLogits, IndexError* error) {
  int64_t n = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kWarp;
  int lane = threadIdx.x % kWarp;
  if (n >= N) return;
  const float* p = probabilities + n * E;
  float* d = dLogits + n * E;
  for (int e = lane; e < E; e += kWarp) d[e] = dProbabilities[n * E + e];
  __syncwarp();
  if (lane == 0) {
    Choices choices{ids + n * K, p, weights + n * K, dWeights + n * K, E, K};
    auto [kept, shared] = choices.sums(renormalize);
    for (int k = 0; k < K; ++k) {
      if (choices.isThere(k))
        d[choices.ids[k]] += (choices.dWeights[k] - shared) / kept;
      else
        noteBadIndex(error, choices.ids[k], E);
    }
  }
  __syncwarp();
  float mean = 0.0f;
  for (int e = lane; e < E; e += kWarp) mean += d[e] * p[e];
  mean = warpSum(mean);
  for (int e = lane; e < E; e += kWarp) d[e] = p[e] * (d[e] - mean);
}

/** Calls function.template operator()<Lanes, PerLane>() with what holds a row of E scores; 0, 0 where that is too long. */
template <class Function>
Status forRowsOf(int64_t E, Function function) {
  if (E <= 16) return function.template operator()<4, 4>();
  if (E <= 32) return function.template operator()<8, 4>();
  if (E <= 64) return function.template operator()<16, 4>();
  if (E <= 128) return function.template operator()<32, 4>();
  if (E <= 256) return function.template operator()<32, 8>();
  if (E <= 512) return function.template operator()<32, 16>();
  return function.template operator()<0, 0>();
}

Grid gridOf(int64_t N, int lanes) { return {dim3(static_cast<unsigned>(ceilDivide(N, kThreads / lanes))), dim3(kThreads)}; }

}  // namespace

Status routeTopKForward(const float* logits, int64_t N, int64_t E, int64_t K, bool renormalize, int32_t* ids, float* weights, float* probabilities) {
  if (K < 1 || K > E) return Status::outOfRange("expertsPerToken", K, 1, E);
  bool isAligned = E % 4 == 0 && areAligned(logits, probabilities);
  return forRowsOf(E, [&]<int Lanes, int PerLane>() {
    if constexpr (Lanes == 0)
      return launch(routeFar, gridOf(N, kWarp), logits, N, E, K, renormalize, ids, weights, probabilities);
    else
      return launch(routeHeld<Lanes, PerLane>, gridOf(N, Lanes), logits, N, E, K, renormalize, isAligned, ids, weights, probabilities);
  });
}

Status routeTopKBackward(const int32_t* ids, const float* weights, const float* probabilities, const float* dWeights, const float* dProbabilities,
                         int64_t N, int64_t E, int64_t K, bool renormalize, float* dLogits) {
  bool isAligned = E % 4 == 0 && areAligned(probabilities, dProbabilities, dLogits);
  return forRowsOf(E, [&]<int Lanes, int PerLane>() {
    if constexpr (Lanes == 0)
      return launch(routeGradientFar, gridOf(N, kWarp), ids, weights, probabilities, dWeights, dProbabilities, N, E, K, renormalize, dLogits, indexError());
    else
      return launch(routeGradientHeld<Lanes, PerLane>, gridOf(N, Lanes), ids, weights, probabilities, dWeights, dProbabilities, N, E, K, renormalize,
                    isAligned, dLogits, indexError());
  });
}

}  // namespace moe::cuda
