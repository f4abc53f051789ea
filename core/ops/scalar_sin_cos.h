// Sine and cosine: the angle less its quarter turns, then a polynomial for either.
#pragma once

#include "core/ops/scalar_arithmetic.h"
#include "core/ops/scalar_polynomials.h"

namespace slope::math {

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

// sin(r + low) and cos(r + low) for |r| <= pi/4
template <std::floating_point T>
SLOPE_SCALAR_INLINE T sin_of_small(T r, T low) {
  const T z = r * r;
  return r + mul_add(r * z, sin_tail(z), low);
}
template <std::floating_point T>
SLOPE_SCALAR_INLINE T cos_of_small(T r, T low) {
  const T z = r * r;
  return 1 - mul_add(T(0.5), z, mul_add(r, low, -(z * z) * cos_tail(z)));
}

// sin(x + turns pi/2) for x >= 0. Beyond 2^47 = 1.4e14 the result is NaN: neighbouring doubles are
// there so far apart (0.03) that a sine says little, and a reduction for them would cost every
// caller.
SLOPE_SCALAR_INLINE double sin_of_turned(double x, unsigned turns) {
  const Quarter q = reduce_quarter(x);
  const Word<double> turn = q.quarter + turns;
  const double sine = sin_of_small(q.high, q.low), cosine = cos_of_small(q.high, q.low);
  const double value = (turn & 1) == 0 ? sine : cosine;
  const double result = from_bits<double>(bits_of(value) ^ (turn & 2) << 62);
  return x <= 0x1p47 ? result : kNaN<double>;
}
// The same limit: the reduction is done in double, the rest in float.
SLOPE_SCALAR_INLINE float sin_of_turned(float x, unsigned turns) {
  const Quarter q = reduce_quarter(x);
  const Word<float> turn = static_cast<Word<float>>(q.quarter) + turns;
  const float r = static_cast<float>(q.high), none = -0.0f;
  const float sine = sin_of_small(r, none), cosine = cos_of_small(r, none);
  const float value = (turn & 1) == 0 ? sine : cosine;
  const float result = from_bits<float>(bits_of(value) ^ (turn & 2) << 30);
  return x <= 0x1p47f ? result : kNaN<float>;
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T sin(T x) {
  return from_bits<T>(bits_of(sin_of_turned(abs(x), 0)) ^ (bits_of(x) & kSignBit<T>));
}

template <std::floating_point T>
SLOPE_SCALAR_INLINE T cos(T x) {
  return sin_of_turned(abs(x), 1);
}

}  // namespace slope::math
