/* The library is opened when it is first asked for, because it comes with the driver. Its functions and structures keep
 * their meaning from version to version: a changed one gets a new name. */
#include "nvml.h"

#include <dlfcn.h>

#include <cmath>

#include "runtime.h"

namespace moe::cuda {
namespace {

constexpr int kSuccess = 0;
constexpr unsigned kTemperatureOfGpu = 0;

struct Rates {
  unsigned gpu, memory;
};
struct MemoryOfDevice {
  unsigned long long total, free, used;
};
using Handle = void*;

struct Library {
  int (*init)() = nullptr;
  int (*handleByBusId)(const char*, Handle*) = nullptr;
  int (*rates)(Handle, Rates*) = nullptr;
  int (*memory)(Handle, MemoryOfDevice*) = nullptr;
  int (*power)(Handle, unsigned*) = nullptr;
  int (*temperature)(Handle, unsigned, unsigned*) = nullptr;
  Handle device = nullptr;
};

template <class Function>
bool find(void* library, const char* name, Function& to) {
  to = reinterpret_cast<Function>(dlsym(library, name));
  return to != nullptr;
}

/** NVML counts all devices of the machine, CUDA those that are visible: the address on the bus is common. */
Library open() {
  Library own;
  void* library = dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return own;
  bool isWhole = find(library, "nvmlInit_v2", own.init) && find(library, "nvmlDeviceGetHandleByPciBusId_v2", own.handleByBusId) &&
                 find(library, "nvmlDeviceGetUtilizationRates", own.rates) && find(library, "nvmlDeviceGetMemoryInfo", own.memory) &&
                 find(library, "nvmlDeviceGetPowerUsage", own.power) && find(library, "nvmlDeviceGetTemperature", own.temperature);
  char busId[32] = {};
  if (!isWhole || own.init() != kSuccess || cudaDeviceGetPCIBusId(busId, sizeof busId, openedDevice()) != cudaSuccess) return own;
  Handle device = nullptr;
  if (own.handleByBusId(busId, &device) == kSuccess) own.device = device;
  return own;
}

}  // namespace

bool readUtilisation(Utilisation* to) {
  if (openedDevice() < 0) return false;
  static const Library library = open();
  if (library.device == nullptr) return false;
  Rates rates{};
  MemoryOfDevice memory{};
  unsigned milliwatts = 0, celsius = 0;
  bool hasRates = library.rates(library.device, &rates) == kSuccess, hasMemory = library.memory(library.device, &memory) == kSuccess;
  bool hasPower = library.power(library.device, &milliwatts) == kSuccess;
  bool hasTemperature = library.temperature(library.device, kTemperatureOfGpu, &celsius) == kSuccess;
  *to = {hasRates ? rates.gpu : NAN, hasRates ? rates.memory : NAN, hasMemory ? static_cast<double>(memory.used) : NAN,
         hasMemory ? static_cast<double>(memory.total) : NAN, hasPower ? milliwatts / 1000.0 : NAN, hasTemperature ? celsius : NAN};
  return hasRates || hasMemory || hasPower || hasTemperature;
}

}  // namespace moe::cuda
