#include "isa.h"

namespace moe {
namespace {

bool processorHas(Isa isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // What build.mjs's flags let the compiler use; each answer includes that the system saves the registers.
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
  if (isa == Isa::avx2) return avx2;
  if (isa == Isa::avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#elif defined(__aarch64__)
  if (isa == Isa::neon) return true;  // part of every 64-bit Arm processor
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
#ifdef MOE_BUILT_NEON
  if (processorHas(Isa::neon)) return Isa::neon;
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
    case Isa::neon: return "neon";
    case Isa::baseline: return "baseline";
    case Isa::none: break;
  }
  return "none";
}

}  // namespace moe
