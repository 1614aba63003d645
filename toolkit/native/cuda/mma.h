#pragma once
/* Tensor cores and asynchronous copies: PTX instructions of sm_80 and later behind functions, each with a form for the
 * emulator. Source of the layouts: PTX ISA, "Matrix multiply-accumulate operation using mma instruction", "ldmatrix" and
 * "cp.async". */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace moe::cuda {

/** The 16-bit formats that tensor cores multiply. */
enum class Narrow : int32_t { bfloat16, float16 };

template <Narrow N>
__device__ inline float widen(uint16_t bits) {
  if constexpr (N == Narrow::bfloat16) return __bfloat162float(__ushort_as_bfloat16(bits));
  else return __half2float(__ushort_as_half(bits));
}

template <Narrow N>
__device__ inline uint16_t narrow(float value) {
  if constexpr (N == Narrow::bfloat16) return __bfloat16_as_ushort(__float2bfloat16(value));
  else return __half_as_ushort(__float2half(value));
}

/** Two values in a register, the first in the lower half. */
template <Narrow N>
__device__ inline uint32_t narrowPair(float first, float second) {
#ifndef MOE_EMULATED
  if constexpr (N == Narrow::bfloat16) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return *reinterpret_cast<uint32_t*>(&pair);
  } else {
    __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<uint32_t*>(&pair);
  }
#else
  return uint32_t{narrow<N>(first)} | uint32_t{narrow<N>(second)} << 16;
#endif
}

#ifdef MOE_EMULATED

namespace emulated {

struct Operands {
  uint32_t a[4], b[2];
  float c[4];
};

template <Narrow N>
float element(const uint32_t& pair, int half) { return widen<N>(static_cast<uint16_t>(pair >> 16 * half)); }

/** The product of a warp, from the registers of its lanes. */
template <Narrow N>
void multiply(const void* const* given, void* const* got, unsigned, const void*) {
  float a[16][16], b[16][8];
  for (int l = 0; l < 32; ++l) {
    const auto* own = static_cast<const Operands*>(given[l]);
    int group = l / 4, pair = l % 4 * 2;
    for (int h = 0; h < 2; ++h) {
      a[group][pair + h] = element<N>(own->a[0], h);
      a[group + 8][pair + h] = element<N>(own->a[1], h);
      a[group][pair + 8 + h] = element<N>(own->a[2], h);
      a[group + 8][pair + 8 + h] = element<N>(own->a[3], h);
      b[pair + h][group] = element<N>(own->b[0], h);
      b[pair + 8 + h][group] = element<N>(own->b[1], h);
    }
  }
  for (int l = 0; l < 32; ++l) {
    const auto* own = static_cast<const Operands*>(given[l]);
    auto* c = static_cast<float*>(got[l]);
    for (int i = 0; i < 4; ++i) {
      int row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
      float sum = own->c[i];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      c[i] = sum;
    }
  }
}

template <bool Transposed>
void loadMatrices(const void* const* given, void* const* got, unsigned, const void*) {
  for (int l = 0; l < 32; ++l)
    for (int m = 0; m < 4; ++m) {
      uint32_t pair = 0;
      for (int h = 0; h < 2; ++h) {
        int row = Transposed ? l % 4 * 2 + h : l / 4, column = Transposed ? l / 4 : l % 4 * 2 + h;
        const auto* from = *static_cast<const uint16_t* const*>(given[m * 8 + row]);
        pair |= uint32_t{from[column]} << 16 * h;
      }
      static_cast<uint32_t*>(got[l])[m] = pair;
    }
}

}  // namespace emulated

#endif

/** c (+)= a · b, a warp's 16×16 times 16×8, sums in float32. Lane l has, with g = l / 4 and t = l % 4 · 2: of a rows g and
 *  g + 8, columns t, t + 1, t + 8, t + 9; of b rows t, t + 1, t + 8, t + 9, column g; of c rows g and g + 8, columns t, t + 1. */
template <Narrow N>
__device__ inline void multiplyTile(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#ifdef MOE_EMULATED
  emulated::Operands own{{a[0], a[1], a[2], a[3]}, {b0, b1}, {c[0], c[1], c[2], c[3]}};
  cudaEmulator::warpCollective(0xffffffffu, &own, c, emulated::multiply<N>, nullptr);
#else
  if constexpr (N == Narrow::bfloat16)
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

/** Four 8×8 matrices of 16-bit values from shared memory: lanes 8·i … 8·i + 7 name the rows of matrix i (16 bytes each,
 *  aligned so). Register i of lane l gets of matrix i row l / 4, columns l % 4 · 2 and the next; with Transposed of its
 *  transpose. */
template <bool Transposed>
__device__ inline void loadMatrices(uint32_t (&to)[4], const void* row) {
#ifdef MOE_EMULATED
  cudaEmulator::warpCollective(0xffffffffu, &row, to, emulated::loadMatrices<Transposed>, nullptr);
#else
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(address) : "memory");
#endif
}

/** Copies 16 bytes from device to shared memory, past the registers and beside other work; zeros where isThere is false,
 *  and then `from` is not read. Both addresses are multiples of 16. */
__device__ inline void copyAsync(void* shared, const void* from, bool isThere) {
#ifdef MOE_EMULATED
  cudaEmulator::queueCopy(shared, from, isThere);
#else
  auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  int bytes = isThere ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
#endif
}

/** Closes a group of the thread's copies. */
__device__ inline void commitCopies() {
#ifdef MOE_EMULATED
  cudaEmulator::commitCopies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/** Waits until at most the newest `Pending` groups of the thread are on their way. */
template <int Pending>
__device__ inline void waitForCopies() {
#ifdef MOE_EMULATED
  cudaEmulator::finishCopies(Pending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

}  // namespace moe::cuda
