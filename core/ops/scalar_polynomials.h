// Polynomials behind the functions of scalar.h, written by scripts/scalar_polynomials.py.
//
// Each is the polynomial with the smallest largest error on its interval (Remez), its coefficients
// rounded to the type one after the other. "within" is the relative error of the function that the
// polynomial serves, before any rounding in its evaluation; a float has 24 bits, a double 53.
#pragma once

#include "core/ops/scalar_arithmetic.h"

// clang-format off
namespace slope::math {

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2
// float: e^r - 1 within 2^-26.1
SLOPE_SCALAR_INLINE float exp_tail(float r) {
  return polynomial(r,
     4.9999997e-1f,  1.6666539e-1f, 4.16677557e-2f,
    8.36712215e-3f, 1.38357084e-3f);
}
// double: e^r - 1 within 2^-60.7
SLOPE_SCALAR_INLINE double exp_tail(double r) {
  return polynomial(r,
                   5.0e-1, 1.6666666666666677e-1, 4.1666666666666692e-2,
     8.333333333321747e-3, 1.3888888888883644e-3, 1.9841269885290539e-4,
    2.4801587297188903e-5, 2.7557245237619394e-6, 2.7557320229591778e-7,
    2.5108684216052497e-8,  2.089410643612589e-9);
}

// (log(1 + f) - f + f^2 / 2) / (f^3 / 2) for 1 + f in [sqrt(1/2), sqrt(2)]
// float: log(1 + f) within 2^-27.3
SLOPE_SCALAR_INLINE float log_cubic(float f) {
  return polynomial(f,
     6.66666627e-1f, -5.00016451e-1f,  4.00025249e-1f,
    -3.32466453e-1f,   2.8401649e-1f, -2.63192564e-1f,
     2.55380988e-1f, -1.52924433e-1f);
}

// the same for e in [0, 1]
// float: log(1 + e) within 2^-27.0
SLOPE_SCALAR_INLINE float unit_log_cubic(float e) {
  return polynomial(e,
      6.6664499e-1f, -4.99501556e-1f,  3.95483494e-1f,
    -3.11379761e-1f,  2.20480174e-1f, -1.21817157e-1f,
     4.37352248e-2f, -7.35105854e-3f);
}

// (log((1 + s) / (1 - s)) - 2 s) / s^3 with z = s^2, s = f / (2 + f), f as above
// double: the logarithm within 2^-59.5
SLOPE_SCALAR_INLINE double log_series(double z) {
  return polynomial(z,
     6.666666666666734e-1, 3.9999999999417035e-1, 2.8571428741894694e-1,
    2.2222198621530992e-1, 1.8183561903376233e-1, 1.5314110646511336e-1,
    1.4795364588827056e-1);
}

// the same for f in [0, 1]
// double: the logarithm within 2^-59.4
SLOPE_SCALAR_INLINE double unit_log_series(double z) {
  return polynomial(z,
    6.6666666666666308e-1, 4.0000000000155916e-1, 2.8571428548009364e-1,
    2.2222223960808585e-1, 1.8181744213896747e-1, 1.5386554288853929e-1,
    1.3301040991956797e-1, 1.2105602657870029e-1, 8.3420078916595017e-2,
    1.7015406761828247e-1);
}

// (log_series(z) - 2/3) / z for f as in log_cubic
// double: the logarithm within 2^-73.5
SLOPE_SCALAR_INLINE double log_series_rest(double z) {
  return polynomial(z,
     3.999999999999998e-1, 2.8571428571443835e-1, 2.2222222217791798e-1,
    1.8181818843693617e-1, 1.5384558450591618e-1, 1.3336263622830621e-1,
    1.1675798627862503e-1, 1.1981605343695582e-1);
}

// (sin(r) - r) / r^3 with z = r^2, |r| <= pi / 4
// float: the sine within 2^-27.9
SLOPE_SCALAR_INLINE float sin_tail(float z) {
  return polynomial(z,
    -1.66666552e-1f,  8.33218731e-3f, -1.95178975e-4f);
}
// double: the sine within 2^-57.9
SLOPE_SCALAR_INLINE double sin_tail(double z) {
  return polynomial(z,
     -1.666666666666663e-1,  8.3333333333218424e-3, -1.9841269829360832e-4,
     2.7557313539537331e-6, -2.5050734575772921e-8, 1.5895445307935659e-10);
}

// (cos(r) - 1 + r^2 / 2) / r^4 with z = r^2, |r| <= pi / 4
// float: the cosine within 2^-33.0
SLOPE_SCALAR_INLINE float cos_tail(float z) {
  return polynomial(z,
     4.16666456e-2f, -1.38873095e-3f,  2.44323273e-5f);
}
// double: the cosine within 2^-63.9
SLOPE_SCALAR_INLINE double cos_tail(double z) {
  return polynomial(z,
      4.1666666666666595e-2,  -1.3888888888873307e-3,   2.4801587288965196e-5,
     -2.7557314203064045e-7,   2.0875703137375304e-9, -1.1358616912498001e-11);
}

// (tanh(x) - x) / x^3 with z = x^2, |x| <= 0.625
// float: tanh within 2^-27.7
SLOPE_SCALAR_INLINE float tanh_tail(float z) {
  return polynomial(z,
    -3.33332807e-1f,  1.33314058e-1f, -5.37365153e-2f,
     2.06281673e-2f,  -5.6922962e-3f);
}
// double: tanh within 2^-56.4
SLOPE_SCALAR_INLINE double tanh_tail(double z) {
  return polynomial(z,
    -3.3333333333332854e-1,  1.3333333333261929e-1,  -5.396825393120145e-2,
     2.1869487574785015e-2,  -8.863220987735303e-3,  3.5919890682885309e-3,
    -1.4549583963189825e-3,  5.8631512184648907e-4, -2.2856160566189321e-4,
     7.7141651030054057e-5, -1.6071342904116891e-5);
}

// erf(x) / x - 1 with z = x^2, |x| <= 1
// float: erf within 2^-29.4
SLOPE_SCALAR_INLINE float erf_slope(float z) {
  return polynomial(z,
     1.28379166e-1f,  -3.7612626e-1f,  1.12835787e-1f,
    -2.68533472e-2f,   5.1871622e-3f,  -7.9978531e-4f,
     7.80690316e-5f);
}
// double: erf within 2^-56.0
SLOPE_SCALAR_INLINE double erf_slope(double z) {
  return polynomial(z,
      1.2837916709551256e-1,   -3.761263890318341e-1,    1.128379167094212e-1,
     -2.6866170643086301e-2,   5.2239776076980363e-3,  -8.5483260638990512e-4,
      1.2055298790362839e-4,  -1.4924827649329357e-5,   1.6448677166671813e-6,
      -1.621874245587731e-7,   1.3766260541164408e-8, -7.8841358132389047e-10);
}

// -log(1 - erf(x)) for x from 1 to where erf rounds to 1 (3.95; 5.95)
// float: erf within 2^-29.8
SLOPE_SCALAR_INLINE float erf_exponent(float x) {
  return polynomial(x,
     3.41549341e-4f,     1.12708914f,  6.38144791e-1f,
     1.03106916e-1f, -2.18382124e-2f,  2.94771651e-3f,
    -1.86387726e-4f);
}
// double: erf within 2^-57.0
SLOPE_SCALAR_INLINE double erf_exponent(double x) {
  return polynomial(x,
      5.0283484751498223e-7,      1.1283740896286327,   6.3664362737010904e-1,
      1.0270344158614129e-1,  -1.8990182927522484e-2,  -4.1062210529313291e-4,
      1.9159371955441498e-3,  -7.7063826900830904e-4,   1.3504730969756554e-4,
      2.0268135893976376e-5,  -2.2823059771032482e-5,   8.6673282104183975e-6,
     -2.1357144259644951e-6,   3.7330907004031132e-7,   -4.642362675469275e-8,
      3.9343198070750884e-9, -2.0449926726054958e-10,  4.9286919597686585e-12);
}

}  // namespace slope::math
// clang-format on
