// The words that a formula of pointwise.def may use, for float and double: one set of functions for
// the reference kernels, the vectorised ones and CUDA.
//
// Here are sign, square, reciprocal, sqrt, rsqrt, floor, is_finite, maximum, minimum, select and c;
// abs is in scalar_arithmetic.h; exp, expm1, log, log1p, tanh, sigmoid, softplus and erf in
// scalar_exp_log.h; sin and cos in scalar_sin_cos.h; pow in scalar_pow.h.
//
// Why not libm: a call per value cannot be vectorised. These are branch-free, so that g++ -O3
// -fno-math-errno -fno-trapping-math turns a loop over them into vector code, and a value's bits do
// not depend on its place in the loop (bench/scalar_bench.cpp has the timings).
//
// Accuracy: at most 2 units in the last place for every function and both types, over the whole
// range, subnormal numbers included; tests/core/scalar_test.cpp holds the bound of each.
// Infinities, zeros, NaN and overflow are as in IEEE 754 and C's math.h, and the sign of a zero is
// kept. One exception: sin and cos of more than 1.4e14 are NaN (scalar_sin_cos.h says why).
#pragma once

#include <math.h>

#include <type_traits>

#include "core/ops/scalar_arithmetic.h"
#include "core/ops/scalar_exp_log.h"
#include "core/ops/scalar_pow.h"
#include "core/ops/scalar_sin_cos.h"

namespace slope::math {

// A number that takes the type it meets: c(0.1) * x is a float for a float x, a double for a
// double. (0.1 * x would be a double for both, and 0.1f is too coarse for a double.)
struct Constant {
  double value;

  // to a float or a double parameter: maximum(x, c(0.1))
  template <std::floating_point T>
  SLOPE_SCALAR_MEMBER constexpr operator T() const {
    return static_cast<T>(value);
  }
};
SLOPE_SCALAR_INLINE constexpr Constant c(double value) { return {value}; }
SLOPE_SCALAR_INLINE constexpr Constant operator-(Constant a) { return {-a.value}; }

#define SLOPE_CONSTANT_OPERATOR(op)                                 \
  template <std::floating_point T>                                  \
  SLOPE_SCALAR_INLINE constexpr auto operator op(Constant a, T b) { \
    return static_cast<T>(a.value) op b;                            \
  }                                                                 \
  template <std::floating_point T>                                  \
  SLOPE_SCALAR_INLINE constexpr auto operator op(T a, Constant b) { \
    return a op static_cast<T>(b.value);                            \
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

// condition ? a : b. The condition is a bool (x > 0) or a number (0 is false); one of a and b may
// be an integer: select(x < 0, 0, x).
template <class C, std::floating_point T>
SLOPE_SCALAR_INLINE T select(C condition, T a, std::type_identity_t<T> b) {
  return condition != 0 ? a : b;
}
template <class C, std::floating_point T>
SLOPE_SCALAR_INLINE T select(C condition, int a, T b) {
  return condition != 0 ? static_cast<T>(a) : b;
}

// -1, 0 or 1; a zero or NaN is returned as it came.
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sign(T x) {
  return x > 0 ? T(1) : (x < 0 ? T(-1) : x);
}

// 1 for a number, 0 for an infinity or NaN
template <std::floating_point T>
SLOPE_SCALAR_INLINE T is_finite(T x) {
  return abs(x) < kInfinity<T> ? T(1) : T(0);
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
  const T size = abs(x);
  const T nearest = with_sign_of(nearest_integer(size), x);
  const T below = nearest > x ? nearest - 1 : nearest;
  return size < kIntegersFrom<T> ? below : x;
}

}  // namespace slope::math
