#include "dispatch.h"

#include "rows.h"
#include "transfers.h"

namespace moe::cuda {
namespace {

/** Rows of which the kernel reads four elements at once begin at multiples of 16 bytes. */
template <class... Arrays>
bool areRowsAligned(int64_t C, Arrays... arrays) { return C % 4 == 0 && areAligned(arrays...); }

__global__ void __launch_bounds__(kRowThreads)
gather(const float* x, const int32_t* ids, int64_t rows, int64_t count, int64_t C, bool isAligned, float* y, IndexError* error) {
  for (int64_t i = firstRow(); i < count; i += rowStep()) {
    int64_t id = ids[i];
    bool isThere = id >= 0 && id < rows;
    if (!isThere && threadIdx.x == 0) noteBadIndex(error, id, rows);
    const float* from = x + id * C;
    float* to = y + i * C;
    forEachOfRow(isAligned, 0, C, threadIdx.x, blockDim.x,
                 [&](int64_t c) { storeFour(to + c, isThere ? loadFour(from + c) : make_float4(0.0f, 0.0f, 0.0f, 0.0f)); },
                 [&](int64_t c) { to[c] = isThere ? __ldg(from + c) : 0.0f; });
  }
}

__device__ inline float4 addScaled(float4 sum, float4 row, float weight) {
  return make_float4(fmaf(row.x, weight, sum.x), fmaf(row.y, weight, sum.y), fmaf(row.z, weight, sum.z), fmaf(row.w, weight, sum.w));
}

/** weights may be null. */
__global__ void __launch_bounds__(kRowThreads)
combine(const float* rows, const float* weights, const int32_t* tokenSlot, int64_t N, int K, int64_t S, int64_t C, bool isAligned, float* y,
        IndexError* error) {
  for (int64_t n = firstRow(); n < N; n += rowStep()) {
    const int32_t* slots = tokenSlot + n * K;
    const float* weightsOfToken = weights + n * K;
    for (int k = threadIdx.x; k < K; k += blockDim.x)
      if (slots[k] < -1 || slots[k] >= S) noteBadIndex(error, slots[k], S);
    auto sumOf = [&](int64_t c, auto sum, auto load, auto add) {
#pragma unroll 4
      for (int k = 0; k < K; ++k) {
        int64_t slot = __ldg(slots + k);
        float weight = weights != nullptr ? __ldg(weightsOfToken + k) : 1.0f;
        if (slot >= 0 && slot < S) sum = add(sum, load(rows + slot * C + c), weight);
      }
      return sum;
    };
    float* to = y + n * C;
    forEachOfRow(isAligned, 0, C, threadIdx.x, blockDim.x,
                 [&](int64_t c) { storeFour(to + c, sumOf(c, make_float4(0.0f, 0.0f, 0.0f, 0.0f), loadFour, addScaled)); },
                 [&](int64_t c) {
                   to[c] = sumOf(c, 0.0f, [](const float* from) { return __ldg(from); },
                                 [](float sum, float row, float weight) { return fmaf(row, weight, sum); });
                 });
  }
}

/** isUsed [S], zeros before, gets 1 where a choice names the slot. */
__global__ void markSlots(const int32_t* tokenSlot, int64_t choices, int64_t S, int32_t* isUsed, IndexError* error) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= choices || tokenSlot[i] == -1) return;
  int64_t slot = tokenSlot[i];
  // A slot named twice would get one of two gradients.
  if (slot < 0 || slot >= S || atomicExch(&isUsed[slot], 1) != 0) noteBadIndex(error, slot, S);
}

