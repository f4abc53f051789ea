// The words that a formula of pointwise.def may use, for float and double: one set of functions for
// the reference kernels, the vectorised ones and CUDA.
//
// Why not libm: a call per value cannot be vectorised. These are branch-free, so that g++ -O3
// (-fno-math-errno -fno-trapping-math) turns a loop over them into vector code, and a value's bits do
// not depend on its place in the loop. bench/scalar_bench.cpp has the timings.
//
// Accuracy, in units in the last place (ulp) of the exact result: at most 2 for every function and
// both types, over the whole range including subnormal numbers; tests/core/scalar_test.cpp holds the
// measured bounds. Infinities, zeros, NaN and overflow are as IEEE 754 and C's math.h have them; the
// sign of zero is kept. Exceptions, stated where they are: sin and cos of huge arguments.
//
// Polynomials are in scalar_polynomials.h, with their errors; how they are made is in
// scripts/scalar_polynomials.py.
#pragma once

#include <type_traits>

#include "core/ops/scalar_arithmetic.h"
#include "core/ops/scalar_polynomials.h"

namespace slope::math {

// ---- constants ----------------------------------------------------------------------------------

// A number that takes the type it meets: c(0.1) * x is a float for a float x, a double for a double.
// (0.1 * x would be a double for both, and 0.1f is too coarse for a double.)
struct Constant {
  double value;

  // to a float or a double parameter: maximum(x, c(0.1))
  template <std::floating_point T>
  constexpr operator T() const {
    return static_cast<T>(value);
  }
};
SLOPE_SCALAR_INLINE constexpr Constant c(double value) { return {value}; }
SLOPE_SCALAR_INLINE constexpr Constant operator-(Constant a) { return {-a.value}; }

#define SLOPE_CONSTANT_OPERATOR(op)                                     \
  template <std::floating_point T>                                      \
  SLOPE_SCALAR_INLINE constexpr auto operator op(Constant a, T b) {     \
    return static_cast<T>(a.value) op b;                                \
  }                                                                     \
  template <std::floating_point T>                                      \
  SLOPE_SCALAR_INLINE constexpr auto operator op(T a, Constant b) {     \
    return a op static_cast<T>(b.value);                                \
  }
SLOPE_CONSTANT_OPERATOR(+)
SLOPE_CONSTANT_OPERATOR(-)
SLOPE_CONSTANT_OPERATOR(*)
SLOPE_CONSTANT_OPERATOR(/)
SLOPE_CONSTANT_OPERATOR(<)
SLOPE_CONSTANT_OPERATOR(<=)
SLOPE_CONSTANT_OPERATOR(>)
SLOPE_CONSTANT_OPERATOR(>=)
#undef SLOPE_CONSTANT_OPERATOR

// ln(2) = kLn2High + kLn2Low; the high part ends in zeros, so that its product with an exponent is exact.
template <class T>
inline constexpr T kLn2High = std::is_same_v<T, float> ? T(0.693145752) : T(0.69314718055989033);
template <class T>
inline constexpr T kLn2Low = std::is_same_v<T, float> ? T(1.42860677e-6) : T(5.4979230187083712e-14);

// ---- choosing, rounding, the simple ones ----------------------------------------------------------

// condition ? a : b. The condition is a bool (x > 0) or a number (0 is false); b may be any number:
// select(x > 0, x, 0).
template <class C, std::floating_point T>
SLOPE_SCALAR_INLINE T select(C condition, T a, std::type_identity_t<T> b) {
  return condition != 0 ? a : b;
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T abs(T x) {
  return from_bits<T>(bits_of(x) & ~sign_bit<T>);
}

// -1, 0 or 1; a zero or NaN is returned as it came.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sign(T x) {
  return x > 0 ? T(1) : (x < 0 ? T(-1) : x);
}

// 1 for a number, 0 for an infinity or NaN
template <std::floating_point T>
SLOPE_SCALAR_INLINE T is_finite(T x) {
  return abs(x) < infinity<T> ? T(1) : T(0);
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T square(T x) {
  return x * x;
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T reciprocal(T x) {
  return 1 / x;
}

SLOPE_SCALAR_INLINE float sqrt(float x) { return ::sqrtf(x); }
SLOPE_SCALAR_INLINE double sqrt(double x) { return ::sqrt(x); }

// 1 / sqrt(x)
template <std::floating_point T>
SLOPE_SCALAR_INLINE T rsqrt(T x) {
  return 1 / sqrt(x);
}

// The larger one; NaN if either is NaN (fmax would hide it). Of +0 and -0 it is b.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T maximum(T a, std::type_identity_t<T> b) {
  const T larger = a > b ? a : b;  // b if one is NaN
  return a != a ? a : larger;
}

// The smaller one; NaN if either is NaN. Of +0 and -0 it is b.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T minimum(T a, std::type_identity_t<T> b) {
  const T smaller = a < b ? a : b;
  return a != a ? a : smaller;
}

// The largest integer that is not above x.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T floor(T x) {
  // Adding and subtracting 2^(mantissa bits) rounds; from there on every number is an integer.
  constexpr T integers_from = T(Word<T>(1) << Layout<T>::mantissa_bits);
  const T size = abs(x);
  const T nearest = with_sign_of((size + integers_from) - integers_from, x);
  const T below = nearest > x ? nearest - 1 : nearest;
  return size < integers_from ? below : x;
}

