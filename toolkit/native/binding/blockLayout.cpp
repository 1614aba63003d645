#include "operands.h"

namespace moe {
namespace {

/** Elements that an operand with these strides must have. */
int64_t operandSize(const BlockLayout& block, const int64_t* strides) {
  for (int64_t d = 0; d < block.rank; ++d)
    if (strides[d] < 0) throw Status::outOfRange("stride", strides[d], 0, kMostElements);
  int64_t last = strides[block.rank - 1];
  if (last > 1 && block.sizes[block.rank - 1] > 1) throw Status::outOfRange("stride of the last dimension", last, 0, 1);
  return block.count() == 0 ? 0 : reachOf(block, strides).highest + 1;
}

}  // namespace

int64_t BlockLayout::count() const {
  int64_t product = 1;
  for (int64_t d = 0; d < rank; ++d) product = elementCount({product, sizes[d]});
  return product;
}

BlockLayout blockLayout(Arguments& in) {
  BlockLayout block;
  block.rank = in.integer("rank", 1, kMostDimensions);
  int64_t numbers[3 * kMostDimensions];
  in.wholeNumbers("layout", 3 * block.rank, numbers);
  for (int64_t d = 0; d < block.rank; ++d) {
    block.sizes[d] = numbers[d];
    block.firstStrides[d] = numbers[block.rank + d];
    block.secondStrides[d] = numbers[2 * block.rank + d];
    if (block.sizes[d] < 0) throw Status::outOfRange("size", block.sizes[d], 0, kMostElements);
  }
  return block;
}

Reach reachOf(const BlockLayout& block, const int64_t* strides) {
  constexpr int64_t kFarAbove = int64_t{1} << 60;
  Reach reach = {0, 0};
  if (block.count() == 0) return reach;
  for (int64_t d = 0; d < block.rank; ++d) {
    int64_t step = strides[d] < 0 ? -strides[d] : strides[d];
    int64_t way = elementCount({block.sizes[d] - 1, step});
    int64_t& end = strides[d] < 0 ? reach.lowest : reach.highest;
    end += strides[d] < 0 ? -way : way;
    if (end > kFarAbove) end = kFarAbove;
    if (end < -kFarAbove) end = -kFarAbove;
  }
  return reach;
}

Operands operandsOf(Arguments& in) {
  BlockLayout block = blockLayout(in);
  return {block, block.count(), operandSize(block, block.firstStrides), operandSize(block, block.secondStrides)};
}

}  // namespace moe
