#include "integers.h"
#include "parallel.h"
#include "scratch.h"
#include "simd.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kTaskElements = 1 << 15;  // elements read in one task
constexpr int64_t kColumnsAtOnce = 64;      // sums kept side by side, in the L1 cache

/** Reductions whose parts can be joined in any grouping: their result is exact. */
enum class ExactOp { sum, maximum, minimum, all, any };

template <ExactOp Op>
MOE_INLINE int64_t identity() {
  if constexpr (Op == ExactOp::sum || Op == ExactOp::any) return 0;
  if constexpr (Op == ExactOp::all) return 1;
  return Op == ExactOp::maximum ? INT64_MIN : INT64_MAX;
}

template <ExactOp Op>
MOE_INLINE int64_t join(int64_t total, int64_t x) {
  // of more than 2^32 of the largest values a sum could leave int64: what counts is the lower half
  if constexpr (Op == ExactOp::sum) return static_cast<int64_t>(static_cast<uint64_t>(total) + static_cast<uint64_t>(x));
  if constexpr (Op == ExactOp::maximum) return x > total ? x : total;
  if constexpr (Op == ExactOp::minimum) return x < total ? x : total;
  if constexpr (Op == ExactOp::all) return total & static_cast<int64_t>(x != 0);
  if constexpr (Op == ExactOp::any) return total | static_cast<int64_t>(x != 0);
}

/** How x [outer, length, inner] is cut: rows of the middle dimension into chunks, the inner one into blocks. */
struct Cuts {
  int64_t outer, length, inner;
  int64_t blocks, blockSize;  // columns of the inner dimension
  int64_t chunks, chunkSize;  // rows of the middle dimension

  Cuts(int64_t outer, int64_t length, int64_t inner) : outer(outer), length(length), inner(inner) {
    blockSize = inner < kColumnsAtOnce ? inner : kColumnsAtOnce;
    blocks = (inner + blockSize - 1) / blockSize;
    chunkSize = kTaskElements / blockSize;
    chunks = length == 0 ? 1 : (length + chunkSize - 1) / chunkSize;
  }
  int64_t tasks() const { return outer * chunks * blocks; }
};

/** total [columns] gets the reduction of `rows` rows that are `inner` elements apart. */
template <ExactOp Op, class Element>
void reduceBlock(int64_t rows, int64_t columns, int64_t inner, const Element* x, int64_t* total) {
  if (inner == 1) {
    int64_t sum = identity<Op>();
    for (int64_t row = 0; row < rows; ++row) sum = join<Op>(sum, x[row]);
    *total = sum;
    return;
  }
  for (int64_t i = 0; i < columns; ++i) total[i] = identity<Op>();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < columns; ++i) total[i] = join<Op>(total[i], x[row * inner + i]);
}

template <ExactOp Op, class Element>
Status reduceExactly(int64_t outer, int64_t length, int64_t inner, const Element* x, Element* out) {
  const Cuts cuts(outer, length, inner);
  Scratch scratch(1, cuts.chunks > 1 ? 2 * outer * cuts.chunks * inner : 1);  // int64, two elements each
  if (!scratch.isOk()) return scratch.status("partial results of a reduction");
  int64_t* parts = static_cast<int64_t*>(scratch.bytes());
  int64_t elements = cuts.blockSize * (length < cuts.chunkSize ? length : cuts.chunkSize) + 1;
  parallelRanges(cuts.tasks(), kTaskElements / elements + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t block = task % cuts.blocks, chunk = task / cuts.blocks % cuts.chunks, o = task / cuts.blocks / cuts.chunks;
      int64_t column = block * cuts.blockSize, row = chunk * cuts.chunkSize;
      int64_t columns = inner - column < cuts.blockSize ? inner - column : cuts.blockSize;
      int64_t rows = length - row < cuts.chunkSize ? length - row : cuts.chunkSize;
      const Element* from = x + (o * length + row) * inner + column;
      if (cuts.chunks > 1) {
        reduceBlock<Op>(rows, columns, inner, from, parts + (o * cuts.chunks + chunk) * inner + column);
        continue;
      }
      int64_t total[kColumnsAtOnce];
      reduceBlock<Op>(rows, columns, inner, from, total);
      for (int64_t i = 0; i < columns; ++i) out[o * inner + column + i] = static_cast<Element>(total[i]);
    }
  });
  if (cuts.chunks == 1) return Status::ok();
  for (int64_t i = 0; i < outer * inner; ++i) {
    int64_t total = identity<Op>();
    for (int64_t c = 0; c < cuts.chunks; ++c) total = join<Op>(total, parts[(i / inner * cuts.chunks + c) * inner + i % inner]);
    out[i] = static_cast<Element>(total);
  }
  return Status::ok();
}

