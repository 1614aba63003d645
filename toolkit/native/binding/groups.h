#pragma once
#include "arguments.h"

namespace moe {

using RegisterGroup = void (*)(Exports& exports);

/** One for each file binding/<group>.cpp: it adds its functions to the addon. */
#ifdef MOE_BUILT_CUDA
void registerDevice(Exports& exports);
#else
void registerMemory(Exports& exports);
#endif
void registerMatmul(Exports& exports);
void registerElementwise(Exports& exports);
void registerReductions(Exports& exports);
void registerConvert(Exports& exports);
void registerIntegers(Exports& exports);
void registerLayout(Exports& exports);
void registerConvolution(Exports& exports);
void registerNarrow(Exports& exports);
void registerFusedOps(Exports& exports);
void registerFusedOpsExperts(Exports& exports);
void registerChoices(Exports& exports);

inline constexpr RegisterGroup kGroups[] = {
#ifdef MOE_BUILT_CUDA
    registerDevice,
#else
    registerMemory,
#endif
    registerMatmul, registerElementwise, registerReductions, registerConvert,
    registerIntegers, registerLayout, registerConvolution, registerNarrow,      registerFusedOps,   registerFusedOpsExperts,
    registerChoices,
};

}  // namespace moe
