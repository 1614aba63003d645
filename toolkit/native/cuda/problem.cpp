/* What CUDA's errors mean to a user. */
#include "runtime.h"

namespace moe::cuda {
namespace {

std::string versionText(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

/** cudaGetDeviceCount gives the same error without a driver and with an old one. */
Problem driverProblem(const std::string& error) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0)
    return {"E_CUDA_DRIVER", "there is no NVIDIA driver on this machine", "CUDA answered " + error,
            "install NVIDIA's driver for CUDA " + versionText(runtime) + " or newer, or use the CPU: MOE_LAB_DEVICE=cpu"};
  return {"E_CUDA_DRIVER", "the NVIDIA driver is for CUDA " + versionText(driver) + ", this addon for CUDA " + versionText(runtime),
          "CUDA answered " + error, "update the driver, build the addon with an older CUDA, or use the CPU: MOE_LAB_DEVICE=cpu"};
}

}  // namespace

Problem problemOf(const Status& status, const std::string& during) {
  std::string error = std::string(status.name) + " (" + std::to_string(status.value) + ")";
  if (!lost().isOk())
    return {"E_CUDA_LOST", during + " failed: the device is lost to this process", "CUDA answered " + error,
            "start again; what was only on the device is gone. The CPU works on in a new process: MOE_LAB_DEVICE=cpu"};
  switch (status.value) {
    case 2:  // cudaErrorMemoryAllocation
      return {"E_CUDA_MEMORY", during + " got no memory", "CUDA answered " + error, "use a smaller batch, or free tensors first"};
    case 3: case 34: case 35: case 36:  // not initialized, stub library, too old, call of a newer driver
    case 222: case 803: case 804:       // PTX of a newer driver, driver and library differ, device without compatibility
      return driverProblem(error);
    case 100:  // cudaErrorNoDevice
      return {"E_CUDA", "there is no NVIDIA GPU that this process may use", "CUDA answered " + error,
              "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or use the CPU: MOE_LAB_DEVICE=cpu"};
    case 98: case 209: case 223:  // no such function, no code for the device, no compiler for its PTX
      return {"E_CUDA_ARCHITECTURE", "this addon holds no code for this GPU", "CUDA answered " + error,
              "a GPU of compute capability 8.0 or later is needed; build the addon on this machine: node toolkit/native/build.mjs --cuda; "
              "or use the CPU: MOE_LAB_DEVICE=cpu"};
    default:
      return {"E_CUDA", during + " failed", "CUDA answered " + error, "report this with nvidia-smi's output"};
  }
}

}  // namespace moe::cuda
