#pragma once
#include "arguments.h"

namespace moe {

using RegisterGroup = void (*)(Exports& exports);

/** One for each file binding/<group>.cpp: it adds its functions to the addon. */
void registerMemory(Exports& exports);
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

inline constexpr RegisterGroup kGroups[] = {
    registerMemory,   registerMatmul, registerElementwise, registerReductions, registerConvert,
    registerIntegers, registerLayout, registerConvolution, registerNarrow,      registerFusedOps,   registerFusedOpsExperts,
};

}  // namespace moe
