#pragma once

/* Exponential, logarithm, logistic function and hyperbolic tangent with AVX-512. A table of 16 floats fits a register and is
 * looked up there, which leaves a short polynomial. Part of simd.h, which includes it. Method: P. Tang, Table-driven
 * implementation of the exponential function 1989, doi:10.1145/63522.214389, and of the logarithm 1990,
 * doi:10.1145/98267.98294. */
namespace moe::MOE_ISA {

/** 2^(i/16) */
alignas(64) inline constexpr float kPowers[16] = {
    1.0f,        1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f, 1.29683959f, 1.35425556f,
    1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f, 1.68179286f, 1.75625217f, 1.8340081f,  1.91520655f};
/** What rounding took from them: 2^(i/16) = kPowers[i] · (1 + kPowerRests[i]) */
alignas(64) inline constexpr float kPowerRests[16] = {
    0.0f,            4.62854715e-08f,  -1.19921575e-08f, 4.72978243e-08f, 3.19341815e-08f,  3.62105723e-08f,
    -3.09907193e-08f, -7.47521334e-09f, 1.71142709e-08f,  -3.04768335e-08f, 5.23333421e-09f,  6.10759177e-09f,
    -1.47196051e-08f, -5.25879518e-09f, -6.12825968e-09f, 5.14060927e-09f};

/** Near 1 / m for the m in [¾, 3/2) whose mantissa begins with the four bits of i; 1 on both sides of m = 1. */
alignas(64) inline constexpr float kInverses[16] = {
    1.0f,       0.9140625f,  0.86328125f, 0.8203125f, 0.78125f,    0.74609375f, 0.7109375f,  0.6796875f,
    1.3046875f, 1.25390625f, 1.20703125f, 1.1640625f, 1.12109375f, 1.0859375f,  1.05078125f, 1.0f};
/** −ln kInverses[i] */
alignas(64) inline constexpr float kLogarithms[16] = {
    0.0f,          0.0898563266f, 0.147014737f,  0.198069915f,  0.246860072f,  0.292904019f,   0.341170758f,   0.386122137f,
    -0.265963554f, -0.226263672f, -0.188163832f, -0.151916042f, -0.114304774f, -0.0824436694f, -0.0495339334f, 0.0f};

/** table[index mod 16] in each lane */
MOE_INLINE vf lookUp(const float (&table)[16], vi index) {
  return reinterpret_cast<vf>(_mm512_permutexvar_ps(reinterpret_cast<__m512i>(index), _mm512_load_ps(table)));
}

/** x, but not above (below) `bound`; NaN stays NaN, as these instructions give their second operand then. */
MOE_INLINE vf atMost(float bound, vf x) {
  return reinterpret_cast<vf>(_mm512_min_ps(_mm512_set1_ps(bound), reinterpret_cast<__m512>(x)));
}
MOE_INLINE vf atLeast(float bound, vf x) {
  return reinterpret_cast<vf>(_mm512_max_ps(_mm512_set1_ps(bound), reinterpret_cast<__m512>(x)));
}

/** x · 2^⌊n⌋, also where the result is below the normal range or infinite. */
MOE_INLINE vf scaleByPowerOfTwo(vf x, vf n) {
  return reinterpret_cast<vf>(_mm512_scalef_ps(reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(n)));
}

/** x = n ln2 + r with n a multiple of 1/16 and |r| ≤ ln2 / 32; the low four bits of `sixteenths` count those of n. */
struct ReducedExponent {
  vf n, r;
  vi sixteenths;
};

MOE_INLINE ReducedExponent reduceExponent(vf x) {
  constexpr float kRound = 786432.0f;  // 1.5 · 2^19: adding it rounds to a multiple of 1/16
  vf shifted = fma(x, broadcast(1.44269504088896341f), broadcast(kRound));
  vf n = shifted - kRound;
  vf r = fma(n, broadcast(-0.693359375f), x);  // ln2 in two parts: the first product is exact
  return {n, fma(n, broadcast(2.12194440e-4f), r), bitsOf(shifted)};
}

/** e^x, within 1.1 units in the last place over its whole range, 0.6 when precise; NaN stays NaN, overflow gives infinity. */
template <bool Precise = false>
MOE_INLINE vf vexp(vf x) {
  constexpr float kOver = 89.0f, kUnder = -104.0f;  // beyond these the result is infinity or 0
  // Least error with the terms 1, r and r³/6 as they are: the fourth-power rest is spread over the interval.
  constexpr float kSecondTerm = 0.5000162f;
  auto [n, r, sixteenths] = reduceExponent(atLeast(kUnder, atMost(kOver, x)));
  vf power = lookUp(kPowers, sixteenths);
  vf p = fma(broadcast(1.0f / 6.0f), r, broadcast(kSecondTerm));
  p = fma(p, r, broadcast(1.0f));
  p = Precise ? fma(fma(p, r, lookUp(kPowerRests, sixteenths)), power, power) : fma(power * r, p, power);
  return scaleByPowerOfTwo(p, n);
}

/** 1 / (1 + e^−x), within 3 units in the last place. */
MOE_INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp<true>(-x)); }

/** Hyperbolic tangent, within 3 units in the last place: (e^y − 1) / (e^y + 1), y = 2|x|. */
MOE_INLINE vf vtanh(vf x) {
  constexpr float kOver = 20.0f;  // from there on the result is 1
  auto [n, r, sixteenths] = reduceExponent(atMost(kOver, vabs(x) * 2.0f));
  vf power = scaleByPowerOfTwo(lookUp(kPowers, sixteenths), n);
  vf p = fma(broadcast(1.0f / 24.0f), r, broadcast(1.0f / 6.0f));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r * r, r + lookUp(kPowerRests, sixteenths));
  vf lessOne = fma(p, power, power - 1.0f);  // e^y − 1 without losing a small y
  vf size = lessOne / (lessOne + 2.0f);
  return floatOf(bitsOf(size) | (bitsOf(x) & INT32_MIN));
}

/** Natural logarithm, within 2 units in the last place; log(0) = −inf, of a negative number NaN. x = 2^e m, ¾ ≤ m < 3/2. */
MOE_INLINE vf vlog(vf x) {
  __m512 given = reinterpret_cast<__m512>(x);
  __m512 mantissa = _mm512_getmant_ps(given, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
  vf m = reinterpret_cast<vf>(mantissa);
  vf e = reinterpret_cast<vf>(_mm512_getexp_ps(given)) - reinterpret_cast<vf>(_mm512_getexp_ps(mantissa));
  vi index = bitsOf(m) >> 19;
  // by name, because the difference is lost unless the product stays unrounded
  vf r = reinterpret_cast<vf>(_mm512_fmsub_ps(mantissa, reinterpret_cast<__m512>(lookUp(kInverses, index)), _mm512_set1_ps(1.0f)));
  // log(1 + r) for −1/32 ≤ r < 1/16, relative error 3e-9: least squares, weighted until the error was even
  vf p = fma(broadcast(0.18855241f), r, broadcast(-0.25006671f));
  p = fma(p, r, broadcast(0.33334447f));
  p = fma(p, r, broadcast(-0.50000001f));
  p = fma(p, r * r, r);
  // ln2 in two parts of one sign: an infinite e must not meet its opposite
  vf small = fma(e, broadcast(1.42860677e-6f), p);
  vf large = fma(e, broadcast(0.693145751953125f), lookUp(kLogarithms, index));
  return large + small;
}

}  // namespace moe::MOE_ISA
