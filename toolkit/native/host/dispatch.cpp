#include "dispatch.h"

#include <cstring>

#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

Status checkIds(const char* name, const int32_t* ids, int64_t count, int64_t lowest, int64_t below) {
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < lowest || ids[i] >= below) return Status::outOfRange(name, ids[i], lowest, below - 1);
  return Status::ok();
}

}  // namespace

Status gatherRows(const float* x, const int32_t* ids, int64_t rows, int64_t count, int64_t C, float* y) {
  Status idsFit = checkIds("ids", ids, count, 0, rows);
  if (!idsFit.isOk()) return idsFit;
  parallelRanges(count, rowGrain(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) copyRow(y + i * C, x + ids[i] * C, C);
  });
  return Status::ok();
}

Status gatherRowsBackward(const int32_t* ids, const float* dy, int64_t rows, int64_t count, int64_t C, float* dx) {
  Status idsFit = checkIds("ids", ids, count, 0, rows);
  if (!idsFit.isOk()) return idsFit;
  // Sorting by id first gives each row to one thread, so no sum depends on who comes first.
  Scratch starts(1, rows + 1), sorted(1, count);
  if (!starts.isOk()) return starts.status("the counts of an embedding's gradient");
  if (!sorted.isOk()) return sorted.status("the order of an embedding's gradient");
  int32_t* start = starts.ints();
  int32_t* order = sorted.ints();
  std::memset(start, 0, static_cast<size_t>(rows + 1) * sizeof(int32_t));
  for (int64_t i = 0; i < count; ++i) ++start[ids[i] + 1];
  for (int64_t r = 0; r < rows; ++r) start[r + 1] += start[r];
  for (int64_t i = count - 1; i >= 0; --i) order[--start[ids[i] + 1]] = static_cast<int32_t>(i);
  // Filling from behind moved each end to its row's beginning: row r begins at start[r + 1] and ends where r + 1 begins.
  parallelRanges(rows, rowGrain(C), [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t last = r + 1 < rows ? start[r + 2] : count;
      fillRow(dx + r * C, 0.0f, C);
      for (int64_t j = start[r + 1]; j < last; ++j) addRow(dx + r * C, dy + order[j] * C, C);
    }
  });
  return Status::ok();
}

Status combineRows(const float* rows, const float* weights, const int32_t* tokenSlot, int64_t N, int64_t K, int64_t S,
                   int64_t C, float* y) {
  Status slotsFit = checkIds("tokenSlot", tokenSlot, N * K, -1, S);
  if (!slotsFit.isOk()) return slotsFit;
  parallelRanges(N, rowGrain(K * C), [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) {
      float* to = y + n * C;
      const int32_t* slots = tokenSlot + n * K;
      forEachVector(C, [&](int64_t c, auto lanes) {
        vf sum = {};
        for (int64_t k = 0; k < K; ++k) {
          if (slots[k] < 0) continue;
          vf row = lanes.load(rows + slots[k] * C + c);
          sum = weights != nullptr ? fma(row, broadcast(weights[n * K + k]), sum) : sum + row;
        }
        lanes.store(to + c, sum);
      });
    }
  });
  return Status::ok();
}

Status invertSlots(const int32_t* tokenSlot, int64_t count, int64_t S, int32_t* assignment) {
  for (int64_t slot = 0; slot < S; ++slot) assignment[slot] = -1;
  int64_t filled = 0;
  for (int64_t i = 0; i < count; ++i) {
    int32_t slot = tokenSlot[i];
    if (slot == -1) continue;
    // A slot named twice leaves another without a row, whose memory would be handed out as it was.
    if (slot < 0 || slot >= S || assignment[slot] >= 0) return Status::outOfRange("tokenSlot", slot, -1, S - 1);
    assignment[slot] = static_cast<int32_t>(i);
    ++filled;
  }
  return filled == S ? Status::ok() : Status::outOfRange("the number of slots in tokenSlot", filled, S, S);
}

Status combineRowsBackward(const float* rows, const float* weights, const int32_t* tokenSlot, const float* dy,
                           int64_t N, int64_t K, int64_t S, int64_t C, float* dRows, float* dWeights) {
  Scratch assignments(1, S);
  if (!assignments.isOk()) return assignments.status("the slots of combine");
  Status slotsFit = invertSlots(tokenSlot, N * K, S, assignments.ints());
  if (!slotsFit.isOk()) return slotsFit;
  parallelRanges(N, rowGrain(K * C), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * K; i < end * K; ++i) {
      const float* gradient = dy + i / K * C;
      int64_t slot = tokenSlot[i];
      if (slot < 0) {
        dWeights[i] = 0.0f;
        continue;
      }
      scaleRow(dRows + slot * C, gradient, weights[i], C);
      dWeights[i] = dotRows(gradient, rows + slot * C, C);
    }
  });
  return Status::ok();
}

Status planDispatch(const int32_t* ids, int64_t N, int64_t K, int64_t E, int32_t* offsets, int32_t* slotToken,
                    int32_t* tokenSlot) {
  int64_t choices = N * K;
  if (choices > INT32_MAX) return Status::outOfRange("the number of choices of a plan", choices, 0, INT32_MAX);
  Status idsFit = checkIds("ids", ids, choices, -1, E);
  if (!idsFit.isOk()) return idsFit;
  // Each cut counts its own choices and then knows where they go, whatever the others do.
  constexpr int64_t kMostCuts = 32;
  int64_t cuts = choices / kElementsPerTask < kMostCuts ? choices / kElementsPerTask : kMostCuts;
  if (cuts < 1 || cuts * E > choices) cuts = 1;
  int64_t choicesPerCut = (choices + cuts - 1) / cuts;
  Scratch counts(cuts, E);
  if (!counts.isOk()) return counts.status("the counts of a plan");
  parallelFor(cuts, [&](int64_t cut, int) {
    int32_t* count = counts.ints(cut);
    std::memset(count, 0, static_cast<size_t>(E) * sizeof(int32_t));
    int64_t end = (cut + 1) * choicesPerCut < choices ? (cut + 1) * choicesPerCut : choices;
    for (int64_t i = cut * choicesPerCut; i < end; ++i)
      if (ids[i] >= 0) ++count[ids[i]];
  });
  int32_t slot = offsets[0] = 0;
  for (int64_t e = 0; e < E; ++e) {
    for (int64_t cut = 0; cut < cuts; ++cut) {
      int32_t own = counts.ints(cut)[e];
      counts.ints(cut)[e] = slot;
      slot += own;
    }
    offsets[e + 1] = slot;
  }
  parallelFor(cuts, [&](int64_t cut, int) {
    int32_t* next = counts.ints(cut);
    int64_t end = (cut + 1) * choicesPerCut < choices ? (cut + 1) * choicesPerCut : choices;
    for (int64_t i = cut * choicesPerCut; i < end; ++i) {
      tokenSlot[i] = ids[i] >= 0 ? next[ids[i]]++ : -1;
      if (ids[i] >= 0) slotToken[tokenSlot[i]] = static_cast<int32_t>(i / K);
    }
  });
  for (int64_t unused = slot; unused < choices; ++unused) slotToken[unused] = 0;
  return Status::ok();
}

}  // namespace moe::MOE_ISA
