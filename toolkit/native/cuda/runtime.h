#pragma once
/* The device that this process uses, as the host's code sees it: without anything that only a CUDA compiler understands. */
#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "status.h"

namespace moe::cuda {

/** The stream of all work of this process. */
cudaStream_t stream();

/** Streaming multiprocessors of the device in use; ≥ 1. */
int multiprocessors();
/** 10 · major + minor: 80, 86, 89, 90. */
int capability();

/** A Status for what CUDA answered. Remembers an error after which the device can't be used any more. */
Status statusOf(cudaError_t error);

/** Counts a launch for deviceCounters(). */
void noteLaunch();

/** Working memory of one call on the device, aligned to 256 bytes, contents undefined. It is given back when the object
 *  goes, while the kernels that use it may still wait in the stream: later takers come behind them in the same stream. */
class Scratch {
 public:
  explicit Scratch(int64_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool isOk() const { return memory_ != nullptr; }
  Status status(const char* name) const { return Status::outOfMemory(name, bytes_); }
  template <class T>
  T* as(int64_t offsetBytes = 0) { return reinterpret_cast<T*>(static_cast<char*>(memory_) + offsetBytes); }

 private:
  void* memory_;
  int64_t bytes_;
};

/** Where kernels note an index that is out of its range; 0 while there was none. The next wait for the device reports it. */
struct IndexError {
  int32_t isSet, index, length;
};
IndexError* indexError();

/** What happened since the process began. */
struct Counters {
  std::atomic<int64_t> launches, synchronizations, uploads, downloads, uploadedBytes, downloadedBytes;
};
Counters& counters();

/** The four parts of a typed error. */
struct Problem {
  std::string code, what, why, fix;
};

/** The typed error for a Status of code `device`; `during` says what was tried. */
Problem problemOf(const Status& status, const std::string& during);

struct DeviceInfo {
  std::string name;
  int capabilityMajor, capabilityMinor, multiprocessors, driverVersion, runtimeVersion;
  int64_t totalBytes, freeBytes;
};

/** Devices that the process may use. Not ok where there is no driver, or one that is too old. */
Status countDevices(int* count);

/** Not ok when `index` isn't there. freeBytes is 0 for a device that isn't in use: asking would start it. */
Status describeDevice(int index, DeviceInfo* info);

/** Chooses the device of this process, once; asks whether this addon holds code for it. The calling thread may use the
 *  device afterwards; other threads call it too, and get the same device. */
Status openDevice(int index);
/** The device in use, −1 before openDevice. */
int openedDevice();

/** Waits until everything put into the stream is done, and reports what went wrong in it. Counted. */
Status synchronize();
/** Reports, and forgets, an index that a kernel refused. For callers that have waited for the stream. */
Status noticedIndexError();

/** The error that ended the use of the device; ok while there is none. */
Status lost();

}  // namespace moe::cuda