/** A group of lanes has one choice, and the slot of the same number to clear it where no choice names it. */
__global__ void __launch_bounds__(kRowThreads)
combineGradients(const float* rows, const float* weights, const int32_t* tokenSlot, const int32_t* isUsed, const float* dy, int64_t choices, unsigned K,
                 int64_t S, int64_t C, bool isAligned, float* dRows, float* dWeights) {
  int lane = threadIdx.x, lanes = blockDim.x;
  int64_t most = max(choices, S);
  for (int64_t first = int64_t{blockIdx.x} * blockDim.y; first < most; first += rowStep()) {
    int64_t i = first + threadIdx.y;
    int64_t slot = i < choices ? tokenSlot[i] : -1;
    float along = 0.0f;
    if (slot >= 0 && slot < S) {
      const float* gradient = dy + static_cast<unsigned>(i) / K * C;
      const float* row = rows + slot * C;
      float* to = dRows + slot * C;
      float weight = weights[i];
      forEachOfRow(isAligned, 0, C, lane, lanes,
                   [&](int64_t c) {
                     float4 g = loadFour(gradient + c), r = loadFour(row + c);
                     storeFour(to + c, make_float4(g.x * weight, g.y * weight, g.z * weight, g.w * weight));
                     along = fmaf(g.x, r.x, fmaf(g.y, r.y, fmaf(g.z, r.z, fmaf(g.w, r.w, along))));
                   },
                   [&](int64_t c) {
                     float g = __ldg(gradient + c);
                     to[c] = g * weight;
                     along = fmaf(g, __ldg(row + c), along);
                   });
    }
    along = groupSum(along, lanes);
    if (i < choices && lane == 0) dWeights[i] = along;
    if (i < S && isUsed[i] == 0) {
      float* to = dRows + i * C;
      forEachOfRow(isAligned, 0, C, lane, lanes, [&](int64_t c) { storeFour(to + c, make_float4(0.0f, 0.0f, 0.0f, 0.0f)); },
                   [&](int64_t c) { to[c] = 0.0f; });
    }
  }
}

__global__ void fillSlots(int64_t S, int32_t* assignment) {
  int64_t slot = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (slot < S) assignment[slot] = -1;
}

__global__ void putAssignments(const int32_t* tokenSlot, int64_t choices, int64_t S, int32_t* assignment, IndexError* error) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= choices || tokenSlot[i] == -1) return;
  int64_t slot = tokenSlot[i];
  if (slot < 0 || slot >= S || atomicMax(&assignment[slot], static_cast<int32_t>(i)) >= 0) noteBadIndex(error, slot, S);
}

Grid gridOf(int64_t items) { return {dim3(static_cast<unsigned>(ceilDivide(items, kRowThreads))), dim3(kRowThreads)}; }

Status fitsInInt(const char* name, int64_t value) {
  return value <= INT32_MAX ? Status::ok() : Status::outOfRange(name, value, 0, INT32_MAX);
}

}  // namespace

Status gatherRows(const float* x, const int32_t* ids, int64_t rows, int64_t count, int64_t C, float* y) {
  return launch(gather, rowGrid(count, C), x, ids, rows, count, C, areRowsAligned(C, x, y), y, indexError());
}

Status combineRows(const float* rows, const float* weights, const int32_t* tokenSlot, int64_t N, int64_t K, int64_t S, int64_t C, float* y) {
  MOE_RETURN_IF_NOT_OK(fitsInInt("K", K));
  return launch(combine, rowGrid(N, C), rows, weights, tokenSlot, N, K, S, C, areRowsAligned(C, rows, y), y, indexError());
}

Status combineRowsBackward(const float* rows, const float* weights, const int32_t* tokenSlot, const float* dy, int64_t N, int64_t K, int64_t S, int64_t C,
                           float* dRows, float* dWeights) {
  int64_t choices = N * K;
  MOE_RETURN_IF_NOT_OK(fitsInInt("the number of choices", choices));
  Scratch isUsed(S * 4 + 4);
  if (!isUsed.isOk()) return isUsed.status("the slots of combine");
  MOE_RETURN_IF_NOT_OK(clearOnDevice(isUsed.as<void>(), S * 4));
  MOE_RETURN_IF_NOT_OK(launch(markSlots, gridOf(choices), tokenSlot, choices, S, isUsed.as<int32_t>(), indexError()));
  return launch(combineGradients, rowGrid(choices > S ? choices : S, C, kWarp), rows, weights, tokenSlot, isUsed.as<int32_t>(), dy, choices, K, S, C,
                areRowsAligned(C, rows, dy, dRows), dRows, dWeights);
}

Status invertSlots(const int32_t* tokenSlot, int64_t count, int64_t S, int32_t* assignment) {
  MOE_RETURN_IF_NOT_OK(fitsInInt("the number of choices", count));
  MOE_RETURN_IF_NOT_OK(launch(fillSlots, gridOf(S), S, assignment));
  return launch(putAssignments, gridOf(count), tokenSlot, count, S, assignment, indexError());
}

}  // namespace moe::cuda
