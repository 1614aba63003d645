#pragma once
#include <cuda_runtime.h>

namespace moe::cuda {

/** Whether this addon holds code for the current device: cudaErrorNoKernelImageForDevice or the like if it doesn't. */
cudaError_t findKernelImage();

}  // namespace moe::cuda
