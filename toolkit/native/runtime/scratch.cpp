#include "scratch.h"

#include <cstdlib>

#include "status.h"

namespace moe {
namespace {

constexpr int64_t kAlignment = 64;                  // bytes: a cache line and the widest vector
constexpr int64_t kSlack = 128;                     // bytes: kernels may store one whole vector past the end
constexpr int kKeptBlocks = 8;                      // a fused op holds about four at once
constexpr int64_t kLargestKept = int64_t{1} << 28;  // bytes; larger blocks go back to the system at once

struct Block {
  char* data;
  int64_t capacity;
};

/** Blocks that the calling thread may use again. */
struct Store {
  Block blocks[kKeptBlocks] = {};

  ~Store() {
    for (Block& block : blocks) std::free(block.data);
  }

  Block take(int64_t bytes) {
    Block* best = nullptr;
    for (Block& block : blocks) {
      bool fits = block.data != nullptr && block.capacity >= bytes;
      if (fits && (best == nullptr || block.capacity < best->capacity)) best = &block;
    }
    if (best == nullptr) return {nullptr, 0};
    Block found = *best;
    *best = {nullptr, 0};
    return found;
  }

  void give(Block given) {
    Block* smallest = &blocks[0];
    for (Block& block : blocks)
      if (block.capacity < smallest->capacity) smallest = &block;
    if (given.capacity > kLargestKept || given.capacity <= smallest->capacity) {
      std::free(given.data);
      return;
    }
    std::free(smallest->data);
    *smallest = given;
  }
};

thread_local Store store;

}  // namespace

Scratch::Scratch(int64_t areas, int64_t count) : data_(nullptr), stride_(0), capacity_(0) {
  stride_ = (count * 4 + kAlignment - 1) / kAlignment * kAlignment + kSlack;
  int64_t bytes = stride_ * (areas < 1 ? 1 : areas);
  Block block = store.take(bytes);
  if (block.data == nullptr) block = {static_cast<char*>(std::aligned_alloc(kAlignment, bytes)), bytes};
  data_ = block.data;
  capacity_ = block.capacity == 0 ? bytes : block.capacity;
}

Scratch::~Scratch() {
  if (data_ != nullptr) store.give({data_, capacity_});
}

Status Scratch::status(const char* name) const {
  return data_ != nullptr ? Status::ok() : Status::outOfMemory(name, capacity_);
}

}  // namespace moe
