#pragma once
#include <cstdint>

namespace moe::cuda {

/** What NVIDIA's management library says about the device in use. Source: NVML API Reference Guide. */
struct Utilisation {
  double gpuPercent, memoryPercent;    // of the last sampling period in which a kernel ran, or memory was moved
  double usedBytes, totalBytes;        // of all processes
  double powerWatts, temperatureCelsius;
};

/** False where the library isn't there (libnvidia-ml.so.1 comes with the driver) or has no answer. What it doesn't know is NaN. */
bool readUtilisation(Utilisation* to);

}  // namespace moe::cuda
