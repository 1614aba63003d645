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

/** Queries [first, first + count) of one head; they see keys [0, numKeys), the last of them all of these. */
struct QueryBlock {
  int64_t first, count, numKeys;
};

MOE_INLINE int64_t numQueryBlocks(const AttentionSizes& s) { return (s.Tq + kQueriesPerBlock - 1) / kQueriesPerBlock; }

MOE_INLINE QueryBlock queryBlock(const AttentionSizes& s, int64_t index) {
  int64_t first = index * kQueriesPerBlock;
  int64_t count = s.Tq - first < kQueriesPerBlock ? s.Tq - first : kQueriesPerBlock;
  return {first, count, first + count + s.Tk - s.Tq};
}

/** Keys that query `row` of a block sees. */
MOE_INLINE int64_t visibleKeys(const QueryBlock& block, int64_t row) { return block.numKeys - (block.count - 1 - row); }

MOE_INLINE Status checkAttention(const AttentionSizes& s) {
  if (s.Tk < s.Tq) return Status::outOfRange("the number of keys", s.Tk, s.Tq, INT64_MAX);
  if (s.D < 1) return Status::outOfRange("the head size", s.D, 1, INT64_MAX);
  if (s.G < 1 || s.Q % s.G != 0) return Status::outOfRange("the number of key/value heads", s.G, 1, s.Q);
  return Status::ok();
}

}  // namespace moe::MOE_ISA