/** What JavaScript stores of a float64 in an int32. */
MOE_INLINE int32_t wrappedProduct(double value) {
  if (value > -9.2e18 && value < 9.2e18) return static_cast<int32_t>(static_cast<int64_t>(value));
  if (!(__builtin_fabs(value) < __builtin_inf())) return 0;
  double rest = __builtin_fmod(value, 4294967296.0);
  return static_cast<int32_t>(static_cast<int64_t>(rest));
}

/** Products are rounded on the way, so their order is fixed: from the first element to the last. */
void multiplyAll(int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out) {
  parallelRanges(outer * inner, kTaskElements / (length + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t* from = x + i / inner * length * inner + i % inner;
      double product = 1.0;
      for (int64_t row = 0; row < length; ++row) product *= from[row * inner];
      out[i] = wrappedProduct(product);
    }
  });
}

template <bool Largest>
void extremesOf(int64_t length, int64_t columns, int64_t inner, const int32_t* x, int32_t* index) {
  int32_t best[kColumnsAtOnce];
  for (int64_t i = 0; i < columns; ++i) best[i] = x[i], index[i] = 0;
  for (int64_t row = 1; row < length; ++row)
    for (int64_t i = 0; i < columns; ++i) {
      int32_t value = x[row * inner + i];
      bool isBetter = Largest ? value > best[i] : value < best[i];
      best[i] = isBetter ? value : best[i];
      index[i] = isBetter ? static_cast<int32_t>(row) : index[i];
    }
}

}  // namespace

Status indexOfExtremeInt(bool ofLargest, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out) {
  if (length < 1 || length > INT32_MAX) return Status::outOfRange("length", length, 1, INT32_MAX);
  int64_t blocks = (inner + kColumnsAtOnce - 1) / kColumnsAtOnce;
  int64_t elements = length * (inner < kColumnsAtOnce ? inner : kColumnsAtOnce);
  auto extremes = ofLargest ? extremesOf<true> : extremesOf<false>;
  parallelRanges(outer * blocks, kTaskElements / (elements + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t column = task % blocks * kColumnsAtOnce, o = task / blocks;
      int64_t columns = inner - column < kColumnsAtOnce ? inner - column : kColumnsAtOnce;
      extremes(length, columns, inner, x + o * length * inner + column, out + o * inner + column);
    }
  });
  return Status::ok();
}

Status reduceInts(ReduceOp op, int64_t outer, int64_t length, int64_t inner, const int32_t* x, int32_t* out) {
  bool needsOne = op == ReduceOp::maximum || op == ReduceOp::minimum;
  if (needsOne && length < 1) return Status::outOfRange("length", length, 1, INT64_MAX);
  switch (op) {
    case ReduceOp::sum: return reduceExactly<ExactOp::sum>(outer, length, inner, x, out);
    case ReduceOp::maximum: return reduceExactly<ExactOp::maximum>(outer, length, inner, x, out);
    case ReduceOp::minimum: return reduceExactly<ExactOp::minimum>(outer, length, inner, x, out);
    case ReduceOp::product: multiplyAll(outer, length, inner, x, out); return Status::ok();
  }
  return Status::outOfRange("op", static_cast<int64_t>(op), 0, static_cast<int64_t>(ReduceOp::minimum));
}

Status reduceBytes(bool ofAll, int64_t outer, int64_t length, int64_t inner, const uint8_t* x, uint8_t* out) {
  if (ofAll) return reduceExactly<ExactOp::all>(outer, length, inner, x, out);
  return reduceExactly<ExactOp::any>(outer, length, inner, x, out);
}

}  // namespace moe::MOE_ISA
