#include "arrays.h"

#include "elements.h"

namespace moe::cuda {
namespace {

constexpr int kPackBytes = 16;

template <int N>
__global__ void __launch_bounds__(kElementThreads)
fillPacks(int64_t bytes, uint32_t word, uint8_t* out) {
  static_assert(N == 4 || N == kPackBytes);
  int64_t packs = bytes / N;
  Pack<uint32_t, N / 4> pack;
#pragma unroll
  for (int i = 0; i < N / 4; ++i) pack.lane[i] = word;
  for (int64_t p = gridThread(); p < packs; p += gridThreads()) storePack(reinterpret_cast<uint32_t*>(out) + p * (N / 4), pack);
  int64_t last = packs * N + gridThread();  // out is aligned to a word: which byte of it comes next is known
  if (last < bytes) out[last] = static_cast<uint8_t>(word >> (8 * (last % 4)));
}

/** For arrays that begin within a word. */
template <class Element>
__global__ void __launch_bounds__(kElementThreads)
fillElements(int64_t count, Element element, Element* out) {
  for (int64_t i = gridThread(); i < count; i += gridThreads()) out[i] = element;
}

struct Same {
  __device__ uint8_t operator()(uint8_t x) const { return x; }
};

}  // namespace

Status copyArray(int64_t bytes, const void* from, void* to) {
  return mapElements<kPackBytes>(bytes, Same{}, static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to));
}

Status fillArray(int64_t count, int64_t elementBytes, uint32_t element, void* out) {
  auto* bytes = static_cast<uint8_t*>(out);
  uint32_t word = elementBytes == 1 ? (element & 0xffu) * 0x01010101u : elementBytes == 2 ? (element & 0xffffu) * 0x00010001u : element;
  int64_t total = count * elementBytes;
  if (isPackAligned<kPackBytes>(bytes)) return launch(fillPacks<kPackBytes>, elementGrid(ceilDivide(total, kPackBytes)), total, word, bytes);
  if (isPackAligned<4>(bytes)) return launch(fillPacks<4>, elementGrid(ceilDivide(total, 4)), total, word, bytes);
  if (elementBytes == 2) return launch(fillElements<uint16_t>, elementGrid(count), count, static_cast<uint16_t>(element), static_cast<uint16_t*>(out));
  return launch(fillElements<uint8_t>, elementGrid(total), total, static_cast<uint8_t>(element), bytes);
}

}  // namespace moe::cuda
