#include "attention.h"
#include "attentionBlocks.h"
#include "parallel.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

/** Tasks to aim at. A key/value head with several query heads or blocks is cut into parts with gradients of their own,
 *  added up in order afterwards; the cuts depend on the sizes alone, so the bits don't depend on the threads. */
constexpr int64_t kTasks = 16;

int64_t partsPerGroup(const AttentionSizes& s) {
  int64_t blocks = s.Q / s.G * numQueryBlocks(s);
  int64_t wanted = (kTasks + s.B * s.G - 1) / (s.B * s.G);
  return wanted < blocks ? wanted : blocks;
}

int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/** Rounded up so that what comes behind begins at a vector. */
int64_t whole(int64_t floats) { return (floats + kLanes - 1) / kLanes * kLanes; }

/** Working memory of one thread, in floats. */
struct Layout {
  explicit Layout(const AttentionSizes& s)
      : keyColumns(whole(packedBSize(s.D, s.Tk))), keyRows(whole(packedBSize(s.Tk, s.D))),
        panel(whole(kQueriesPerBlock * s.Tk)),
        queryRows(whole(packedBSize(kQueriesPerBlock, s.D))),
        packed(larger(packedASize(kQueriesPerBlock, larger(s.Tk, s.D)), packedASize(s.Tk, kQueriesPerBlock))) {}
  int64_t keyColumns, keyRows, panel, queryRows, packed;
  int64_t total() const { return 2 * keyColumns + keyRows + 2 * panel + queryRows + packed; }
};

struct Memory {
  Memory(const Layout& layout, float* base)
      : keyColumns(base), valueColumns(keyColumns + layout.keyColumns), keyRows(valueColumns + layout.keyColumns),
        probabilities(keyRows + layout.keyRows), dScores(probabilities + layout.panel),
        queryRows(dScores + layout.panel), packed(queryRows + layout.queryRows) {}
  float* keyColumns;     // packed keyᵀ [D, Tk]
  float* valueColumns;   // packed valueᵀ [D, Tk]
  float* keyRows;        // packed key [Tk, D]
  float* probabilities;  // [kQueriesPerBlock, Tk]
  float* dScores;        // [kQueriesPerBlock, Tk]
  float* queryRows;      // packed block of dy or of query [kQueriesPerBlock, D]
  float* packed;
};

/** One query head: what goes in and out. */
struct Head {
  HeadRows<const float> query, y, dy;
  HeadRows<float> dQuery;
  const float* logSumExp;  // [Tq]
};

/** Probabilities and the gradient of the unscaled scores of one block, rows of Tk floats. */
void scoreGradients(const AttentionSizes& s, const QueryBlock& block, const Head& head, const Memory& own) {
  float scale = 1.0f / __builtin_sqrtf(static_cast<float>(s.D));
  const float* query = head.query.data + block.first * head.query.stride;
  const float* dy = head.dy.data + block.first * head.dy.stride;
  int64_t numKeys = block.numKeys(), columnsBegin = block.keyBegin * s.D;
  multiplyPacked(block.count, numKeys, s.D, query, head.query.stride, 1, own.keyColumns + columnsBegin, s.D,
                 own.probabilities, s.Tk, false, scale, own.packed);
  multiplyPacked(block.count, numKeys, s.D, dy, head.dy.stride, 1, own.valueColumns + columnsBegin, s.D, own.dScores,
                 s.Tk, false, 1.0f, own.packed);
  for (int64_t i = 0; i < block.count; ++i) {
    const float* y = head.y.data + (block.first + i) * head.y.stride;
    float mean = dotRows(y, dy + i * head.dy.stride, s.D);  // Σ p · dp
    float shift = head.logSumExp[block.first + i];
    float* p = own.probabilities + i * s.Tk;
    float* d = own.dScores + i * s.Tk;
    int64_t hidden = block.hiddenKeys(i), visibleEnd = block.visibleEnd(i);
    forEachVector(visibleEnd - hidden, [&, pVisible = p + hidden, dVisible = d + hidden](int64_t j, auto lanes) {
      vf probability = vexp(lanes.load(pVisible + j) - shift);
      lanes.store(pVisible + j, probability);
      lanes.store(dVisible + j, probability * (lanes.load(dVisible + j) - mean) * scale);
    });
    fillRow(p, 0.0f, hidden);
    fillRow(d, 0.0f, hidden);
    fillRow(p + visibleEnd, 0.0f, numKeys - visibleEnd);
    fillRow(d + visibleEnd, 0.0f, numKeys - visibleEnd);
  }
}

