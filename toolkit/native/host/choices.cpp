#include "choices.h"

#include <cmath>
#include <cstring>

#include "parallel.h"
#include "rows.h"
#include "scratch.h"

namespace moe::MOE_ISA {
namespace {

Status checkChoices(const int32_t* ids, int64_t count, int64_t E) {
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < -1 || ids[i] >= E) return Status::outOfRange("ids", ids[i], -1, E - 1);
  return Status::ok();
}

bool isClosed(double value) { return value == -HUGE_VAL; }

/** The places of the K largest values, largest first, −1 where fewer are open. Closes what it takes. */
void takeBest(double* values, int64_t count, int64_t K, int32_t* best) {
  for (int64_t k = 0; k < K; ++k) {
    int64_t place = -1;
    for (int64_t i = 0; i < count; ++i) {
      if (isClosed(values[i])) continue;
      bool isBetter = place < 0 || values[i] > values[place] || (std::isnan(values[place]) && !std::isnan(values[i]));
      if (isBetter) place = i;
    }
    best[k] = static_cast<int32_t>(place);
    if (place >= 0) values[place] = -HUGE_VAL;
  }
}

double sumOfBest(const double* scores, int64_t count, int64_t summed) {
  double best = -HUGE_VAL, second = -HUGE_VAL;
  for (int64_t i = 0; i < count; ++i) {
    if (scores[i] > best) {
      second = best;
      best = scores[i];
    } else if (scores[i] > second) {
      second = scores[i];
    }
  }
  return summed == 2 && !isClosed(second) ? best + second : best;
}

/** Closes the experts outside the best groups. */
void closeOtherGroups(double* choice, int64_t E, const GroupLimit& groups, double* groupScores, int32_t* taken) {
  int64_t size = E / groups.numGroups;
  for (int64_t g = 0; g < groups.numGroups; ++g) groupScores[g] = sumOfBest(choice + g * size, size, groups.summed);
  takeBest(groupScores, groups.numGroups, groups.groupsPerToken, taken);
  for (int64_t g = 0; g < groups.numGroups; ++g) {
    bool isTaken = false;
    for (int64_t k = 0; k < groups.groupsPerToken; ++k) isTaken = isTaken || taken[k] == g;
    if (isTaken) continue;
    for (int64_t e = g * size; e < (g + 1) * size; ++e) choice[e] = -HUGE_VAL;
  }
}

/** Whether choice a comes before b: the larger weight, of equal ones the earlier. NaN comes last. */
bool comesBefore(const float* weights, int32_t a, int32_t b) {
  if (weights[a] > weights[b]) return true;
  if (weights[a] < weights[b]) return false;
  bool isNanA = std::isnan(weights[a]), isNanB = std::isnan(weights[b]);
  return isNanA != isNanB ? isNanB : a < b;
}

/** Moves the last in order to the top of a heap whose root was replaced. */
void siftDown(const float* weights, int32_t* heap, int64_t root, int64_t count) {
  for (int64_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
    if (child + 1 < count && comesBefore(weights, heap[child], heap[child + 1])) ++child;
    if (!comesBefore(weights, heap[root], heap[child])) return;
    int32_t moved = heap[root];
    heap[root] = heap[child];
    heap[child] = moved;
    root = child;
  }
}

}  // namespace

Status selectExperts(const float* scores, const float* bias, int64_t N, int64_t E, int64_t K, const GroupLimit& groups,
                     int32_t* ids) {
  Scratch rows(threadCount(), 2 * E + 2 * groups.numGroups + groups.groupsPerToken + 2);
  if (!rows.isOk()) return rows.status("the scores of a token");
  parallelRanges(N, rowGrain(E * (K + 2)), [&](int64_t begin, int64_t end, int thread) {
    double* choice = static_cast<double*>(rows.bytes(thread));
    double* groupScores = choice + E;
    int32_t* taken = reinterpret_cast<int32_t*>(groupScores + groups.numGroups);
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t e = 0; e < E; ++e)
        choice[e] = static_cast<double>(scores[n * E + e]) + (bias != nullptr ? static_cast<double>(bias[e]) : 0.0);
      if (groups.numGroups > 0) closeOtherGroups(choice, E, groups, groupScores, taken);
      takeBest(choice, E, K, ids + n * K);
    }
  });
  return Status::ok();
}

