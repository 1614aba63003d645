#include "countingSort.h"
#include "dispatch.h"

namespace moe::cuda {
namespace {

/** The expert of a choice, −1 for none. */
struct ExpertOf {
  const int32_t* ids;
  int64_t E;
  IndexError* error;

  __device__ int operator()(int64_t choice) const {
    int32_t id = ids[choice];
    if (id >= 0 && id < E) return id;
    if (id != -1) noteBadIndex(error, id, E);
    return -1;
  }
};

struct PutSlot {
  unsigned K;
  int32_t *slotToken, *tokenSlot;

  __device__ void operator()(int64_t choice, int32_t slot, int32_t used) const {
    tokenSlot[choice] = slot;
    if (slot >= 0) slotToken[slot] = static_cast<int32_t>(static_cast<unsigned>(choice) / K);
    if (choice >= used) slotToken[choice] = 0;  // an unused slot
  }
};

}  // namespace

Status planDispatch(const int32_t* ids, int64_t N, int64_t K, int64_t E, int32_t* offsets, int32_t* slotToken, int32_t* tokenSlot) {
  if (N * K > INT32_MAX) return Status::outOfRange("the number of choices of a plan", N * K, 0, INT32_MAX);
  if (E > kMostBins) return Status::outOfRange("E", E, 0, kMostBins);
  return countingSort(N * K, E, ExpertOf{ids, E, indexError()}, PutSlot{static_cast<unsigned>(K), slotToken, tokenSlot}, offsets);
}

}  // namespace moe::cuda
