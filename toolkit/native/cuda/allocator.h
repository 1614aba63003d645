#pragma once
#include <cstdint>

#include "status.h"

namespace moe::cuda {

/* Device memory for arrays and for working memory. What is given back is kept and used again, because cudaMalloc and
 * cudaFree wait for the device. All work is in one stream: memory may be given to a later taker while kernels launched
 * earlier still use it. Safe to call from any thread. */

/** At least `bytes` bytes, aligned to 512; contents undefined. Never null when ok.
 *  @return outOfMemory when the device has no more, also after giving back all that is kept. */
Status takeMemory(const char* name, int64_t bytes, void** memory);
/** Gives back what takeMemory gave; nullptr is nothing. */
void giveMemory(void* memory);

struct MemoryFigures {
  int64_t allocatedBytes;  // taken
  int64_t cachedBytes;     // kept for takers
  int64_t peakBytes;       // most that was taken at once, since the start or resetPeak
};
MemoryFigures memoryFigures();
void resetPeak();

/** Gives kept memory back to the device, as far as whole pieces of it are free. Waits for the device. */
Status releaseKept();

}  // namespace moe::cuda