Status chosenScores(const float* scores, const int32_t* ids, int64_t N, int64_t E, int64_t K, float* y) {
  Status idsFit = checkChoices(ids, N * K, E);
  if (!idsFit.isOk()) return idsFit;
  for (int64_t i = 0; i < N * K; ++i) y[i] = ids[i] < 0 ? 0.0f : scores[i / K * E + ids[i]];
  return Status::ok();
}

Status chosenScoresBackward(const int32_t* ids, const float* dy, int64_t N, int64_t E, int64_t K, float* dScores) {
  Status idsFit = checkChoices(ids, N * K, E);
  if (!idsFit.isOk()) return idsFit;
  fillRow(dScores, 0.0f, N * E);
  for (int64_t i = 0; i < N * K; ++i)
    if (ids[i] >= 0) dScores[i / K * E + ids[i]] += dy[i];
  return Status::ok();
}

Status countChoices(const int32_t* ids, const float* mask, int64_t B, int64_t T, int64_t K, int64_t E, float* counts) {
  Status idsFit = checkChoices(ids, B * T * K, E);
  if (!idsFit.isOk()) return idsFit;
  fillRow(counts, 0.0f, B * E);
  for (int64_t i = 0; i < B * T * K; ++i)
    if (ids[i] >= 0) counts[i / (T * K) * E + ids[i]] += mask != nullptr ? mask[i / K] : 1.0f;
  return Status::ok();
}

Status limitChoices(const int32_t* ids, const float* weights, int64_t count, int64_t E, int64_t capacity,
                    int32_t* assigned) {
  Status idsFit = checkChoices(ids, count, E);
  if (!idsFit.isOk()) return idsFit;
  Scratch taken(1, E + 1), heaps(1, weights != nullptr ? (E + 1) + count : 1);
  if (!taken.isOk()) return taken.status("the choices that each expert took");
  if (!heaps.isOk()) return heaps.status("the choices of each expert");
  int32_t* numTaken = taken.ints();
  std::memset(numTaken, 0, static_cast<size_t>(E) * sizeof(int32_t));
  if (weights == nullptr) {
    for (int64_t i = 0; i < count; ++i) assigned[i] = ids[i] >= 0 && numTaken[ids[i]]++ < capacity ? ids[i] : -1;
    return Status::ok();
  }
  // Each expert keeps its best choices in a heap with the worst of them on top.
  int32_t* start = heaps.ints();
  int32_t* heap = start + E + 1;
  std::memset(start, 0, static_cast<size_t>(E + 1) * sizeof(int32_t));
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] >= 0) ++start[ids[i] + 1];
  for (int64_t e = 0; e < E; ++e) start[e + 1] += start[e];
  for (int64_t i = 0; i < count; ++i) {
    assigned[i] = -1;
    if (ids[i] < 0 || capacity == 0) continue;
    int32_t* own = heap + start[ids[i]];
    int32_t choice = static_cast<int32_t>(i), size = numTaken[ids[i]];
    if (size < capacity) {
      own[numTaken[ids[i]]++] = choice;
      if (size + 1 == capacity)
        for (int64_t root = capacity / 2 - 1; root >= 0; --root) siftDown(weights, own, root, capacity);
    } else if (comesBefore(weights, choice, own[0])) {
      own[0] = choice;
      siftDown(weights, own, 0, capacity);
    }
  }
  for (int64_t e = 0; e < E; ++e)
    for (int32_t k = 0; k < numTaken[e]; ++k) assigned[heap[start[e] + k]] = static_cast<int32_t>(e);
  return Status::ok();
}

}  // namespace moe::MOE_ISA