// ---- exponentials -------------------------------------------------------------------------------

// e^x = (1 + fraction) 2^k with |fraction| < 0.42; exponent holds k + 2 bias, which is positive.
template <class T>
struct SplitExp {
  T fraction;
  Word<T> exponent;
};

// x: finite or NaN, |x| < 800; x_low is added to x, |x_low| at most some units in its last place.
template <std::floating_point T>
SLOPE_SCALAR_INLINE SplitExp<T> split_exp(T x, T x_low = 0) {
  // x = k ln2 + r, and e^r = 1 + r + r^2 tail(r)
  const T shifted = mul_add(x, T(1.4426950408889634), kRounder<T>);
  const T k = shifted - kRounder<T>;
  const T high = mul_add(k, -kLn2High<T>, x);  // exact
  const T low = mul_add(k, -kLn2Low<T>, x_low);
  const Pair<T> r = fast_two_sum(high, low);
  const T fraction = r.high + mul_add(r.high * r.high, exp_tail(r.high), r.low);
  return {fraction, bits_of(shifted) - bits_of(kRounder<T>) + 2 * Layout<T>::bias};
}

// Arguments beyond which e^x is infinity or 0 anyway; NaN stays.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T clamp_exponent(T x) {
  constexpr T top = std::is_same_v<T, float> ? 89 : 710;
  constexpr T bottom = std::is_same_v<T, float> ? -104 : -746;
  const T below_top = x > top ? top : x;
  return x < bottom ? bottom : below_top;
}

// high + low as an argument. In two steps of about 2^(k/2), so that subnormal results round once.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp_of_sum(T high, T low) {
  const SplitExp<T> e = split_exp(clamp_exponent(high), low);
  const Word<T> half = e.exponent >> 1;
  const T scale = power_of_two<T>(half);
  return mul_add(scale, e.fraction, scale) * power_of_two<T>(e.exponent - half);
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp(T x) {
  return exp_of_sum(x, T(0));
}

// e^x where it is certain to be a normal number: one step less
template <std::floating_point T>
SLOPE_SCALAR_INLINE T exp_of_moderate(T x) {
  const SplitExp<T> e = split_exp(x);
  const T scale = power_of_two<T>(e.exponent - Layout<T>::bias);
  return mul_add(scale, e.fraction, scale);
}

// e^x - 1
template <std::floating_point T>
SLOPE_SCALAR_INLINE T expm1(T x) {
  constexpr T bottom = std::is_same_v<T, float> ? -20 : -40;  // where the result rounds to -1
  const T clamped = clamp_exponent(x);
  const SplitExp<T> e = split_exp(clamped < bottom ? bottom : clamped);
  // 2^(k-1), because 2^k may overflow where the result does not
  const T half = power_of_two<T>(e.exponent - Layout<T>::bias - 1);
  const T result = 2 * mul_add(half, e.fraction, half - T(0.5));
  return abs(x) < std::numeric_limits<T>::epsilon() / 4 ? x : result;
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
  constexpr Word<T> one = std::bit_cast<Word<T>>(T(1));
  constexpr Word<T> sqrt_half = std::bit_cast<Word<T>>(T(0.70710678118654752));
  constexpr T integers_from = T(Word<T>(1) << shift);
  const Word<T> moved = bits_of(x) + (one - sqrt_half);  // the exponent now changes at sqrt(2)
  const Word<T> exponent = moved >> shift;
  const T m = from_bits<T>((moved & ((Word<T>(1) << shift) - 1)) + sqrt_half);
  const T k = from_bits<T>(bits_of(integers_from) + exponent) - (integers_from + Layout<T>::bias);
  return {m, k, exponent};
}

