#include "reduction.h"

#include "parallel.h"
#include "rows.h"
#include "scratch.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kRowsAtOnce = 4;            // rows added up in one go
constexpr int64_t kChunk = 8192;              // elements of a row that one task reduces: 512 for each of 16 sums
constexpr int64_t kRowChunk = 256;            // rows that one task adds up
constexpr int64_t kTaskElements = 1 << 15;    // elements read in one task

template <ReduceOp Op>
MOE_INLINE float identity() {
  if constexpr (Op == ReduceOp::sum) return 0.0f;
  if constexpr (Op == ReduceOp::product) return 1.0f;
  return Op == ReduceOp::maximum ? -__builtin_inff() : __builtin_inff();
}

/** `total` with x taken in; a NaN, once met, stays. */
template <ReduceOp Op>
MOE_INLINE vf join(vf total, vf x) {
  if constexpr (Op == ReduceOp::sum) return total + x;
  if constexpr (Op == ReduceOp::product) return total * x;
  if constexpr (Op == ReduceOp::maximum) return select((x > total) | (x != x), x, total);
  if constexpr (Op == ReduceOp::minimum) return select((x < total) | (x != x), x, total);
}

template <ReduceOp Op>
MOE_INLINE double joinOne(double total, double x) {
  if constexpr (Op == ReduceOp::sum) return total + x;
  if constexpr (Op == ReduceOp::product) return total * x;
  if constexpr (Op == ReduceOp::maximum) return x > total || x != x ? x : total;
  if constexpr (Op == ReduceOp::minimum) return x < total || x != x ? x : total;
}

template <ReduceOp Op>
float reduceContiguous(const float* x, int64_t count) {
  return reduceRow(count, broadcast(identity<Op>()), join<Op>, [&](int64_t c, auto lanes) { return lanes.load(x + c); });
}

/** x [outer, length]: rows are reduced whole, or in chunks whose results are then joined. */
template <ReduceOp Op>
Status reduceRows(int64_t outer, int64_t length, float scale, const float* x, float* out) {
  int64_t chunks = (length + kChunk - 1) / kChunk;
  if (chunks <= 1) {
    parallelRanges(outer, rowsOfTask(outer, length), [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) out[row] = scale * reduceContiguous<Op>(x + row * length, length);
    });
    return Status::ok();
  }
  Scratch parts(1, outer * chunks);
  if (!parts.isOk()) return parts.status("partial results of a reduction");
  float* part = parts.floats();
  parallelRanges(outer * chunks, taskElements(outer * length) / kChunk, [&](int64_t first, int64_t last, int) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      int64_t begin = chunk % chunks * kChunk;
      int64_t count = length - begin < kChunk ? length - begin : kChunk;
      part[chunk] = reduceContiguous<Op>(x + chunk / chunks * length + begin, count);
    }
  });
  for (int64_t row = 0; row < outer; ++row) {
    double total = identity<Op>();
    for (int64_t c = 0; c < chunks; ++c) total = joinOne<Op>(total, part[row * chunks + c]);
    out[row] = static_cast<float>(scale * total);
  }
  return Status::ok();
}

/** out [columns] = the reduction of `rows` rows; `out` grows in the cache while several rows are read. */
template <ReduceOp Op>
void reduceColumns(int64_t rows, int64_t columns, float scale, const float* x, float* out) {
  fillRow(out, identity<Op>(), columns);
  for (int64_t row = 0; row < rows; row += kRowsAtOnce) {
    const float* from = x + row * columns;
    int64_t left = rows - row;
    forEachVector(columns, [&](int64_t c, auto lanes) {
      vf total = lanes.load(out + c);
#pragma GCC unroll 4
      for (int64_t r = 0; r < kRowsAtOnce; ++r) {
        prefetch(from + (r + kRowsAtOnce) * columns + c);
        if (r < left) total = join<Op>(total, lanes.load(from + r * columns + c));
      }
      lanes.store(out + c, total);
    });
  }
  if (scale != 1.0f) scaleRow(out, out, scale, columns);
}