/** Gradients of one block: writes its rows of dQuery, adds to dKey and dValue. */
void blockGradients(const AttentionSizes& s, const QueryBlock& block, const Head& head, HeadRows<float> dKey,
                    HeadRows<float> dValue, const Memory& own) {
  scoreGradients(s, block, head, own);
  int64_t numKeys = block.numKeys();
  multiplyPacked(block.count, s.D, numKeys, own.dScores, s.Tk, 1, own.keyRows + block.keyBegin * kTileColumns, s.Tk,
                 head.dQuery.data + block.first * head.dQuery.stride, head.dQuery.stride, false, 1.0f, own.packed);
  packB(head.dy.data + block.first * head.dy.stride, head.dy.stride, 1, block.count, s.D, own.queryRows);
  multiplyPacked(numKeys, s.D, block.count, own.probabilities, 1, s.Tk, own.queryRows, block.count,
                 dValue.data + block.keyBegin * dValue.stride, dValue.stride, true, 1.0f, own.packed);
  packB(head.query.data + block.first * head.query.stride, head.query.stride, 1, block.count, s.D, own.queryRows);
  multiplyPacked(numKeys, s.D, block.count, own.dScores, 1, s.Tk, own.queryRows, block.count,
                 dKey.data + block.keyBegin * dKey.stride, dKey.stride, true, 1.0f, own.packed);
}

void clearRows(HeadRows<float> rows, int64_t count, int64_t D) {
  for (int64_t t = 0; t < count; ++t) fillRow(rows.data + t * rows.stride, 0.0f, D);
}

}  // namespace

Status attentionBackward(const AttentionSizes& s, const float* query, const float* key, const float* value,
                         const int32_t* firstKey, const float* y, const float* logSumExp, const float* dy,
                         float* dQuery, float* dKey, float* dValue) {
  Status sizesFit = checkAttention(s, firstKey);
  if (!sizesFit.isOk()) return sizesFit;
  if (s.B * s.Q * s.Tk == 0) return Status::ok();
  int64_t headsPerGroup = s.Q / s.G, blocks = numQueryBlocks(s), parts = partsPerGroup(s);
  if (parts < 1) parts = 1;  // no queries: the gradients of keys and values are zeros
  Layout layout(s);
  Scratch memory(threadCount(), layout.total());
  Scratch partial(s.B * s.G * parts, parts > 1 ? 2 * s.Tk * s.D : 1);
  if (!memory.isOk()) return memory.status("the blocks of attention's gradient");
  if (!partial.isOk()) return partial.status("the partial sums of attention's gradient");

  auto partRows = [&](int64_t group, int64_t part, bool ofValue) -> HeadRows<float> {
    if (parts == 1) return headRows(ofValue ? dValue : dKey, group / s.G, s.Tk, s.G, group % s.G, s.D);
    return {partial.floats(group * parts + part) + (ofValue ? s.Tk * s.D : 0), s.D};
  };
  parallelFor(s.B * s.G * parts, [&](int64_t task, int thread) {
    int64_t group = task / parts, part = task % parts, b = group / s.G, g = group % s.G;
    Memory own(layout, memory.floats(thread));
    auto keyRows = headRows(key, b, s.Tk, s.G, g, s.D), valueRows = headRows(value, b, s.Tk, s.G, g, s.D);
    packB(keyRows.data, 1, keyRows.stride, s.D, s.Tk, own.keyColumns);
    packB(valueRows.data, 1, valueRows.stride, s.D, s.Tk, own.valueColumns);
    packB(keyRows.data, keyRows.stride, 1, s.Tk, s.D, own.keyRows);
    HeadRows<float> dKeyRows = partRows(group, part, false), dValueRows = partRows(group, part, true);
    clearRows(dKeyRows, s.Tk, s.D);
    clearRows(dValueRows, s.Tk, s.D);
    for (int64_t i = part; i < headsPerGroup * blocks; i += parts) {
      int64_t head = g * headsPerGroup + i / blocks;
      Head one = {headRows(query, b, s.Tq, s.Q, head, s.D), headRows(y, b, s.Tq, s.Q, head, s.D),
                  headRows(dy, b, s.Tq, s.Q, head, s.D), headRows(dQuery, b, s.Tq, s.Q, head, s.D),
                  logSumExp + (b * s.Q + head) * s.Tq};
      blockGradients(s, queryBlock(s, firstKeyRow(s, firstKey, b), i % blocks), one, dKeyRows, dValueRows, own);
    }
  });
  if (parts == 1) return Status::ok();
  parallelFor(s.B * s.G * 2, [&](int64_t task, int) {
    int64_t group = task / 2;
    bool ofValue = task % 2 == 1;
    auto out = headRows(ofValue ? dValue : dKey, group / s.G, s.Tk, s.G, group % s.G, s.D);
    for (int64_t t = 0; t < s.Tk; ++t) {
      copyRow(out.data + t * out.stride, partRows(group, 0, ofValue).data + t * s.D, s.D);
      for (int64_t part = 1; part < parts; ++part)
        addRow(out.data + t * out.stride, partRows(group, part, ofValue).data + t * s.D, s.D);
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
