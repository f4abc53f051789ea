// Powers: e^(y log x), with a logarithm of twice the precision, and C's rules for everything odd.
#pragma once

#include "core/ops/scalar_exp_log.h"

namespace slope::math {

// log(x) to about 2^-65 of its size, for x positive and finite; other x give some finite pair
SLOPE_SCALAR_INLINE Pair<double> log_in_two(double x) {
  const SplitLog<double> split = split_log_of_any(x);
  // s = f / (2 + f) in two parts, f = m - 1
  const double f = split.m - 1;
  const Pair<double> divisor = two_sum(split.m, 1.0);
  const double inverse = 1 / divisor.high;
  const double s = f * inverse;
  const Pair<double> back = two_product(s, divisor.high);
  const double s_low = (((f - back.high) - back.low) - s * divisor.low) * inverse;
  // log(1 + f) = 2 s + 2/3 s^3 + s^5 rest(s^2): two parts for the first two terms
  Pair<double> z = two_product(s, s);
  z.low = mul_add(2 * s, s_low, z.low);
  Pair<double> cube = two_product(s, z.high);
  cube.low += mul_add(s, z.low, s_low * z.high);
  Pair<double> third = two_product(cube.high, 0.66666666666666663);
  third.low += mul_add(cube.high, 3.7007434154171883e-17, cube.low * 0.66666666666666663);
  const double rest = cube.high * z.high * log_series_rest(z.high);
  const Pair<double> first = two_sum(split.k * kLn2High<double>, 2 * s);
  const Pair<double> second = two_sum(first.high, third.high);
  const double low = mul_add(split.k, kLn2Low<double>, 2 * s_low) + (third.low + rest);
  return fast_two_sum(second.high, (first.low + second.low) + low);
}

// The bits of x where the condition holds, 0 elsewhere: a choice that stays arithmetic.
template <std::floating_point T>
SLOPE_SCALAR_INLINE Word<T> bits_if(bool condition, T x) {
  return (0 - Word<T>(condition)) & bits_of(x);
}

// x^y, given size = |x|^y, which need be right only where x is finite and not 0. The rules are
// those of C's pow. What y alone decides becomes a mask of bits: y is often one number for a whole
// loop, and g++ does not vectorise a choice whose condition is the same for every value.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T power_rules(T x, T y, T size) {
  const T y_size = abs(y), half = T(0.5) * y_size;
  const bool whole = (nearest_integer(y_size) == y_size) | (y_size >= kIntegersFrom<T>);
  const bool even = (nearest_integer(half) == half) | (y_size >= 2 * kIntegersFrom<T>);
  const Word<T> sign_if_odd = bits_if(whole & !even, T(-0.0));
  const Word<T> nan_if_fraction = bits_if(!whole, kNaN<T>);  // any number | NaN is NaN
  const Word<T> nan_if_nan = bits_if(y != y, kNaN<T>);
  const Word<T> one_if_zero = bits_if(y == 0, T(1)), none_if_zero = Word<T>(y == 0) - 1;
  const T at_zero = from_bits<T>(bits_if(y < 0, kInfinity<T>));
  const T at_infinity = from_bits<T>(bits_if(y > 0, kInfinity<T>));

  T result = x == 0 ? at_zero : size;
  result = abs(x) == kInfinity<T> ? at_infinity : result;
  result = from_bits<T>(bits_of(result) | (bits_of(x) & sign_if_odd) | nan_if_nan);
  const bool negative = (x < 0) & (x != -kInfinity<T>);
  const T of_negative = from_bits<T>(bits_of(result) | nan_if_fraction);
  result = negative ? of_negative : result;
  result = x != x ? x : result;
  result = from_bits<T>((bits_of(result) & none_if_zero) | one_if_zero);
  return x == 1 ? T(1) : result;
}

// y, or a bound of it beyond which |x|^y is 0, 1 or infinity for every x
SLOPE_SCALAR_INLINE double clamp_power(double y) { return clamp_between(-0x1p70, y, 0x1p70); }

// x^y
SLOPE_SCALAR_INLINE double pow(double x, double y) {
  const Pair<double> logarithm = log_in_two(abs(x));
  const double power = clamp_power(y);
  const Pair<double> product = two_product(power, logarithm.high);
  const double high = clamp_between(kExpBottom<double>, product.high, kExpTop<double>);
  const double low = mul_add(power, logarithm.low, product.low);
  return power_rules(x, y, exp_of_clamped(high, high == product.high ? low : 0));
}
// In double, whose range and precision spare the float all special care.
SLOPE_SCALAR_INLINE float pow(float x, float y) {
  const SplitLog<double> split = split_log(static_cast<double>(abs(x)));
  const double exponent = clamp_power(y) * join_log(split.m - 1, split.k);
  const double size = exp_of_moderate(clamp_between(-110.0, exponent, 90.0));
  return power_rules(x, y, static_cast<float>(size));
}

}  // namespace slope::math
