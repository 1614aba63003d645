#pragma once
#include "device.h"

/* Kernels that go over the elements of arrays: each thread takes N adjacent ones at a time, 16 bytes where the arrays
 * are aligned for it, and comes back for more when the grid has ended. */
namespace moe::cuda {

constexpr int kElementThreads = 256;

/** A grid for `items` independent pieces of work. More blocks than fit at once, so that none waits long at the end. */
inline Grid elementGrid(int64_t items, int threads = kElementThreads) {
  constexpr int64_t kBlocksOfProcessor = 32;
  int64_t blocks = ceilDivide(items > 0 ? items : 0, threads), most = kBlocksOfProcessor * multiprocessors();
  return {dim3(static_cast<unsigned>(blocks < most ? blocks : most)), dim3(static_cast<unsigned>(threads))};
}

/** Blocks of a grid that has one for each item: whoever has more than a grid can have goes on in a loop. */
inline unsigned gridLength(int64_t items) { return static_cast<unsigned>(items < INT32_MAX ? items : INT32_MAX); }

__device__ inline int64_t gridThread() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline int64_t gridThreads() { return int64_t{gridDim.x} * blockDim.x; }

/** N elements that one access moves. */
template <class Element, int N>
struct alignas(sizeof(Element) * N) Pack {
  Element lane[N];
};

template <int N, class Element>
__device__ inline Pack<Element, N> loadPack(const Element* from) { return *reinterpret_cast<const Pack<Element, N>*>(from); }

template <int N, class Element>
__device__ inline void storePack(Element* to, const Pack<Element, N>& pack) { *reinterpret_cast<Pack<Element, N>*>(to) = pack; }

/** True where packs of N elements can be read from there. */
template <int N, class Element>
bool isPackAligned(const Element* array) { return reinterpret_cast<uintptr_t>(array) % (N * sizeof(Element)) == 0; }

template <int N, class Function, class In, class Out>
__global__ void __launch_bounds__(kElementThreads)
mapPacks(int64_t count, Function function, const In* x, Out* out) {
  int64_t packs = count / N;
  for (int64_t p = gridThread(); p < packs; p += gridThreads()) {
    Pack<In, N> from = loadPack<N>(x + p * N);
    Pack<Out, N> to;
#pragma unroll
    for (int i = 0; i < N; ++i) to.lane[i] = function(from.lane[i]);
    storePack(out + p * N, to);
  }
  int64_t last = packs * N + gridThread();
  if (last < count) out[last] = function(x[last]);
}

/** out [count] = function(x [count]), with N elements at a time; out may be x. */
template <int N, class Function, class In, class Out>
Status mapElements(int64_t count, Function function, const In* x, Out* out) {
  if (isPackAligned<N>(x) && isPackAligned<N>(out))
    return launch(mapPacks<N, Function, In, Out>, elementGrid(ceilDivide(count, N)), count, function, x, out);
  return launch(mapPacks<1, Function, In, Out>, elementGrid(count), count, function, x, out);
}

}  // namespace moe::cuda
