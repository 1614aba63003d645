/* Memory comes from the device in segments, which are cut into blocks. A free block is cut where more than a
 * negligible rest is left, and joined with free neighbours when it is given back. The smallest block that fits is used. */
#include "allocator.h"

#include <mutex>
#include <set>
#include <unordered_map>

#include "runtime.h"

namespace moe::cuda {
namespace {

constexpr int64_t kUnit = 512;                         // bytes: of sizes and alignment
constexpr int64_t kMostSmall = int64_t{1} << 20;       // small blocks have segments of their own: they would cut up the large
constexpr int64_t kSmallSegment = int64_t{2} << 20;
constexpr int64_t kLargeSegment = int64_t{32} << 20;   // for blocks up to half of it; larger ones get their own
constexpr int64_t kLargeUnit = int64_t{2} << 20;       // the device's pages
#ifdef MOE_EMULATED
constexpr int64_t kGuardBytes = 256;  // no taker's, so that a kernel that leaves its array is noticed
#else
constexpr int64_t kGuardBytes = 0;
#endif

struct Block {
  char* begin;
  int64_t bytes;
  Block *before, *after;  // neighbours in the segment
  bool isSmall, isFree;
};

struct BySize {
  bool operator()(const Block* a, const Block* b) const { return a->bytes != b->bytes ? a->bytes < b->bytes : a->begin < b->begin; }
};

/** Never destroyed: arrays may still go when the process ends. */
struct Memory {
  std::mutex lock;
  std::set<Block*, BySize> free[2];  // large, small
  std::unordered_map<void*, Block*> taken;
  int64_t allocatedBytes = 0, freeBytes = 0, peakBytes = 0;
};
Memory& memory() {
  static Memory& only = *new Memory;
  return only;
}

int64_t roundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

#ifdef MOE_EMULATED
void noteTaken(const Block& block, int64_t bytes) { cudaEmulator::allowAccess(block.begin, block.bytes, bytes); }
void noteGiven(const Block& block) { cudaEmulator::forbidAccess(block.begin, block.bytes); }
#else
void noteTaken(const Block&, int64_t) {}
void noteGiven(const Block&) {}
#endif

void keep(Memory& own, Block* block) {
  block->isFree = true;
  own.free[block->isSmall].insert(block);
  own.freeBytes += block->bytes;
}

void unkeep(Memory& own, Block* block) {
  block->isFree = false;
  own.free[block->isSmall].erase(block);
  own.freeBytes -= block->bytes;
}

Block* smallestThatFits(Memory& own, int64_t bytes, bool isSmall) {
  Block wanted{nullptr, bytes, nullptr, nullptr, isSmall, true};
  auto found = own.free[isSmall].lower_bound(&wanted);
  if (found == own.free[isSmall].end()) return nullptr;
  // A far larger block would be cut up for it and couldn't be had whole again.
  bool isWasteful = !isSmall && bytes > kLargeSegment / 2 && (*found)->bytes > 2 * bytes;
  return isWasteful ? nullptr : *found;
}

Block* newSegment(int64_t bytes, bool isSmall) {
  int64_t size = isSmall ? kSmallSegment : bytes <= kLargeSegment / 2 ? kLargeSegment : roundUp(bytes, kLargeUnit);
  void* begin = nullptr;
  (void)stream();  // makes the device this thread's
  if (!statusOf(cudaMalloc(&begin, static_cast<size_t>(size))).isOk()) {
    // A segment for several blocks may be more than there is, where this block would fit.
    size = roundUp(bytes, kUnit);
    if (!statusOf(cudaMalloc(&begin, static_cast<size_t>(size))).isOk()) return nullptr;
  }
  Block* block = new Block{static_cast<char*>(begin), size, nullptr, nullptr, isSmall, false};
  noteGiven(*block);
  return block;
}

/** Leaves the block its first `bytes` and keeps the rest. */
void cut(Memory& own, Block* block, int64_t bytes) {
  int64_t rest = block->bytes - bytes;
  if (rest < (block->isSmall ? kUnit : kMostSmall)) return;
  Block* other = new Block{block->begin + bytes, rest, block, block->after, block->isSmall, true};
  if (block->after != nullptr) block->after->before = other;
  block->after = other;
  block->bytes = bytes;
  keep(own, other);
}

/** The block with `other`, which comes behind it and is free. */
void join(Memory& own, Block* block, Block* other) {
  unkeep(own, other);
  block->bytes += other->bytes;
  block->after = other->after;
  if (other->after != nullptr) other->after->before = block;
  delete other;
}

Status releaseLocked(Memory& own) {
  Status done = statusOf(cudaStreamSynchronize(stream()));
  if (!done.isOk()) return done;
  for (auto& pool : own.free) {
    for (auto next = pool.begin(); next != pool.end();) {
      Block* block = *next++;
      if (block->before != nullptr || block->after != nullptr) continue;
      unkeep(own, block);
      Status freed = statusOf(cudaFree(block->begin));
      delete block;
      if (!freed.isOk()) return freed;
    }
  }
  return Status::ok();
}

}  // namespace

Status takeMemory(const char* name, int64_t bytes, void** taken) {
  Memory& own = memory();
  std::lock_guard guard(own.lock);
  int64_t size = roundUp((bytes > 0 ? bytes : 1) + kGuardBytes, kUnit);
  bool isSmall = size <= kMostSmall;
  Block* block = smallestThatFits(own, size, isSmall);
  if (block != nullptr) unkeep(own, block);
  else block = newSegment(size, isSmall);
  if (block == nullptr) {
    if (!lost().isOk()) return lost();
    Status released = releaseLocked(own);
    if (!released.isOk()) return released;
    block = newSegment(size, isSmall);
  }
  if (block == nullptr) return lost().isOk() ? Status::outOfMemory(name, bytes) : lost();
  cut(own, block, size);
  noteTaken(*block, bytes);
  own.taken.emplace(block->begin, block);
  own.allocatedBytes += block->bytes;
  if (own.allocatedBytes > own.peakBytes) own.peakBytes = own.allocatedBytes;
  *taken = block->begin;
  return Status::ok();
}

void giveMemory(void* given) {
  if (given == nullptr) return;
  Memory& own = memory();
  std::lock_guard guard(own.lock);
  auto found = own.taken.find(given);
  if (found == own.taken.end()) return;
  Block* block = found->second;
  own.taken.erase(found);
  own.allocatedBytes -= block->bytes;
  if (block->after != nullptr && block->after->isFree) join(own, block, block->after);
  if (block->before != nullptr && block->before->isFree) {
    Block* before = block->before;
    unkeep(own, before);
    keep(own, block);
    join(own, before, block);
    block = before;
  }
  noteGiven(*block);
  keep(own, block);
}

MemoryFigures memoryFigures() {
  Memory& own = memory();
  std::lock_guard guard(own.lock);
  return {own.allocatedBytes, own.freeBytes, own.peakBytes};
}

void resetPeak() {
  Memory& own = memory();
  std::lock_guard guard(own.lock);
  own.peakBytes = own.allocatedBytes;
}

Status releaseKept() {
  Memory& own = memory();
  std::lock_guard guard(own.lock);
  counters().synchronizations.fetch_add(1, std::memory_order_relaxed);
  return releaseLocked(own);
}

Scratch::Scratch(int64_t bytes) : memory_(nullptr), bytes_(bytes) {
  if (!takeMemory("working memory", bytes, &memory_).isOk()) memory_ = nullptr;
}
Scratch::~Scratch() { giveMemory(memory_); }

}  // namespace moe::cuda
