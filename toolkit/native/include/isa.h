#pragma once

/* Instruction sets. Each file of host/ is compiled once for each of them, inside namespace moe::<isa>.
 * build.mjs defines MOE_ISA while it compiles host/ (and runs the compiler with that set's flags), and
 * MOE_BUILT_<ISA> everywhere for each set that the addon holds.
 *
 * A host kernel is declared once, in a header of include/, outside any namespace:
 *
 *   MOE_KERNEL(Status, rmsNormForward, (const float* x, ...))
 *
 * In host/ this declares moe::<isa>::rmsNormForward. In binding/ it makes moe::rmsNormForward, a pointer to the
 * best one that this processor can run. Code compiled with one set's flags must never be called under another:
 * host/ therefore uses no standard-library containers or algorithms (their shared instantiations would be merged
 * by the linker); working memory comes from scratch.h. `build.mjs --isa all` checks this. */

namespace moe {

/** baseline is what the compiler makes of the sources by itself: SSE2 on x86-64, plain code on processors not named. */
enum class Isa { none, baseline, neon, avx2, avx512 };

/** The best instruction set that is both in this addon and on this processor; none if there is no such set. */
Isa chosenIsa();

/** "avx512", "avx2", "neon", "baseline" or "none". */
const char* isaName(Isa isa);

}  // namespace moe

#if defined(MOE_ISA)
#define MOE_KERNEL(result, name, parameters) \
  namespace moe::MOE_ISA {                   \
  result name parameters;                    \
  }
#elif defined(MOE_BUILT_CUDA)
#include "status.h"

namespace moe {

/** The kernel, or where the addon lacks it a function that says so. */
template <class... Parameters>
auto orAbsent(Status (*kernel)(Parameters...)) {
  return kernel != nullptr ? kernel : +[](Parameters...) { return Status::absent(); };
}

}  // namespace moe

// The addon for GPUs has the kernels of cuda/ only: binding/ calls them by the same names. Weak: not all are there.
#define MOE_KERNEL(result, name, parameters)                  \
  namespace moe {                                             \
  namespace cuda {                                            \
  [[gnu::weak]] result name parameters;                       \
  }                                                           \
  inline result(*const name) parameters = orAbsent(cuda::name); \
  }
#else

#ifdef MOE_BUILT_AVX512
#define MOE_DECLARE_AVX512(result, name, parameters) namespace avx512 { result name parameters; }
#define MOE_PICK_AVX512(name) chosenIsa() == Isa::avx512 ? avx512::name :
#else
#define MOE_DECLARE_AVX512(result, name, parameters)
#define MOE_PICK_AVX512(name)
#endif

#ifdef MOE_BUILT_AVX2
#define MOE_DECLARE_AVX2(result, name, parameters) namespace avx2 { result name parameters; }
#define MOE_PICK_AVX2(name) chosenIsa() == Isa::avx2 ? avx2::name :
#else
#define MOE_DECLARE_AVX2(result, name, parameters)
#define MOE_PICK_AVX2(name)
#endif

#ifdef MOE_BUILT_NEON
#define MOE_DECLARE_NEON(result, name, parameters) namespace neon { result name parameters; }
#define MOE_PICK_NEON(name) chosenIsa() == Isa::neon ? neon::name :
#else
#define MOE_DECLARE_NEON(result, name, parameters)
#define MOE_PICK_NEON(name)
#endif

#ifdef MOE_BUILT_BASELINE
#define MOE_DECLARE_BASELINE(result, name, parameters) namespace baseline { result name parameters; }
#define MOE_PICK_BASELINE(name) chosenIsa() == Isa::baseline ? baseline::name :
#else
#define MOE_DECLARE_BASELINE(result, name, parameters)
#define MOE_PICK_BASELINE(name)
#endif

#define MOE_KERNEL(result, name, parameters)       \
  namespace moe {                                  \
  MOE_DECLARE_AVX512(result, name, parameters)     \
  MOE_DECLARE_AVX2(result, name, parameters)       \
  MOE_DECLARE_NEON(result, name, parameters)       \
  MOE_DECLARE_BASELINE(result, name, parameters)   \
  inline result(*const name) parameters =          \
      MOE_PICK_AVX512(name) MOE_PICK_AVX2(name) MOE_PICK_NEON(name) MOE_PICK_BASELINE(name) nullptr; \
  }
#endif
