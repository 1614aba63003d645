#include "runtime.h"

#include <mutex>

#include "kernelImage.h"

namespace moe::cuda {
namespace {

/** Oldest GPUs that kernels are built for: Ampere. */
constexpr int kLowestCapability = 80;

/** Never destroyed: other threads may still run when the process ends. */
struct Device {
  std::mutex opening;
  std::atomic<int> index{-1};
  cudaStream_t stream = nullptr;
  int multiprocessors = 1, capability = 0;
  IndexError* indexError = nullptr;
  std::atomic<int> lostWith{cudaSuccess};
};
Device& device() {
  static Device& only = *new Device;
  return only;
}

/** Errors after which every call fails until the process ends. Source: CUDA Runtime API, "Error handling". */
bool isLasting(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 214:            // cudaErrorECCUncorrectable
    case 700: case 702:  // illegal address, timeout
    case 710:            // assertion
    case 714: case 715: case 716: case 717: case 718: case 719:  // hardware stack … launch failure
      return true;
    default: return false;
  }
}

/** A thread of its own has a current device of its own. */
cudaError_t useDeviceHere() {
  static thread_local int current = -1;
  int wanted = device().index.load(std::memory_order_acquire);
  if (current == wanted) return cudaSuccess;
  cudaError_t error = cudaSetDevice(wanted);
  if (error == cudaSuccess) current = wanted;
  return error;
}

Status start(int index) {
  DeviceInfo info;
  Status known = describeDevice(index, &info);
  if (!known.isOk()) return known;
  if (cudaError_t error = cudaSetDevice(index); error != cudaSuccess) return statusOf(error);
  int capability = 10 * info.capabilityMajor + info.capabilityMinor;
  if (capability < kLowestCapability) return statusOf(cudaErrorNoKernelImageForDevice);
  if (cudaError_t error = findKernelImage(); error != cudaSuccess) return statusOf(error);
  void* word = nullptr;
  // The host reads it after each wait without asking for a copy: device code reaches this memory by the same address.
  if (cudaError_t error = cudaHostAlloc(&word, sizeof(IndexError), cudaHostAllocMapped); error != cudaSuccess) return statusOf(error);
  Device& own = device();
  own.indexError = static_cast<IndexError*>(word);
  *own.indexError = {};
  if (cudaError_t error = cudaStreamCreateWithFlags(&own.stream, cudaStreamNonBlocking); error != cudaSuccess) return statusOf(error);
  own.multiprocessors = info.multiprocessors;
  own.capability = capability;
  own.index.store(index, std::memory_order_release);
  return statusOf(useDeviceHere());
}

}  // namespace

cudaStream_t stream() {
  // A failure shows in what is done with the stream.
  (void)useDeviceHere();
  return device().stream;
}
int multiprocessors() { return device().multiprocessors; }
int capability() { return device().capability; }
IndexError* indexError() { return device().indexError; }
int openedDevice() { return device().index.load(std::memory_order_acquire); }

Counters& counters() {
  static Counters& only = *new Counters{};
  return only;
}
void noteLaunch() { counters().launches.fetch_add(1, std::memory_order_relaxed); }

Status statusOf(cudaError_t error) {
  if (error == cudaSuccess) return Status::ok();
  cudaGetLastError();  // or the next launch would report it again
  if (isLasting(error)) device().lostWith = error;
  return Status::device(cudaGetErrorName(error), error);
}

Status lost() {
  auto error = static_cast<cudaError_t>(device().lostWith.load());
  return error == cudaSuccess ? Status::ok() : Status::device(cudaGetErrorName(error), error);
}

Status countDevices(int* count) {
  Status found = statusOf(cudaGetDeviceCount(count));
  if (!found.isOk()) *count = 0;
  return found;
}

Status describeDevice(int index, DeviceInfo* info) {
  int count = 0;
  Status found = countDevices(&count);
  if (!found.isOk()) return found;
  if (index < 0 || index >= count) return Status::outOfRange("index of the device", index, 0, count - 1);
  cudaDeviceProp properties;
  if (cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) return statusOf(error);
  *info = {properties.name, properties.major, properties.minor, properties.multiProcessorCount, 0, 0,
           static_cast<int64_t>(properties.totalGlobalMem), 0};
  cudaDriverGetVersion(&info->driverVersion);
  cudaRuntimeGetVersion(&info->runtimeVersion);
  size_t free = 0, total = 0;
  if (index == openedDevice() && useDeviceHere() == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess) info->freeBytes = static_cast<int64_t>(free);
  return Status::ok();
}

Status openDevice(int index) {
  Device& own = device();
  std::lock_guard guard(own.opening);
  int opened = own.index;
  if (opened >= 0 && opened != index) return Status::outOfRange("index of the device", index, opened, opened);
  return opened == index ? statusOf(useDeviceHere()) : start(index);
}

Status noticedIndexError() {
  IndexError* error = device().indexError;
  if (error == nullptr || error->isSet == 0) return Status::ok();
  Status noticed = Status::outOfRange("an index, in a kernel launched before,", error->index, 0, static_cast<int64_t>(error->length) - 1);
  *error = {};
  return noticed;
}

Status synchronize() {
  counters().synchronizations.fetch_add(1, std::memory_order_relaxed);
  Status done = statusOf(cudaStreamSynchronize(stream()));
  return done.isOk() ? noticedIndexError() : done;
}

}  // namespace moe::cuda
