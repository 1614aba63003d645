#pragma once
#include <cstddef>
#include <cstdint>

namespace moe {

/** Working memory of one kernel call, aligned to 64 bytes, contents undefined. Taken from and given back to a small
 *  store of the calling thread, because fresh pages cost more than small kernels.
 *  Take it before a parallelFor, one area for each thread, so that running out of memory is seen by the caller:
 *
 *    Scratch rows(threadCount(), C);               // threadCount() areas of C floats
 *    if (!rows.isOk()) return rows.status("rmsNorm");
 *    parallelFor(tasks, [&](int64_t task, int thread) { float* own = rows.floats(thread); … });
 */
class Scratch {
 public:
  /** `areas` areas of `count` 4-byte elements each. */
  explicit Scratch(int64_t areas, int64_t count);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool isOk() const { return data_ != nullptr; }
  struct Status status(const char* name) const;

  float* floats(int64_t area = 0) { return reinterpret_cast<float*>(data_ + area * stride_); }
  int32_t* ints(int64_t area = 0) { return reinterpret_cast<int32_t*>(data_ + area * stride_); }
  void* bytes(int64_t area = 0) { return data_ + area * stride_; }

 private:
  char* data_;
  int64_t stride_;    // bytes from one area to the next, a multiple of 64
  int64_t capacity_;  // bytes
};

}  // namespace moe
