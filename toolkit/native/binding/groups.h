#pragma once
#include "arguments.h"

namespace moe {

using RegisterGroup = void (*)(Exports& exports);

/** One for each file binding/<group>.cpp: it adds its functions to the addon. */
void registerMatmul(Exports& exports);
void registerElementwise(Exports& exports);
void registerReductions(Exports& exports);
void registerLayout(Exports& exports);
void registerFusedOps(Exports& exports);
void registerFusedOpsExperts(Exports& exports);

inline constexpr RegisterGroup kGroups[] = {
    registerMatmul, registerElementwise, registerReductions, registerLayout,
    registerFusedOps,
    registerFusedOpsExperts,
};

}  // namespace moe
