#include "isa.h"

namespace moe {
namespace {

bool processorHas(Isa isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (isa == Isa::avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == Isa::baseline;
}

Isa bestIsa() {
#ifdef MOE_BUILT_AVX512
  if (processorHas(Isa::avx512)) return Isa::avx512;
#endif
#ifdef MOE_BUILT_AVX2
  if (processorHas(Isa::avx2)) return Isa::avx2;
#endif
#ifdef MOE_BUILT_BASELINE
  if (processorHas(Isa::baseline)) return Isa::baseline;
#endif
  return Isa::none;
}

}  // namespace

Isa chosenIsa() {
  static const Isa chosen = bestIsa();
  return chosen;
}

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    case Isa::baseline: return "baseline";
    case Isa::none: break;
  }
  return "none";
}

}  // namespace moe
