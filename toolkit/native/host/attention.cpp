#include "attention.h"

#include <cmath>

#include "attentionBlocks.h"
#include "parallel.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

/** With so few queries a head, packing keys and values for the matmul costs more than it saves. */
constexpr int64_t kFewQueries = 4;

/** Scores [hidden, visibleEnd) become probabilities times their sum, the others of numKeys 0; returns 1 / sum. */
MOE_INLINE float softmaxRow(float* scores, int64_t hidden, int64_t visibleEnd, int64_t numKeys, float* logSumExp) {
  float* visible = scores + hidden;
  float largest = largestOfRow(visible, visibleEnd - hidden);
  float sum = expRow(visible, visible, largest, visibleEnd - hidden);
  fillRow(scores, 0.0f, hidden);
  fillRow(scores + visibleEnd, 0.0f, numKeys - visibleEnd);
  *logSumExp = largest + std::log(sum);
  return 1.0f / sum;
}

/** A few queries of one head against the keys as they lie in memory: decoding with a key/value cache. */
void attendFew(const AttentionSizes& s, HeadRows<const float> query, HeadRows<const float> key,
               HeadRows<const float> value, const int32_t* firstKey, HeadRows<float> y, float* logSumExp,
               float* scores) {
  float scale = 1.0f / __builtin_sqrtf(static_cast<float>(s.D));
  for (int64_t i = 0; i < s.Tq; ++i) {
    const float* from = query.data + i * query.stride;
    float* to = y.data + i * y.stride;
    int64_t begin = firstKey == nullptr ? 0 : firstKey[i], visible = i + 1 + s.Tk - s.Tq - begin;
    const float *keys = key.data + begin * key.stride, *values = value.data + begin * value.stride;
    for (int64_t j = 0; j < visible; ++j) scores[j] = scale * dotRows(from, keys + j * key.stride, s.D);
    float factor = softmaxRow(scores, 0, visible, visible, logSumExp + i);
    fillRow(to, 0.0f, s.D);
    for (int64_t j = 0; j < visible; ++j) addScaledRow(to, values + j * value.stride, scores[j] * factor, s.D);
  }
}

Status attendFewQueries(const AttentionSizes& s, const float* query, const float* key, const float* value,
                        const int32_t* firstKey, float* y, float* logSumExp) {
  Scratch scores(threadCount(), s.Tk);
  if (!scores.isOk()) return scores.status("the scores of attention");
  int64_t headsPerGroup = s.Q / s.G;
  parallelFor(s.B * s.G, [&](int64_t task, int thread) {
    int64_t b = task / s.G, g = task % s.G;
    for (int64_t head = g * headsPerGroup; head < (g + 1) * headsPerGroup; ++head)
      attendFew(s, headRows(query, b, s.Tq, s.Q, head, s.D), headRows(key, b, s.Tk, s.G, g, s.D),
                headRows(value, b, s.Tk, s.G, g, s.D), firstKeyRow(s, firstKey, b),
                headRows(y, b, s.Tq, s.Q, head, s.D), logSumExp + (b * s.Q + head) * s.Tq, scores.floats(thread));
  });
  return Status::ok();
}

/** Where one thread keeps a block's scores and the matmul its packed rows. */
struct BlockMemory {
  float* scores;  // [kQueriesPerBlock, Tk]
  float* packed;
};

void attendBlock(const AttentionSizes& s, const QueryBlock& block, HeadRows<const float> query, const float* packedKey,
                 const float* packedValue, HeadRows<float> y, float* logSumExp, const BlockMemory& own) {
  float scale = 1.0f / __builtin_sqrtf(static_cast<float>(s.D));
  int64_t numKeys = block.numKeys();
  multiplyPacked(block.count, numKeys, s.D, query.data + block.first * query.stride, query.stride, 1,
                 packedKey + block.keyBegin * s.D, s.D, own.scores, s.Tk, false, scale, own.packed);
  float factors[kQueriesPerBlock];
  for (int64_t i = 0; i < block.count; ++i)
    factors[i] = softmaxRow(own.scores + i * s.Tk, block.hiddenKeys(i), block.visibleEnd(i), numKeys,
                            logSumExp + block.first + i);
  float* to = y.data + block.first * y.stride;
  multiplyPacked(block.count, s.D, numKeys, own.scores, s.Tk, 1, packedValue + block.keyBegin * kTileColumns, s.Tk, to,
                 y.stride, false, 1.0f, own.packed);
  for (int64_t i = 0; i < block.count; ++i) scaleRow(to + i * y.stride, to + i * y.stride, factors[i], s.D);
}

}  // namespace

Status attentionForward(const AttentionSizes& s, const float* query, const float* key, const float* value,
                        const int32_t* firstKey, float* y, float* logSumExp) {
  Status sizesFit = checkAttention(s, firstKey);
  if (!sizesFit.isOk()) return sizesFit;
  if (s.Tq <= kFewQueries) return attendFewQueries(s, query, key, value, firstKey, y, logSumExp);

  int64_t packedKeySize = packedBSize(s.D, s.Tk), packedValueSize = packedBSize(s.Tk, s.D);
  Scratch keys(s.B * s.G, packedKeySize), values(s.B * s.G, packedValueSize);
  Scratch scores(threadCount(), kQueriesPerBlock * s.Tk);
  Scratch packed(threadCount(), packedASize(kQueriesPerBlock, s.Tk > s.D ? s.Tk : s.D));
  if (!keys.isOk()) return keys.status("the packed keys of attention");
  if (!values.isOk()) return values.status("the packed values of attention");
  if (!scores.isOk()) return scores.status("the scores of attention");
  if (!packed.isOk()) return packed.status("the packed rows of attention");

  parallelFor(s.B * s.G, [&](int64_t task, int) {
    auto keyRows = headRows(key, task / s.G, s.Tk, s.G, task % s.G, s.D);
    auto valueRows = headRows(value, task / s.G, s.Tk, s.G, task % s.G, s.D);
    packB(keyRows.data, 1, keyRows.stride, s.D, s.Tk, keys.floats(task));
    packB(valueRows.data, valueRows.stride, 1, s.Tk, s.D, values.floats(task));
  });
  int64_t blocks = numQueryBlocks(s), headsPerGroup = s.Q / s.G;
  parallelFor(s.B * s.Q * blocks, [&](int64_t task, int thread) {
    int64_t b = task / (s.Q * blocks), head = task / blocks % s.Q;
    // The last blocks see the most keys: handed out first, they don't leave one thread working alone at the end.
    QueryBlock block = queryBlock(s, firstKeyRow(s, firstKey, b), blocks - 1 - task % blocks);
    int64_t group = b * s.G + head / headsPerGroup;
    attendBlock(s, block, headRows(query, b, s.Tq, s.Q, head, s.D), keys.floats(group), values.floats(group),
                headRows(y, b, s.Tq, s.Q, head, s.D), logSumExp + (b * s.Q + head) * s.Tq,
                {scores.floats(thread), packed.floats(thread)});
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
