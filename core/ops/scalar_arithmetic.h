// What the functions of scalar.h are built from: exact tricks with the bits of a float or a double.
//
// Everything here is branch-free and inlined by force: a loop over any of it can be vectorised, and
// each translation unit keeps its own copy, compiled for its own instruction set.
#pragma once

#include <math.h>

#include <concepts>
#include <cstdint>
#include <limits>

#ifdef __CUDACC__
#define SLOPE_SCALAR_MEMBER __host__ __device__ __forceinline__
#else
#define SLOPE_SCALAR_MEMBER inline __attribute__((always_inline))
#endif
#define SLOPE_SCALAR_INLINE static SLOPE_SCALAR_MEMBER

namespace slope::math {

// ---- a * b + c ----------------------------------------------------------------------------------

// A file that changes its instruction set by #pragma says so itself: g++ 12 defines no __FMA__
// then.
#ifndef SLOPE_SCALAR_FUSED
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__CUDA_ARCH__)
#define SLOPE_SCALAR_FUSED 1
#else
#define SLOPE_SCALAR_FUSED 0
#endif
#endif

// a * b + c, in one rounding where the machine can. Written out instead of left to the compiler
// (-ffp-contract=off), so that a vector and the scalar loop behind it give the same bits.
SLOPE_SCALAR_INLINE float mul_add(float a, float b, float c) {
#if SLOPE_SCALAR_FUSED
  return ::fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
SLOPE_SCALAR_INLINE double mul_add(double a, double b, double c) {
#if SLOPE_SCALAR_FUSED
  return ::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// c0 + c1 x + c2 x^2 + ..., as (c0 + c1 x) + x^2 ((c2 + c3 x) + x^2 (...)): as many operations as
// Horner's rule plus one, and half as many that wait for another. (In fours it would be slower
// again.)
template <std::floating_point T>
SLOPE_SCALAR_INLINE T polynomial_in_pairs(T, T, T c0) {
  return c0;
}
template <std::floating_point T>
SLOPE_SCALAR_INLINE T polynomial_in_pairs(T x, T, T c0, T c1) {
  return mul_add(x, c1, c0);
}
template <std::floating_point T, std::same_as<T>... Rest>
SLOPE_SCALAR_INLINE T polynomial_in_pairs(T x, T x_squared, T c0, T c1, T c2, Rest... rest) {
  return mul_add(x_squared, polynomial_in_pairs(x, x_squared, c2, rest...), mul_add(x, c1, c0));
}
template <std::floating_point T, std::same_as<T>... Rest>
SLOPE_SCALAR_INLINE T polynomial(T x, T c0, Rest... rest) {
  return polynomial_in_pairs(x, x * x, c0, rest...);
}

// ---- bits ---------------------------------------------------------------------------------------

// The layout of an IEEE number: sign, exponent + bias, mantissa.
template <class T>
struct Layout;
template <>
struct Layout<float> {
  using Word = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Word bias = 127;
};
template <>
struct Layout<double> {
  using Word = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Word bias = 1023;
};
template <class T>
using Word = typename Layout<T>::Word;

// (the builtin behind std::bit_cast, which would be a function of its own in an unoptimised build)
template <std::floating_point T>
SLOPE_SCALAR_INLINE constexpr Word<T> bits_of(T x) {
  return __builtin_bit_cast(Word<T>, x);
}
template <std::floating_point T>
SLOPE_SCALAR_INLINE constexpr T from_bits(Word<T> bits) {
  return __builtin_bit_cast(T, bits);
}

template <class T>
inline constexpr Word<T> kSignBit = Word<T>(1) << (8 * sizeof(T) - 1);
template <class T>
inline constexpr T kInfinity = std::numeric_limits<T>::infinity();
template <class T>
inline constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
template <class T>
inline constexpr T kSmallestNormal = std::numeric_limits<T>::min();
// Below this size 1 + x rounds to 1, and x^2 / 2 is nothing beside x.
template <class T>
inline constexpr T kNegligible = std::numeric_limits<T>::epsilon() / 4;
// 2^(mantissa bits): from here on every number is an integer, from twice that an even one.
template <class T>
inline constexpr T kIntegersFrom = T(Word<T>(1) << Layout<T>::mantissa_bits);
// Adding it rounds a small number to the nearest integer and leaves that integer, negative ones in
// two's complement, in the low bits of the sum.
template <class T>
inline constexpr T kRounder = T(1.5) * kIntegersFrom<T>;

template <std::floating_point T>
SLOPE_SCALAR_INLINE T abs(T x) {
  return from_bits<T>(bits_of(x) & ~kSignBit<T>);
}

// magnitude >= 0 or NaN, with the sign bit of x
template <std::floating_point T>
SLOPE_SCALAR_INLINE T with_sign_of(T magnitude, T x) {
  return from_bits<T>(bits_of(magnitude) | (bits_of(x) & kSignBit<T>));
}

// The integer nearest to x, for 0 <= x < kIntegersFrom
template <std::floating_point T>
SLOPE_SCALAR_INLINE T nearest_integer(T x) {
  const T shifted = x + kIntegersFrom<T>;
  return shifted - kIntegersFrom<T>;
}

// 2^(biased - bias), for 0 < biased < 2 bias + 1. Higher bits of biased fall off.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T power_of_two(Word<T> biased) {
  return from_bits<T>(biased << Layout<T>::mantissa_bits);
}

// x, or the nearest bound; NaN stays. Both comparisons are with x itself: comparing one result with
// the other bound lets g++ thread jumps through it, and the vector code grows by half.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T clamp_between(T bottom, T x, T top) {
  const T below_top = x > top ? top : x;
  return x < bottom ? bottom : below_top;
}

// ---- more than one number's precision -----------------------------------------------------------

// The unevaluated sum high + low, |low| at most half a unit in the last place of high.
template <class T>
struct Pair {
  T high;
  T low;
};

// a + b exactly, for any a and b (Knuth)
template <std::floating_point T>
SLOPE_SCALAR_INLINE Pair<T> two_sum(T a, T b) {
  const T sum = a + b;
  const T b_seen = sum - a;
  return {sum, (a - (sum - b_seen)) + (b - b_seen)};
}

// a + b exactly, for |a| >= |b| or a = 0 (Dekker)
template <std::floating_point T>
SLOPE_SCALAR_INLINE Pair<T> fast_two_sum(T a, T b) {
  const T sum = a + b;
  return {sum, b - (sum - a)};
}

// a * b exactly, for |a|, |b| < 2^990
SLOPE_SCALAR_INLINE Pair<double> two_product(double a, double b) {
  const double product = a * b;
#if SLOPE_SCALAR_FUSED
  return {product, ::fma(a, b, -product)};
#else
  // Veltkamp: halves of 26 bits, whose products are exact
  const double split = 134217729.0;  // 2^27 + 1
  const double a_high = a * split - (a * split - a), a_low = a - a_high;
  const double b_high = b * split - (b * split - b), b_low = b - b_high;
  const double error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high);
  return {product, error + a_low * b_low};
#endif
}

}  // namespace slope::math
