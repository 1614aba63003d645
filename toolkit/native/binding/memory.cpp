/* Memory of tensors: JavaScript allocates it, this prepares it. */
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "groups.h"

namespace moe {
namespace {

constexpr uintptr_t kLine = 64;                       // bytes: a cache line and the widest vector
constexpr uintptr_t kLargePage = uintptr_t{2} << 20;  // bytes, on x86-64 and most arm64

uintptr_t roundUp(uintptr_t address, uintptr_t unit) { return (address + unit - 1) / unit * unit; }

/** Asks for large pages where whole ones fit: fewer page faults, and products of large matrices miss the processor's
 *  table of pages less. It is advice: what the system says doesn't matter. */
void adviseLargePages([[maybe_unused]] uintptr_t begin, [[maybe_unused]] uintptr_t end) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  uintptr_t first = roundUp(begin, kLargePage), last = end / kLargePage * kLargePage;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

/** Returns the first byte of fresh memory at which a vector doesn't straddle two cache lines: 0 … 63. */
Status bindPrepareMemory(Arguments& in) {
  AnyArray memory = in.mutableAnyArray("memory");
  auto begin = reinterpret_cast<uintptr_t>(memory.data);
  adviseLargePages(begin, begin + static_cast<uintptr_t>(memory.length * memory.elementBytes));
  in.returns(static_cast<double>(roundUp(begin, kLine) - begin));
  return Status::ok();
}

}  // namespace

void registerMemory(Exports& exports) { exports.add("prepareMemory", bindPrepareMemory); }

}  // namespace moe
