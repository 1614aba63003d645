#pragma once
#include <cstdint>

#include "parallel.h"
#include "simd.h"

/* Work on one row of a matrix, and how many rows make a task. */
namespace moe::MOE_ISA {

/** Elements that are worth handing to another thread. */
inline constexpr int64_t kElementsPerTask = 16384;

/** Rows of C elements that make a task. */
MOE_INLINE int64_t rowGrain(int64_t C) { return C >= kElementsPerTask || C <= 0 ? 1 : kElementsPerTask / C; }

/** Elements of a task out of `total`: few enough that no thread waits long for another at the end, and of a large array as
 *  many as it takes for reading ahead to pay. */
MOE_INLINE int64_t taskElements(int64_t total) {
  constexpr int64_t kTasksOfThread = 8, kMost = 1 << 16, kVectors = 64;
  int64_t share = total / (kTasksOfThread * threadCount()) / kVectors * kVectors;
  return share < kElementsPerTask ? kElementsPerTask : share < kMost ? share : kMost;
}

/** Rows that make a task where nothing but speed depends on it. */
MOE_INLINE int64_t rowsOfTask(int64_t rows, int64_t C) {
  int64_t elements = taskElements(rows * C);
  return C >= elements || C <= 0 ? 1 : elements / C;
}

/** A whole vector of a row. */
struct WholeVector {
  MOE_INLINE vf load(const float* from) const { return MOE_ISA::load(from); }
  MOE_INLINE void store(float* to, vf v) const { MOE_ISA::store(to, v); }
};

/** The end of a row: loads give 0 in the other lanes, stores leave what is behind the row alone, orElse puts `rest` into
 *  the other lanes. */
struct PartVector {
  int64_t lanes;
  MOE_INLINE vf load(const float* from) const { return loadFirst(from, lanes); }
  MOE_INLINE void store(float* to, vf v) const { storeFirst(to, v, lanes); }
  MOE_INLINE vf orElse(vf v, vf rest) const { return select(firstLanes(lanes), v, rest); }
};

/** Calls body(c, lanes) for c = 0, kLanes, …; `lanes` loads and stores what belongs to the row. */
template <class Body>
MOE_INLINE void forEachVector(int64_t C, Body&& body) {
  int64_t c = 0;
  for (; c + kLanes <= C; c += kLanes) body(c, WholeVector{});
  if (c < C) body(c, PartVector{C - c});
}

inline constexpr int kParts = 4;  // of a reduction, growing side by side: each has to wait for its last addition

/** Joins term(c, lanes) over a row; `none` is what changes nothing. What is joined with what depends on C alone. */
template <class Join, class Term>
MOE_INLINE float reduceRow(int64_t C, vf none, Join&& join, Term&& term) {
  vf part[kParts] = {none, none, none, none};
  int64_t c = 0;
  for (; c + kParts * kLanes <= C; c += kParts * kLanes)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) part[p] = join(part[p], term(c + p * kLanes, WholeVector{}));
  for (; c + kLanes <= C; c += kLanes) part[0] = join(part[0], term(c, WholeVector{}));
  if (c < C) part[1] = join(part[1], PartVector{C - c}.orElse(term(c, PartVector{C - c}), none));
  return foldLanes<kLanes / 2>(join(join(part[0], part[1]), join(part[2], part[3])), join)[0];
}

/** Σ term(c, lanes) over a row. */
template <class Term>
MOE_INLINE float sumRow(int64_t C, Term&& term) {
  return reduceRow(C, vf{}, [](vf a, vf b) { return a + b; }, term);
}

MOE_INLINE void fillRow(float* to, float value, int64_t C) {
  forEachVector(C, [&](int64_t c, auto lanes) { lanes.store(to + c, broadcast(value)); });
}

MOE_INLINE void copyRow(float* to, const float* from, int64_t C) {
  forEachVector(C, [&](int64_t c, auto lanes) { lanes.store(to + c, lanes.load(from + c)); });
}

MOE_INLINE void addRow(float* to, const float* from, int64_t C) {
  forEachVector(C, [&](int64_t c, auto lanes) { lanes.store(to + c, lanes.load(to + c) + lanes.load(from + c)); });
}

MOE_INLINE void scaleRow(float* to, const float* from, float factor, int64_t C) {
  forEachVector(C, [&](int64_t c, auto lanes) { lanes.store(to + c, lanes.load(from + c) * factor); });
}

/** to += factor · from */
MOE_INLINE void addScaledRow(float* to, const float* from, float factor, int64_t C) {
  forEachVector(C, [&](int64_t c, auto lanes) {
    lanes.store(to + c, fma(lanes.load(from + c), broadcast(factor), lanes.load(to + c)));
  });
}

MOE_INLINE float dotRows(const float* a, const float* b, int64_t C) {
  vf sum = {};
  forEachVector(C, [&](int64_t c, auto lanes) { sum = fma(lanes.load(a + c), lanes.load(b + c), sum); });
  return hsum(sum);
}

/** The largest element; −∞ of an empty row; a NaN may be ignored. */
MOE_INLINE float largestOfRow(const float* from, int64_t C) {
  vf lowest = broadcast(-__builtin_inff());
  return reduceRow(C, lowest, [](vf most, vf x) { return vmax(x, most); }, [&](int64_t c, auto lanes) { return lanes.load(from + c); });
}

/** to = e^(from − shift); returns the sum. */
MOE_INLINE float expRow(float* to, const float* from, float shift, int64_t C) {
  vf sum = {};
  int64_t c = 0;
  for (; c + kLanes <= C; c += kLanes) {
    vf power = vexp(load(from + c) - shift);
    store(to + c, power);
    sum += power;
  }
  if (c < C) {
    int64_t left = C - c;
    storeFirst(to + c, vexp(loadFirst(from + c, left) - shift), left);
    sum += loadFirst(to + c, left);  // zeros where the row has ended
  }
  return hsum(sum);
}

}  // namespace moe::MOE_ISA
