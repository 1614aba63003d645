#pragma once
#include <cstdint>

#include "runtime.h"

namespace moe::cuda {

/** Copies to the device, in the stream; `from` may change once this returns. */
Status upload(const void* from, int64_t bytes, void* to);

/** Copies from the device and waits for it. Reports an index that a kernel refused. */
Status download(const void* from, int64_t bytes, void* to);

/** Sets bytes to 0, in the stream. */
Status clearOnDevice(void* memory, int64_t bytes);

/** A copy from the device that is under way: it takes what the array holds now, whatever the stream does to it later. */
class Arriving {
 public:
  Arriving() = default;
  ~Arriving();
  Arriving(const Arriving&) = delete;
  Arriving& operator=(const Arriving&) = delete;

  Status start(const void* from, int64_t bytes);
  /** Waits, on any thread. */
  Status wait();
  const void* data() const { return memory_; }
  int64_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  int64_t bytes_ = 0, capacity_ = 0;
  cudaEvent_t event_ = nullptr;
};

}  // namespace moe::cuda
