#include "runtimeApi.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define EMULATOR_FORBID(memory, bytes) __asan_poison_memory_region(memory, static_cast<size_t>(bytes))
#define EMULATOR_ALLOW(memory, bytes) __asan_unpoison_memory_region(memory, static_cast<size_t>(bytes))
#else
#define EMULATOR_FORBID(memory, bytes) (void)(memory), (void)(bytes)
#define EMULATOR_ALLOW(memory, bytes) (void)(memory), (void)(bytes)
#endif

struct cudaEmulatedStream {};
struct cudaEmulatedEvent { std::chrono::steady_clock::time_point recorded; };

namespace {

constexpr size_t kMostSharedBytes = 232448;  // of sm_90, a block
std::mutex memoryLock;
std::map<void*, size_t> allocated;
size_t allocatedBytes = 0;
/** As on a device, what breaks a kernel breaks every later call. */
cudaError_t sticky = cudaSuccess;
thread_local cudaError_t last = cudaSuccess;

size_t setting(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
int capability() { return static_cast<int>(setting("MOE_EMULATED_CAPABILITY", 80)); }
size_t memoryBytes() { return setting("MOE_EMULATED_MEMORY", size_t{8} << 30); }

cudaError_t noted(cudaError_t error) {
  if (error == cudaSuccess) error = sticky;
  if (error != cudaSuccess) last = error;
  return error;
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInitializationError: return "cudaErrorInitializationError";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  }
  return "cudaErrorUnknown";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError() {
  cudaError_t error = sticky != cudaSuccess ? sticky : last;
  last = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return sticky != cudaSuccess ? sticky : last; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(setting("MOE_EMULATED_DEVICES", 1));
  // CUDA gives the same error without a driver and with an old one.
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return driver < 13000 ? noted(cudaErrorInsufficientDriver) : cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return error;
  return device >= 0 && device < count ? noted(cudaSuccess) : noted(cudaErrorInvalidDevice);
}
cudaError_t cudaGetDevice(int* device) { *device = 0; return noted(cudaSuccess); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated device %d", device);
  properties->totalGlobalMem = memoryBytes();
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = kMostSharedBytes;
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  // Few, so that grids that fill a device stay small here.
  properties->multiProcessorCount = 4;
  properties->l2CacheSize = 4 << 20;
  properties->maxThreadsPerMultiProcessor = 2048;
  return noted(cudaSuccess);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDeviceProperties(&properties, device);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(properties.sharedMemPerBlockOptin); break;
  }
  return error;
}
cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  std::snprintf(text, static_cast<size_t>(length), "0000:%02X:00.0", device + 1);
  return noted(cudaSuccess);
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = setting("MOE_EMULATED_DEVICES", 1) == 0 ? 0 : static_cast<int>(setting("MOE_EMULATED_DRIVER", 13000));
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { *version = 13000; return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  std::lock_guard guard(memoryLock);
  *total = memoryBytes(), *free = *total - allocatedBytes;
  return noted(cudaSuccess);
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  std::lock_guard guard(memoryLock);
  if (sticky != cudaSuccess) return noted(sticky);
  if (allocatedBytes + bytes > memoryBytes()) return noted(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*memory == nullptr) return noted(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xff, bytes);  // NaN: what nobody wrote is seen
  allocated[*memory] = bytes;
  allocatedBytes += bytes;
  return noted(cudaSuccess);
}
cudaError_t cudaFree(void* memory) {
  std::lock_guard guard(memoryLock);
  if (memory == nullptr) return noted(cudaSuccess);
  auto found = allocated.find(memory);
  if (found == allocated.end()) return noted(cudaErrorInvalidValue);
  allocatedBytes -= found->second;
  EMULATOR_ALLOW(memory, found->second);
  allocated.erase(found);
  std::free(memory);
  return noted(cudaSuccess);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  *memory = std::malloc(bytes);
  return noted(*memory == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}
cudaError_t cudaFreeHost(void* memory) { std::free(memory); return noted(cudaSuccess); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  if (sticky == cudaSuccess && bytes > 0) std::memmove(to, from, bytes);
  return noted(cudaSuccess);
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
  if (sticky == cudaSuccess && bytes > 0) std::memset(memory, value, bytes);
  return noted(cudaSuccess);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { *stream = new cudaEmulatedStream; return noted(cudaSuccess); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { delete stream; return noted(cudaSuccess); }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return noted(cudaSuccess); }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return noted(cudaSuccess); }
cudaError_t cudaDeviceSynchronize() { return noted(cudaSuccess); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { *event = new cudaEmulatedEvent{}; return noted(cudaSuccess); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { delete event; return noted(cudaSuccess); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) { event->recorded = std::chrono::steady_clock::now(); return noted(cudaSuccess); }
cudaError_t cudaEventQuery(cudaEvent_t) { return noted(cudaSuccess); }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return noted(cudaSuccess); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = std::chrono::duration<float, std::milli>(to->recorded - from->recorded).count();
  return noted(cudaSuccess);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  attributes->numRegs = 32;
  return noted(capability() < 80 ? cudaErrorNoKernelImageForDevice : cudaSuccess);
}

namespace cudaEmulator {

void allowAccess(void* memory, int64_t bytes, int64_t used) {
  EMULATOR_FORBID(memory, bytes);
  EMULATOR_ALLOW(memory, used);
  std::memset(memory, 0xff, static_cast<size_t>(used));
}
void forbidAccess(void* memory, int64_t bytes) { EMULATOR_FORBID(memory, bytes); }

cudaError_t launch(const cudaLaunchConfig_t& config, const std::function<void()>& body) {
  static size_t launches = 0;
  if (sticky == cudaSuccess && ++launches == setting("MOE_EMULATED_FAILURE", 0)) sticky = cudaErrorIllegalAddress;
  if (sticky != cudaSuccess) return noted(sticky);
  if (capability() < 80) return noted(cudaErrorNoKernelImageForDevice);
  const auto& [grid, block] = std::pair{config.gridDim, config.blockDim};
  uint64_t threads = uint64_t{block.x} * block.y * block.z;
  bool isPossible = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535 &&
                    threads > 0 && threads <= 1024 && block.z <= 64 && config.dynamicSmemBytes <= kMostSharedBytes;
  if (!isPossible) return noted(cudaErrorInvalidConfiguration);
  const char* problem = runGrid(grid, block, config.dynamicSmemBytes, body);
  if (*problem == 0) return cudaSuccess;
  std::fprintf(stderr, "CUDA emulator: %s\n", problem);
  sticky = cudaErrorLaunchFailure;
  return noted(sticky);
}

}  // namespace cudaEmulator
