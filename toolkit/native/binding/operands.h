#pragma once
#include "blockLayout.h"

namespace moe {

/** The arguments rank and layout of a function of two operands: a's and b's strides over the output. */
struct Operands {
  BlockLayout block;
  int64_t outputSize, aSize, bSize;  // elements

  Broadcast shape() const { return {block.rank, block.sizes, block.firstStrides, block.secondStrides}; }
};

Operands operandsOf(Arguments& in);

}  // namespace moe
