// Exponentials, logarithms and what is made of them: exp, expm1, log, log1p, tanh, sigmoid,
// softplus, erf.
//
// Each takes its argument apart into a power of two and a small rest, has a polynomial for the
// rest, and puts the parts together so that few roundings are left. Choices are between values,
// never between ways, so that a loop over any of them becomes vector code.
#pragma once

#include <type_traits>

#include "core/ops/scalar_arithmetic.h"
#include "core/ops/scalar_polynomials.h"

namespace slope::math {

// ln(2) = kLn2High + kLn2Low; the high part ends in zeros, so that its product with an exponent is
// exact.
template <class T>
inline constexpr T kLn2High = std::is_same_v<T, float> ? T(0.693145752) : T(0.69314718055989033);
template <class T>
inline constexpr T kLn2Low = std::is_same_v<T, float> ? T(1.42860677e-6)
                                                      : T(5.4979230187083712e-14);

// ---- exponentials -------------------------------------------------------------------------------

// x = k ln2 + r with |r| <= ln(2) / 2, r as the unevaluated sum of high (exact) and low.
template <class T>
struct SplitExp {
  T high;
  T low;
  Word<T> exponent;  // k + 2 bias, which is positive
};

// x: |x| < 800 or NaN
template <std::floating_point T>
SLOPE_SCALAR_INLINE SplitExp<T> split_exp(T x) {
  const T shifted = mul_add(x, T(1.4426950408889634), kRounder<T>);
  const T k = shifted - kRounder<T>;
  return {mul_add(k, -kLn2High<T>, x), -kLn2Low<T> * k,
          bits_of(shifted) - bits_of(kRounder<T>) + 2 * Layout<T>::bias};
}

// e^r - 1
template <std::floating_point T>
SLOPE_SCALAR_INLINE T expm1_of_small(T r) {
  return mul_add(r * r, exp_tail(r), r);
}

// Beyond these, e^x is infinity or 0 anyway.
template <class T>
inline constexpr T kExpTop = std::is_same_v<T, float> ? 89 : 710;
template <class T>
inline constexpr T kExpBottom = std::is_same_v<T, float> ? -104 : -746;

// e^(x + low) for x between the bounds above, |low| much smaller than 1
template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp_of_clamped(T x, T low = 0) {
  const SplitExp<T> e = split_exp(x);
  const T fraction = expm1_of_small(e.high + (e.low + low));
  // in two steps of about 2^(k/2), so that a subnormal result is rounded once
  const Word<T> half = e.exponent >> 1;
  const T scale = power_of_two<T>(half);
  return mul_add(scale, fraction, scale) * power_of_two<T>(e.exponent - half);
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp(T x) {
  return exp_of_clamped(clamp_between(kExpBottom<T>, x, kExpTop<T>));
}

// e^-|x| to 0.7 ulp where exp has 1.1, for functions that add errors of their own: 1 + r is kept in
// two parts, and only the rest of the series is rounded before the end.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp_of_minus_size(T x) {
  const T y = -abs(x);
  const SplitExp<T> e = split_exp(y < kExpBottom<T> ? kExpBottom<T> : y);
  const T r = e.high + e.low;
  const Pair<T> one_and_r = fast_two_sum(T(1), e.high);
  const T rest = mul_add(r * r, exp_tail(r), one_and_r.low + e.low);
  const Word<T> half = e.exponent >> 1;
  const T scale = power_of_two<T>(half);
  return mul_add(scale, rest, scale * one_and_r.high) * power_of_two<T>(e.exponent - half);
}

// e^x where that is certain to be a normal number
template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp_of_moderate(T x) {
  const SplitExp<T> e = split_exp(x);
  const T scale = power_of_two<T>(e.exponent - Layout<T>::bias);
  return mul_add(scale, expm1_of_small(e.high + e.low), scale);
}

// e^x - 1
template <std::floating_point T>
SLOPE_SCALAR_INLINE T expm1(T x) {
  constexpr T bottom = std::is_same_v<T, float> ? -20 : -40;  // where the result rounds to -1
  const SplitExp<T> e = split_exp(clamp_between(bottom, x, kExpTop<T>));
  const Pair<T> r = fast_two_sum(e.high, e.low);
  const T fraction = r.high + mul_add(r.high * r.high, exp_tail(r.high), r.low);
  // 2^(k-1), because 2^k may overflow where the result does not
  const T half = power_of_two<T>(e.exponent - Layout<T>::bias - 1);
  const T result = 2 * mul_add(half, fraction, half - T(0.5));
  return abs(x) < kNegligible<T> ? x : result;
}

// ---- logarithms ---------------------------------------------------------------------------------

// x = m 2^k with m in [sqrt(1/2), sqrt(2))
template <class T>
struct SplitLog {
  T m;
  T k;
  Word<T> exponent;  // k + bias
};

// x: positive and normal; anything else gives some numbers, no error
template <std::floating_point T>
SLOPE_SCALAR_INLINE SplitLog<T> split_log(T x) {
  constexpr int shift = Layout<T>::mantissa_bits;
  constexpr Word<T> one = bits_of(T(1));
  constexpr Word<T> sqrt_half = bits_of(T(0.70710678118654752));
  const Word<T> moved = bits_of(x) + (one - sqrt_half);  // the exponent now changes at sqrt(2)
  const Word<T> exponent = moved >> shift;
  const T m = from_bits<T>((moved & ((Word<T>(1) << shift) - 1)) + sqrt_half);
  const T k =
      from_bits<T>(bits_of(kIntegersFrom<T>) + exponent) - (kIntegersFrom<T> + Layout<T>::bias);
  return {m, k, exponent};
}

// log(1 + f) - f + f^2 / 2. In double a division is cheaper than twice the terms.
SLOPE_SCALAR_INLINE float log_tail(float f, float half_square) {
  return f * half_square * log_cubic(f);
}
SLOPE_SCALAR_INLINE double log_tail(double f, double half_square) {
  const double s = f / (2 + f);  // 1 + f = (1 + s) / (1 - s)
  const double z = s * s;
  return s * mul_add(z, log_series(z), half_square);
}

// log(1 + f) + k ln2, with 1 + f in [sqrt(1/2), sqrt(2)]
template <std::floating_point T>
SLOPE_SCALAR_INLINE T join_log(T f, T k) {
  const T half_square = T(0.5) * (f * f);
  const T tail = mul_add(k, kLn2Low<T>, log_tail(f, half_square));
  return mul_add(k, kLn2High<T>, f - (half_square - tail));
}

// The result of log where x is not an ordinary positive number
template <std::floating_point T>
SLOPE_SCALAR_INLINE T log_rules(T x, T result) {
  const T above_zero = x < kInfinity<T> ? result : x;
  const T not_negative = x == 0 ? -kInfinity<T> : above_zero;
  return x < 0 ? kNaN<T> : not_negative;
}

// The same for a subnormal x too, which is brought into the normal range first. (Both choices stand
// together and are between constants, or g++ makes two copies of what lies between them.)
template <std::floating_point T>
SLOPE_SCALAR_INLINE SplitLog<T> split_log_of_any(T x) {
  constexpr int up = Layout<T>::mantissa_bits + 1;
  const bool subnormal = x < kSmallestNormal<T>;
  const T factor = subnormal ? T(Word<T>(1) << up) : T(1);
  const T added = subnormal ? T(up) : T(0);
  SplitLog<T> split = split_log(x * factor);
  split.k -= added;
  return split;
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T log(T x) {
  const SplitLog<T> split = split_log_of_any(x);
  return log_rules(x, join_log(split.m - 1, split.k));
}

// log(1 + x) for finite x > -1
template <std::floating_point T>
SLOPE_SCALAR_INLINE T log1p_of_ordinary(T x) {
  const Pair<T> u = two_sum(T(1), x);
  const SplitLog<T> split = split_log(u.high);
  // What the sum lost, on the scale of m; for k = 0 this makes f = x again, exactly. (Half of it by
  // twice 2^-k, because 2^-128 is not a normal float.)
  const T lost = T(0.5) * u.low * power_of_two<T>(2 * Layout<T>::bias + 1 - split.exponent);
  const T result = join_log((split.m - 1) + lost, split.k);
  return abs(x) < kNegligible<T> ? x : result;
}

// log(1 + x)
template <std::floating_point T>
SLOPE_SCALAR_INLINE T log1p(T x) {
  return log_rules(1 + x, log1p_of_ordinary(x));
}

// ---- activations --------------------------------------------------------------------------------

template <std::floating_point T>
SLOPE_SCALAR_INLINE T tanh(T x) {
  constexpr T top = std::is_same_v<T, float> ? 10 : 20;  // where the result rounds to 1
  const T size = abs(x);
  const T z = x * x;
  const T small = mul_add(size * z, tanh_tail(z), size);
  const T large = 1 - 2 / (exp_of_moderate(2 * (size > top ? top : size)) + 1);
  return with_sign_of(size < T(0.625) ? small : large, x);
}

// 1 / (1 + e^-x). With e = e^-|x|, which cannot overflow, and q = e / (1 + e) it is 1 - q, or q for
// a negative x; but q has the rounding of 1 + e in it, and e - e q much less.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sigmoid(T x) {
  const T e = exp_of_minus_size(x);
  const T whole = x < 0 ? e : T(1);
  return mul_add(-whole, e / (1 + e), whole);
}

// log(1 + e) for e in [0, 1], like log_tail and join_log
SLOPE_SCALAR_INLINE float log1p_of_unit(float e) {
  const float half_square = 0.5f * (e * e);
  return e - (half_square - e * half_square * unit_log_cubic(e));
}
SLOPE_SCALAR_INLINE double log1p_of_unit(double e) {
  const double half_square = 0.5 * (e * e);
  const double s = e / (2 + e);
  const double z = s * s;
  return e - (half_square - s * mul_add(z, unit_log_series(z), half_square));
}

// log(1 + e^x)
template <std::floating_point T>
SLOPE_SCALAR_INLINE T softplus(T x) {
  return (x > 0 ? x : T(0)) + log1p_of_unit(exp_of_minus_size(x));
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T erf(T x) {
  constexpr T top = std::is_same_v<T, float> ? T(3.95) : T(5.95);  // where the result rounds to 1
  const T size = abs(x);
  const T small = mul_add(size, erf_slope(x * x), size);
  const T large = 1 - exp_of_moderate(-erf_exponent(size > top ? top : size));
  return with_sign_of(size < 1 ? small : large, x);
}

}  // namespace slope::math
