#pragma once
/* How a kernel's threads run on the CPU: the blocks of a grid one after another, the threads of a block as fibers of one
 * operating-system thread. A fiber runs until it waits for others, at a barrier or in a warp's collective; then the next
 * one does. So a kernel without barriers costs a function call for each thread. */
#include <cstdint>
#include <cstring>
#include <functional>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 { unsigned x, y, z; };

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace cudaEmulator {

/** In which order the threads of a block take turns: results must not depend on it. MOE_EMULATED_ORDER chooses. */
enum class Order { forward, reverse, shuffled };

/** Runs body once for every thread of every block.
 *  @return an empty string, or what would hang or break a real device */
const char* runGrid(dim3 grid, dim3 block, size_t dynamicSharedBytes, const std::function<void()>& body);

/** Dynamic shared memory of the running block, aligned to 1024 bytes; filled with 0xff at the block's start. */
char* dynamicSharedMemory();

/** All threads of the block that have not ended meet; with a count, that many threads meet at the numbered barrier. */
void blockBarrier(int barrier, int count);

/** Computes what each lane of `mask` gets from what all of them gave; the last one to arrive does it for all. */
using Combine = void (*)(const void* const* given, void* const* got, unsigned mask, const void* settings);

/** A warp's collective: gives `given`, fills `got` when all lanes of the mask have come. */
void warpCollective(unsigned mask, const void* given, void* got, Combine combine, const void* settings);

/** Copies 16 bytes to shared memory (zeros where they are not there) when the thread waits for the group: a kernel that
 *  reads too early sees what was there before. */
void queueCopy(void* to, const void* from, bool isThere);
void commitCopies();
/** Finishes all groups of the thread but the newest `pending`. */
void finishCopies(int pending);

/** What went wrong inside a kernel; ends the launch with an error. */
[[noreturn]] void fail(const char* problem);

inline unsigned linearThread() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
inline unsigned lane() { return linearThread() % 32; }
unsigned aliveLanes();

}  // namespace cudaEmulator
