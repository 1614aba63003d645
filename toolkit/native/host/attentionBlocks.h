#pragma once
#include "attention.h"
#include "matmul.h"
#include "rows.h"

/* What forward and backward of attention share: where a head's rows are, and blocks of queries. */
namespace moe::MOE_ISA {

/** Queries that are handled at once: whole strips of the matmul's micro-kernel, small enough that the block's scores
 *  for a few hundred keys stay in the L2 cache. */
inline constexpr int64_t kQueriesPerBlock = 64 / kTileRows * kTileRows;

/** One head of one batch row, as a matrix of tokens: row t at data + t · stride. */
template <class Float>
struct HeadRows {
  Float* data;
  int64_t stride;
};

template <class Float>
MOE_INLINE HeadRows<Float> headRows(Float* tensor, int64_t b, int64_t T, int64_t heads, int64_t head, int64_t D) {
  return {tensor + (b * T * heads + head) * D, heads * D};
}

/** Queries [first, first + count) of one head; they see keys of [keyBegin, keyEnd) only. keyBegin is a multiple of
 *  kTileColumns, so that packed keys can be used from there on. Rows of scores begin at key keyBegin. */
struct QueryBlock {
  int64_t first, count, keyBegin, keyEnd;
  const int32_t* firstKey;  // of the block's first query; may be null

  MOE_INLINE int64_t numKeys() const { return keyEnd - keyBegin; }
  /** Row i sees scores [hiddenKeys(i), visibleEnd(i)) of its row. */
  MOE_INLINE int64_t hiddenKeys(int64_t row) const { return firstKey == nullptr ? 0 : firstKey[row] - keyBegin; }
  MOE_INLINE int64_t visibleEnd(int64_t row) const { return numKeys() - (count - 1 - row); }
};

MOE_INLINE int64_t numQueryBlocks(const AttentionSizes& s) { return (s.Tq + kQueriesPerBlock - 1) / kQueriesPerBlock; }

/** @param firstKey of batch row b's queries, [Tq], or null */
MOE_INLINE QueryBlock queryBlock(const AttentionSizes& s, const int32_t* firstKey, int64_t index) {
  int64_t first = index * kQueriesPerBlock;
  int64_t count = s.Tq - first < kQueriesPerBlock ? s.Tq - first : kQueriesPerBlock;
  int64_t keyEnd = first + count + s.Tk - s.Tq;
  if (firstKey == nullptr) return {first, count, 0, keyEnd, nullptr};
  int64_t smallest = firstKey[first];
  for (int64_t i = 1; i < count; ++i) smallest = firstKey[first + i] < smallest ? firstKey[first + i] : smallest;
  return {first, count, smallest / kTileColumns * kTileColumns, keyEnd, firstKey + first};
}

/** The entries of batch row b, or null. */
MOE_INLINE const int32_t* firstKeyRow(const AttentionSizes& s, const int32_t* firstKey, int64_t b) {
  return firstKey == nullptr ? nullptr : firstKey + b * s.Tq;
}

MOE_INLINE Status checkAttention(const AttentionSizes& s, const int32_t* firstKey) {
  if (s.Tk < s.Tq) return Status::outOfRange("the number of keys", s.Tk, s.Tq, INT64_MAX);
  if (s.D < 1) return Status::outOfRange("the head size", s.D, 1, INT64_MAX);
  if (s.G < 1 || s.Q % s.G != 0) return Status::outOfRange("the number of key/value heads", s.G, 1, s.Q);
  for (int64_t b = 0; firstKey != nullptr && b < s.B; ++b)
    for (int64_t i = 0; i < s.Tq; ++i) {
      int64_t given = firstKey[b * s.Tq + i], last = i + s.Tk - s.Tq;
      if (given < 0 || given > last) return Status::outOfRange("firstKey", given, 0, last);
    }
  return Status::ok();
}

}  // namespace moe::MOE_ISA
