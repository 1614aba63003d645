/* Copies between the host and the device go through page-locked memory: only then do they run beside the host's work. */
#include "transfers.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <vector>

namespace moe::cuda {
namespace {

constexpr int64_t kRingBytes = int64_t{32} << 20;
constexpr int64_t kChunkBytes = int64_t{4} << 20;
constexpr int64_t kLine = 64;
constexpr int64_t kMostKeptBytes = int64_t{256} << 20;  // of page-locked memory for copies from the device

/** Part of the ring that the device still reads. */
struct Sending {
  int64_t end;  // bytes ever put into the ring up to its end
  cudaEvent_t event;
};

struct Kept {
  void* memory;
  int64_t bytes;
};

/** Never destroyed, as the process may end while the device still copies. */
struct Staging {
  std::mutex lock;
  char* ring = nullptr;
  int64_t put = 0, free = 0;  // bytes ever put into the ring, and ever read from it by the device
  std::deque<Sending> sending;
  std::vector<cudaEvent_t> events;
  std::vector<Kept> kept;
  int64_t keptBytes = 0;
};
Staging& staging() {
  static Staging& only = *new Staging;
  return only;
}

Status takeEvent(Staging& own, cudaEvent_t* event) {
  if (!own.events.empty()) {
    *event = own.events.back();
    own.events.pop_back();
    return Status::ok();
  }
  // Waiting for it sleeps instead of asking again and again.
  return statusOf(cudaEventCreateWithFlags(event, cudaEventDisableTiming | cudaEventBlockingSync));
}

/** Frees what the device has read; with `isWaiting`, at least the oldest part. */
Status reclaim(Staging& own, bool isWaiting) {
  while (!own.sending.empty()) {
    Sending oldest = own.sending.front();
    cudaError_t error = isWaiting ? cudaEventSynchronize(oldest.event) : cudaEventQuery(oldest.event);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();
      return Status::ok();
    }
    if (error != cudaSuccess) return statusOf(error);
    own.free = oldest.end;
    own.events.push_back(oldest.event);
    own.sending.pop_front();
    isWaiting = false;
  }
  return Status::ok();
}

/** A place for `bytes` ≤ kChunkBytes in the ring, in one piece. */
Status place(Staging& own, int64_t bytes, char** found) {
  if (own.ring == nullptr) {
    void* ring = nullptr;
    Status made = statusOf(cudaHostAlloc(&ring, kRingBytes, cudaHostAllocDefault));
    if (!made.isOk()) return made;
    own.ring = static_cast<char*>(ring);
  }
  Status freed = reclaim(own, false);
  int64_t start = own.put % kRingBytes + bytes <= kRingBytes ? own.put : (own.put / kRingBytes + 1) * kRingBytes;
  while (freed.isOk() && start + bytes - own.free > kRingBytes) {
    if (own.sending.empty()) {
      own.free = start;
      break;
    }
    counters().synchronizations.fetch_add(1, std::memory_order_relaxed);
    freed = reclaim(own, true);
  }
  if (!freed.isOk()) return freed;
  *found = own.ring + start % kRingBytes;
  own.put = start + (bytes + kLine - 1) / kLine * kLine;
  return Status::ok();
}

Status sendChunk(Staging& own, const char* from, int64_t bytes, char* to) {
  char* between = nullptr;
  Status placed = place(own, bytes, &between);
  if (!placed.isOk()) return placed;
  std::memcpy(between, from, static_cast<size_t>(bytes));
  Status copied = statusOf(cudaMemcpyAsync(to, between, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream()));
  if (!copied.isOk()) return copied;
  cudaEvent_t event = nullptr;
  Status taken = takeEvent(own, &event);
  if (!taken.isOk()) return taken;
  own.sending.push_back({own.put, event});
  return statusOf(cudaEventRecord(event, stream()));
}

/** Page-locked memory of at least `bytes`. */
Status takeLocked(int64_t bytes, Kept* taken) {
  Staging& own = staging();
  std::lock_guard guard(own.lock);
  auto best = own.kept.end();
  for (auto kept = own.kept.begin(); kept != own.kept.end(); ++kept)
    if (kept->bytes >= bytes && (best == own.kept.end() || kept->bytes < best->bytes)) best = kept;
  if (best != own.kept.end() && best->bytes <= std::max(2 * bytes, kChunkBytes)) {
    *taken = *best;
    own.keptBytes -= best->bytes;
    own.kept.erase(best);
    return Status::ok();
  }
  int64_t size = 4096;
  while (size < bytes) size *= 2;
  if (size > kMostKeptBytes) size = bytes;
  taken->bytes = size;
  return statusOf(cudaHostAlloc(&taken->memory, static_cast<size_t>(size), cudaHostAllocDefault));
}

void giveLocked(Kept given) {
  Staging& own = staging();
  std::lock_guard guard(own.lock);
  if (own.keptBytes + given.bytes <= kMostKeptBytes) {
    own.kept.push_back(given);
    own.keptBytes += given.bytes;
  } else {
    (void)statusOf(cudaFreeHost(given.memory));
  }
}

}  // namespace

