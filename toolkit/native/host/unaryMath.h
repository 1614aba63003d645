#pragma once
#include <cmath>

#include "simd.h"

/* Functions of one operand that only the elementwise kernels need. Polynomials without a source are least-squares fits,
 * weighted until the error was even; the relative error of each is below a tenth of a unit in the last place. */
namespace moe::MOE_ISA {

/** Functions without a vector form: lane by lane. */
template <class Function>
MOE_INLINE vf eachLane(vf x, Function function) {
  vf result;
  for (int i = 0; i < kLanes; ++i) result[i] = function(x[i]);
  return result;
}

MOE_INLINE bool anyLane(vi mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(mask), reinterpret_cast<__m512i>(mask)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(mask)) != 0;
#else
  bool any = false;
  for (int i = 0; i < kLanes; ++i) any |= mask[i] != 0;
  return any;
#endif
}

/** a · b + c with one rounding, on every instruction set. */
MOE_INLINE vf roundedOnce(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  for (int i = 0; i < kLanes; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#endif
}

/** e^x − 1, within 6 units in the last place: the rounding of e^x is taken out again by the same error in its logarithm.
 *  Source: W. Kahan's method in Higham 2002, Accuracy and Stability of Numerical Algorithms, §1.14.1. */
MOE_INLINE vf expLessOne(vf x) {
  vf power = vexp(x), less = power - 1.0f;
  vf result = less * (x / vlog(power));
  result = select((less == -1.0f) | (power == __builtin_inff()), less, result);
  return select(power == 1.0f, x, result);
}

/** log(1 + x), within 6 units in the last place; NaN below −1. Source: as above. */
MOE_INLINE vf logOfOneMore(vf x) {
  vf sum = 1.0f + x, added = sum - 1.0f;
  vf result = vlog(sum) * (x / added);
  result = select((sum == __builtin_inff()) | (sum == 0.0f), vlog(sum), result);
  return select(added == 0.0f, x, result);
}

/** The error function, within 3 units in the last place: x · P(x²) below 1, else 1 − e^Q(|x|). */
MOE_INLINE vf errorFunction(vf x) {
  constexpr float kOver = 4.0f;  // from there on the result is 1
  vf size = vabs(x), z = x * x;
  vf p = fma(broadcast(7.85386094e-05f), z, broadcast(-0.000801019365f));
  p = fma(p, z, broadcast(0.00518832771f));
  p = fma(p, z, broadcast(-0.026853812f));
  p = fma(p, z, broadcast(0.112835851f));
  p = fma(p, z, broadcast(-0.376126258f));
  vf near = fma(p, z, broadcast(1.12837917f)) * x;
  vf clipped = vmin(broadcast(kOver), size);
  vf q = fma(broadcast(0.000186379469f), clipped, broadcast(-0.00294766105f));
  q = fma(q, clipped, broadcast(0.0218380751f));
  q = fma(q, clipped, broadcast(-0.103106778f));
  q = fma(q, clipped, broadcast(-0.638144805f));
  q = fma(q, clipped, broadcast(-1.12708921f));
  q = fma(q, clipped, broadcast(-0.000341518864f));
  vf far = 1.0f - vexp(q);
  return select(size < 1.0f, near, select(x < 0.0f, -far, far));
}

/** sin(x + quarters · π/2), within 2 units in the last place. x = n π/2 + r, |r| ≤ π/4, with π/2 in three parts. */
template <int Quarters>
MOE_INLINE vf sine(vf x) {
  constexpr float kLargest = 131072.0f;  // beyond it the three parts don't do
  constexpr float kRound = 12582912.0f;  // 1.5 · 2^23: adding it rounds to the nearest integer
  if (anyLane(~(vabs(x) <= kLargest))) [[unlikely]]
    return eachLane(x, [](float v) { return Quarters == 0 ? std::sin(v) : std::cos(v); });
  vf shifted = fma(x, broadcast(0.636619772f), broadcast(kRound));
  vf n = shifted - kRound;
  vf r = roundedOnce(n, broadcast(-1.57079637f), x);
  r = roundedOnce(n, broadcast(4.37113883e-08f), r);
  r = roundedOnce(n, broadcast(1.71512451e-15f), r);
  vi quadrant = bitsOf(shifted) + Quarters;
  vf z = r * r;
  vf s = fma(broadcast(-0.000195169769f), z, broadcast(0.00833217584f));
  s = fma(s, z, broadcast(-0.166666549f));
  s = fma(s, z * r, r);
  vf c = fma(broadcast(2.44380903e-05f), z, broadcast(-0.00138873645f));
  c = fma(c, z, broadcast(0.0416666468f));
  c = fma(c, z * z, fma(broadcast(-0.5f), z, broadcast(1.0f)));
  vf size = select((quadrant & 1) != 0, c, s);
  return floatOf(bitsOf(size) ^ ((quadrant & 2) << 30));
}

}  // namespace moe::MOE_ISA