// log(1 + f) - f + f^2 / 2. In double a division is cheaper than twice the terms.
SLOPE_SCALAR_INLINE float log_tail(float f, float) { return f * f * f * log_cubic(f); }
SLOPE_SCALAR_INLINE double log_tail(double f, double half_square) {
  const double s = f / (2 + f);  // 1 + f = (1 + s) / (1 - s)
  const double z = s * s;
  return s * (half_square + z * log_series(z));
}

// log(1 + f) + k ln2, with 1 + f in [sqrt(1/2), sqrt(2)]
template <std::floating_point T>
SLOPE_SCALAR_INLINE T join_log(T f, T k) {
  const T half_square = T(0.5) * f * f;
  const T tail = mul_add(k, kLn2Low<T>, log_tail(f, half_square));
  return mul_add(k, kLn2High<T>, f - (half_square - tail));
}

// The result of log where x is not an ordinary positive number
template <std::floating_point T>
SLOPE_SCALAR_INLINE T log_rules(T x, T result) {
  const T above_zero = x < infinity<T> ? result : x;
  const T not_negative = x == 0 ? -infinity<T> : above_zero;
  return x < 0 ? not_a_number<T> : not_negative;
}

// x and its exponent's correction, with a subnormal x brought into the normal range
template <std::floating_point T>
SLOPE_SCALAR_INLINE SplitLog<T> split_log_of_any(T x) {
  constexpr int up = Layout<T>::mantissa_bits + 1;
  const bool subnormal = x < std::numeric_limits<T>::min();
  SplitLog<T> split = split_log(subnormal ? x * T(Word<T>(1) << up) : x);
  split.k -= subnormal ? T(up) : T(0);
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
  return abs(x) < std::numeric_limits<T>::epsilon() / 4 ? x : result;
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

// 1 / (1 + e^-x), from e^-|x|, which cannot overflow
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sigmoid(T x) {
  const T e = exp(-abs(x));
  return (x < 0 ? e : T(1)) / (1 + e);
}

// log(1 + e^x)
template <std::floating_point T>
SLOPE_SCALAR_INLINE T softplus(T x) {
  return (x > 0 ? x : T(0)) + log1p_of_ordinary(exp(-abs(x)));
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T erf(T x) {
  constexpr T top = std::is_same_v<T, float> ? T(3.95) : T(5.95);  // where the result rounds to 1
  const T size = abs(x);
  const T small = mul_add(size, erf_slope(x * x), size);
  const T large = 1 - exp_of_moderate(-erf_exponent(size > top ? top : size));
  return with_sign_of(size < 1 ? small : large, x);
}

// ---- sine and cosine ----------------------------------------------------------------------------

// x - n pi/2, as an unevaluated sum, for the nearest n; the low two bits of quarter are those of n.
struct Quarter {
  double high;
  double low;
  Word<double> quarter;
};

// Cody and Waite's reduction with pi/2 in three doubles. x: |x| <= 2^47
SLOPE_SCALAR_INLINE Quarter reduce_quarter(double x) {
  constexpr double half_pi = 1.5707963267948966, half_pi_rest = 6.123233995736766e-17,
                   half_pi_rest2 = -1.4973849048591698e-33;
  const double shifted = mul_add(x, 0.63661977236758134, kRounder<double>);
  const double n = shifted - kRounder<double>;
#if SLOPE_SCALAR_FUSED
  const double first = mul_add(-n, half_pi, x);  // exact: it has fewer than 53 bits
#else
  const Pair<double> product = two_product(n, half_pi);
  const double first = (x - product.high) - product.low;
#endif
  const Pair<double> second = two_product(n, half_pi_rest);
  const Pair<double> r = two_sum(first, -second.high);
  return {r.high, r.low - mul_add(n, half_pi_rest2, second.low), bits_of(shifted)};
}

// sin(r + low), |r| <= pi/4
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sin_of_small(T r, T low) {
  const T z = r * r;
  return r + mul_add(r * z, sin_tail(z), low * (1 - T(0.5) * z));
}

// cos(r + low), |r| <= pi/4
template <std::floating_point T>
SLOPE_SCALAR_INLINE T cos_of_small(T r, T low) {
  const T z = r * r;
  const Pair<T> first = fast_two_sum(T(1), T(-0.5) * z);
  return first.high + (first.low + mul_add(z * z, cos_tail(z), -r * low));
}

// sin(x + quarters pi/2). Beyond 2^47 = 1.4e14 the result is NaN: neighbouring doubles are there so
// far apart (0.03) that a sine says little, and a reduction for them would cost every caller time.
SLOPE_SCALAR_INLINE double sin_from(double x, unsigned quarters) {
  const Quarter q = reduce_quarter(x);
  const Word<double> turn = q.quarter + quarters;
  const double sine = sin_of_small(q.high, q.low), cosine = cos_of_small(q.high, q.low);
  const double value = (turn & 1) != 0 ? cosine : sine;
  const double result = from_bits<double>(bits_of(value) ^ (turn & 2) << 62);
  return abs(x) <= 0x1p47 ? result : not_a_number<double>;
}
// The same limit; the reduction is done in double, and the rest in float.
SLOPE_SCALAR_INLINE float sin_from(float x, unsigned quarters) {
  const Quarter q = reduce_quarter(x);
  const Word<float> turn = static_cast<Word<float>>(q.quarter) + quarters;
  const float r = static_cast<float>(q.high);
  const float sine = sin_of_small(r, 0.0f), cosine = cos_of_small(r, 0.0f);
  const float value = (turn & 1) != 0 ? cosine : sine;
  const float result = from_bits<float>(bits_of(value) ^ (turn & 2) << 30);
  return abs(x) <= 0x1p47f ? result : not_a_number<float>;
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T sin(T x) {
  return x == 0 ? x : sin_from(x, 0);
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T cos(T x) {
  return sin_from(x, 1);
}

// ---- powers -------------------------------------------------------------------------------------

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

// x^y where size = |x|^y is right for x finite and not 0, and for y not beyond the clamp
SLOPE_SCALAR_INLINE double power_rules(double x, double y, double size) {
  const double half = 0.5 * y;
  const bool odd = (floor(half) != half) & (floor(y) == y);
  const bool fraction = floor(y) != y;
  const double at_zero = y < 0 ? infinity<double> : 0.0, at_infinity = y < 0 ? 0.0 : infinity<double>;
  double result = abs(x) > 0 ? size : at_zero;
  result = abs(x) < infinity<double> ? result : at_infinity;
  result = odd ? with_sign_of(result, x) : result;
  result = (x < 0) & (x > -infinity<double>) & fraction ? not_a_number<double> : result;
  result = (x != x) | (y != y) ? not_a_number<double> : result;
  return (y == 0) | (x == 1) ? 1.0 : result;
}

// y, or the nearest number of which every power of every x but 1 overflows or underflows all the same
SLOPE_SCALAR_INLINE double clamp_power(double y) {
  const double below_top = y > 0x1p70 ? 0x1p70 : y;
  return y < -0x1p70 ? -0x1p70 : below_top;
}

// x^y
SLOPE_SCALAR_INLINE double pow(double x, double y) {
  const Pair<double> logarithm = log_in_two(abs(x));
  const double power = clamp_power(y);
  const Pair<double> product = two_product(power, logarithm.high);
  return power_rules(x, y, exp_of_sum(product.high, mul_add(power, logarithm.low, product.low)));
}
SLOPE_SCALAR_INLINE float pow(float x, float y) {
  const double wide_x = x, wide_y = y;
  const double size = exp(clamp_power(wide_y) * log(abs(wide_x)));
  return static_cast<float>(power_rules(wide_x, wide_y, size));
}

}  // namespace slope::math