Status upload(const void* from, int64_t bytes, void* to) {
  Staging& own = staging();
  std::lock_guard guard(own.lock);
  counters().uploads.fetch_add(1, std::memory_order_relaxed);
  counters().uploadedBytes.fetch_add(bytes, std::memory_order_relaxed);
  for (int64_t done = 0; done < bytes; done += kChunkBytes) {
    int64_t now = std::min(kChunkBytes, bytes - done);
    Status sent = sendChunk(own, static_cast<const char*>(from) + done, now, static_cast<char*>(to) + done);
    if (!sent.isOk()) return sent;
  }
  return Status::ok();
}

Status download(const void* from, int64_t bytes, void* to) {
  counters().downloads.fetch_add(1, std::memory_order_relaxed);
  counters().downloadedBytes.fetch_add(bytes, std::memory_order_relaxed);
  if (bytes == 0) return synchronize();
  // The next piece is copied by the device while this one is moved to its place.
  Arriving pieces[2];
  Status started = pieces[0].start(from, std::min(kChunkBytes, bytes));
  if (!started.isOk()) return started;
  counters().synchronizations.fetch_add(1, std::memory_order_relaxed);
  int current = 0;
  for (int64_t done = 0; done < bytes; done += kChunkBytes, current ^= 1) {
    int64_t next = done + kChunkBytes;
    if (next < bytes) {
      started = pieces[current ^ 1].start(static_cast<const char*>(from) + next, std::min(kChunkBytes, bytes - next));
      if (!started.isOk()) return started;
    }
    Status arrived = pieces[current].wait();
    if (!arrived.isOk()) return arrived;
    std::memcpy(static_cast<char*>(to) + done, pieces[current].data(), static_cast<size_t>(pieces[current].bytes()));
  }
  return noticedIndexError();
}

Status clearOnDevice(void* memory, int64_t bytes) { return statusOf(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream())); }

Status Arriving::start(const void* from, int64_t bytes) {
  if (memory_ == nullptr || capacity_ < bytes) {
    if (memory_ != nullptr) giveLocked({memory_, capacity_});
    memory_ = nullptr;
    Kept taken{};
    Status got = takeLocked(bytes, &taken);
    if (!got.isOk()) return got;
    memory_ = taken.memory, capacity_ = taken.bytes;
  }
  bytes_ = bytes;
  if (event_ == nullptr) {
    Staging& own = staging();
    std::lock_guard guard(own.lock);
    Status taken = takeEvent(own, &event_);
    if (!taken.isOk()) return taken;
  }
  Status copied = statusOf(cudaMemcpyAsync(memory_, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream()));
  return copied.isOk() ? statusOf(cudaEventRecord(event_, stream())) : copied;
}

Status Arriving::wait() {
  (void)stream();  // makes the device this thread's
  return statusOf(cudaEventSynchronize(event_));
}

Arriving::~Arriving() {
  if (memory_ != nullptr) giveLocked({memory_, capacity_});
  if (event_ == nullptr) return;
  Staging& own = staging();
  std::lock_guard guard(own.lock);
  own.events.push_back(event_);
}

}  // namespace moe::cuda
