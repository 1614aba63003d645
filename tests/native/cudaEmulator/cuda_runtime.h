#pragma once
/* CUDA on the CPU, for tests: what toolkit/native/cuda uses of the header of this name. */
#include "intrinsics.h"
#include "runtimeApi.h"

/** Runs the kernel at once: streams keep their order, and nothing runs beside anything else. */
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  return cudaEmulator::launch(*config, [&] { kernel(static_cast<Parameters>(arguments)...); });
}