/** x [outer, length, inner] with inner > 1 */
template <ReduceOp Op>
Status reduceMiddle(int64_t outer, int64_t length, int64_t inner, float scale, const float* x, float* out) {
  int64_t chunks = (length + kRowChunk - 1) / kRowChunk;
  if (chunks <= 1) {
    int64_t size = length * inner;
    int64_t grain = size >= kTaskElements || size == 0 ? 1 : kTaskElements / size;
    parallelRanges(outer, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t o = begin; o < end; ++o) reduceColumns<Op>(length, inner, scale, x + o * size, out + o * inner);
    });
    return Status::ok();
  }
  Scratch parts(1, outer * chunks * inner);
  if (!parts.isOk()) return parts.status("partial results of a reduction");
  float* part = parts.floats();
  parallelFor(outer * chunks, [&](int64_t task, int) {
    int64_t begin = task % chunks * kRowChunk;
    int64_t rows = length - begin < kRowChunk ? length - begin : kRowChunk;
    reduceColumns<Op>(rows, inner, 1.0f, x + (task / chunks * length + begin) * inner, part + task * inner);
  });
  parallelRanges(outer * inner, kTaskElements / chunks + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float* from = part + i / inner * chunks * inner + i % inner;
      double total = identity<Op>();
      for (int64_t c = 0; c < chunks; ++c) total = joinOne<Op>(total, from[c * inner]);
      out[i] = static_cast<float>(scale * total);
    }
  });
  return Status::ok();
}

template <ReduceOp Op>
Status run(int64_t outer, int64_t length, int64_t inner, float scale, const float* x, float* out) {
  if (inner == 1) return reduceRows<Op>(outer, length, scale, x, out);
  return reduceMiddle<Op>(outer, length, inner, scale, x, out);
}

template <bool Largest>
void extremesOf(int64_t length, int64_t inner, const float* x, int32_t* out) {
  for (int64_t i = 0; i < inner; ++i) {
    float best = x[i];
    int64_t index = 0;
    for (int64_t j = 1; j < length; ++j) {
      float value = x[j * inner + i];
      bool isBetter = Largest ? value > best : value < best;
      if (isBetter) best = value, index = j;
    }
    out[i] = static_cast<int32_t>(index);
  }
}

}  // namespace

Status reduce(ReduceOp op, int64_t outer, int64_t length, int64_t inner, float scale, const float* x, float* out) {
  bool needsOne = op == ReduceOp::maximum || op == ReduceOp::minimum;
  if (needsOne && length < 1) return Status::outOfRange("length", length, 1, INT64_MAX);
  switch (op) {
    case ReduceOp::sum: return run<ReduceOp::sum>(outer, length, inner, scale, x, out);
    case ReduceOp::product: return run<ReduceOp::product>(outer, length, inner, scale, x, out);
    case ReduceOp::maximum: return run<ReduceOp::maximum>(outer, length, inner, scale, x, out);
    case ReduceOp::minimum: return run<ReduceOp::minimum>(outer, length, inner, scale, x, out);
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(ReduceOp::minimum));
}

Status indexOfExtreme(bool ofLargest, int64_t outer, int64_t length, int64_t inner, const float* x, int32_t* out) {
  if (length < 1) return Status::outOfRange("length", length, 1, INT64_MAX);
  int64_t size = length * inner;
  int64_t grain = size >= kTaskElements ? 1 : kTaskElements / (size + 1) + 1;
  parallelRanges(outer, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t o = begin; o < end; ++o) {
      if (ofLargest)
        extremesOf<true>(length, inner, x + o * size, out + o * inner);
      else
        extremesOf<false>(length, inner, x + o * size, out + o * inner);
    }
  });
  return Status::ok();
}

}  // namespace moe::MOE_ISA
