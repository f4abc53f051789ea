// core/ops/scalar.h against libm in a wider type, and its rules; compiled for the oldest machine.
#include "core/ops/scalar.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/core/scalar_accuracy.h"

namespace slope::test {

#ifndef __clang__
#pragma GCC push_options
#pragma GCC optimize("O3,no-math-errno,no-trapping-math")
#endif
#define SLOPE_LOOPS generic
#include "tests/core/scalar_loops.inc"
#undef SLOPE_LOOPS
#ifndef __clang__
#pragma GCC pop_options
#endif

namespace {

// What a function is measured by, and how far off it may be in units in the last place (ulp).
struct Exact {
  const char* name;
  double (*for_float)(double x, double y);
  long double (*for_double)(long double x, long double y);
  double ulps;
  double low, high;  // half of the samples lie here, uniformly; the others are anywhere
  double limit = std::numeric_limits<double>::infinity();  // largest |x| that is sampled
};

template <class R>
R exact_sigmoid(R x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
template <class R>
R exact_softplus(R x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}
template <class R>
R exact_sign(R x) {
  return x > 0 ? R(1) : x < 0 ? R(-1) : x;
}
template <class R>
R exact_maximum(R x, R y) {
  return std::isnan(x) || std::isnan(y) ? x + y : x > y ? x : y;
}
template <class R>
R exact_minimum(R x, R y) {
  return std::isnan(x) || std::isnan(y) ? x + y : x < y ? x : y;
}

#define SLOPE_EXACT(name, expression, ...)                                                       \
  {                                                                                              \
#name,                                                                                       \
        [](double x, [[maybe_unused]] double y)                                                  \
             -> double { return expression; },                                                   \
                                            [](long double x, [[maybe_unused]] long double y)    \
                                                 -> long double { return expression; },          \
                                                                                     __VA_ARGS__ \
  }

const Exact exact_functions[] = {
    SLOPE_EXACT(abs, std::fabs(x), 0, -4, 4),
    SLOPE_EXACT(sign, exact_sign(x), 0, -4, 4),
    SLOPE_EXACT(floor, std::floor(x), 0, -40, 40),
    SLOPE_EXACT(is_finite, std::isfinite(x) ? 1 : 0, 0, -4, 4),
    SLOPE_EXACT(square, x* x, 0.5, -4, 4),
    SLOPE_EXACT(reciprocal, 1 / x, 0.5, -4, 4),
    SLOPE_EXACT(sqrt, std::sqrt(x), 0.5, 0, 100),
    SLOPE_EXACT(rsqrt, 1 / std::sqrt(x), 1.5, 0, 100),
    SLOPE_EXACT(exp, std::exp(x), 1.1, -20, 20),
    SLOPE_EXACT(expm1, std::expm1(x), 1.8, -2, 2),
    SLOPE_EXACT(log, std::log(x), 0.9, 0, 4),
    SLOPE_EXACT(log1p, std::log1p(x), 1.5, -1, 4),
    SLOPE_EXACT(sin, std::sin(x), 1.6, -10, 10, 0x1p47),
    SLOPE_EXACT(cos, std::cos(x), 1.6, -10, 10, 0x1p47),
    SLOPE_EXACT(tanh, std::tanh(x), 1.4, -2, 2),
    SLOPE_EXACT(sigmoid, exact_sigmoid(x), 1.8, -10, 10),
    SLOPE_EXACT(softplus, exact_softplus(x), 1.9, -10, 10),
    SLOPE_EXACT(erf, std::erf(x), 1.4, -2.5, 2.5),
    SLOPE_EXACT(pow, std::pow(x, y), 1.4, 0, 4),
    SLOPE_EXACT(maximum, exact_maximum(x, y), 0, -4, 4),
    SLOPE_EXACT(minimum, exact_minimum(x, y), 0, -4, 4),
};

const Exact& exact_function(const std::string& name) {
  for (const Exact& function : exact_functions) {
    if (function.name == name) return function;
  }
  FAIL("no exact function called ", name);
  return exact_functions[0];
}

double call(const Exact& function, float x, float y) { return function.for_float(x, y); }
long double call(const Exact& function, double x, double y) { return function.for_double(x, y); }
void call(const Loop& loop, const float* x, const float* y, float* out, int n) {
  loop.run_float(x, y, out, n);
}
void call(const Loop& loop, const double* x, const double* y, double* out, int n) {
  loop.run_double(x, y, out, n);
}

// |got - exact| in units in the last place of exact as a T; infinity for a missed NaN, infinity or
// sign of a zero
template <class T, class Wide>
double ulps(T got, Wide exact) {
  using Limits = std::numeric_limits<T>;
  constexpr double wrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) == std::isnan(got) ? 0 : wrong;
  if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(exact) ? 0 : wrong;
  if (got == static_cast<T>(exact) && std::isinf(got)) return 0;
  if (std::isinf(exact)) return wrong;
  // an infinity that should be a number counts as the first power of two that is out of range
  const Wide beyond = std::ldexp(Wide(1), Limits::max_exponent);
  const Wide value = std::isinf(got) ? std::copysign(beyond, Wide(got)) : Wide(got);
  int exponent;
  std::frexp(exact, &exponent);
  exponent = std::clamp(exponent, Limits::min_exponent, Limits::max_exponent);
  return static_cast<double>(std::fabs(value - exact) /
                             std::ldexp(Wide(1), exponent - Limits::digits));
}

template <class T>
struct Inputs {
  std::vector<T> x, y;

  void add(T a, T b) {
    x.push_back(a);
    y.push_back(b);
  }
};

template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values = {T(0),
                           Limits::denorm_min(),
                           3 * Limits::denorm_min(),
                           Limits::min(),
                           Limits::min() - Limits::denorm_min(),
                           Limits::epsilon(),
                           Limits::epsilon() / 8,
                           Limits::max(),
                           Limits::infinity()};
  // ends of the pieces, multiples of pi/2, edges of overflow, integers odd and even and large
  for (const double value : {0.5,
                             0.625,
                             0.70710678118654752,
                             1.0,
                             1.4142135623730951,
                             1.5,
                             2.0,
                             3.0,
                             0.34657359027997264,
                             1.0397207708399179,
                             0.78539816339744831,
                             1.5707963267948966,
                             3.1415926535897932,
                             3.95,
                             5.95,
                             10.0,
                             16.635532,
                             88.72284,
                             89.0,
                             103.97,
                             104.0,
                             709.78271289338397,
                             710.0,
                             745.13,
                             746.0,
                             1e5,
                             8388607.5,
                             16777215.0,
                             16777217.0,
                             9007199254740991.0}) {
    const T rounded = static_cast<T>(value);
    values.push_back(rounded);
    values.push_back(std::nextafter(rounded, T(0)));
    values.push_back(std::nextafter(rounded, Limits::infinity()));
  }
  const size_t positive = values.size();
  for (size_t i = 0; i < positive; ++i) values.push_back(-values[i]);
  values.push_back(Limits::quiet_NaN());
  return values;
}

// Pairs: every special value with every other, and random ones. y is for functions of two
// arguments.
template <class T>
Inputs<T> inputs_for(const Exact& function, int samples) {
  Inputs<T> inputs;
  const std::vector<T> specials = special_values<T>();
  for (const T x : specials) {
    if (std::isfinite(x) && std::fabs(x) > function.limit) continue;
    for (const T y : specials) inputs.add(x, y);
  }
  std::mt19937_64 random(20240607);
  std::uniform_real_distribution<double> unit(0, 1);
  const auto any = [&] { return std::bit_cast<T>(static_cast<math::Word<T>>(random())); };
  for (int i = 0; i < samples; ++i) {
    T x = static_cast<T>(function.low + (function.high - function.low) * unit(random));
    if (i % 2 == 0) {
      do x = any();
      while (!(std::fabs(x) <= function.limit));
    }
    // next to a multiple of pi/2, where nearly all of x cancels
    if (i % 16 == 1 && std::isfinite(function.limit)) {
      const int bits = static_cast<int>(46 * unit(random));
      x = static_cast<T>(std::floor(std::ldexp(unit(random), bits)) * 1.57079632679489661923L);
    }
    // y: anything, small halves of integers, or such that x^y is about in range
    const double size = std::log(std::numeric_limits<T>::max()) / std::log(std::fabs(x));
    const T y = i % 3 == 0   ? any()
                : i % 3 == 1 ? static_cast<T>(std::floor(40 * unit(random) - 20) / 2)
                             : static_cast<T>((2.2 * unit(random) - 1.1) * size);
    inputs.add(x, y);
  }
  return inputs;
}

template <class T>
void check_accuracy_of(const Loop& loop, int samples) {
  const Exact& function = exact_function(loop.name);
  const Inputs<T> in = inputs_for<T>(function, samples);
  const int n = static_cast<int>(in.x.size());
  std::vector<T> out(n);
  call(loop, in.x.data(), in.y.data(), out.data(), n);
  double worst = 0;
  int worst_at = 0;
  for (int i = 0; i < n; ++i) {
    const double error = ulps(out[i], call(function, in.x[i], in.y[i]));
    if (error > worst) worst = error, worst_at = i;
  }
  const T x = in.x[worst_at], y = in.y[worst_at];
  CAPTURE(loop.name);
  CAPTURE(sizeof(T));
  CAPTURE(x);
  CAPTURE(y);
  CAPTURE(out[worst_at]);
  CAPTURE(call(function, x, y));
  CHECK(worst <= function.ulps);
}

template <class T>
void check_positions_of(const Loop& loop) {
  constexpr int n = 67;  // whole vectors and a rest for every vector length
  const Inputs<T> in = inputs_for<T>(exact_function(loop.name), 400);
  const size_t last = in.x.size() - n;
  for (size_t start = 0; start <= last; start += last / 16) {
    T together[n], alone[n];
    call(loop, &in.x[start], &in.y[start], together, n);
    for (int i = 0; i < n; ++i) call(loop, &in.x[start + i], &in.y[start + i], &alone[i], 1);
    CAPTURE(loop.name);
    CAPTURE(sizeof(T));
    CHECK(std::memcmp(together, alone, sizeof(together)) == 0);
  }
}

}  // namespace

void check_accuracy(std::span<const Loop> loops) {
  for (const Loop& loop : loops) {
    check_accuracy_of<float>(loop, 100000);
    check_accuracy_of<double>(loop, 100000);
  }
}

void check_positions(std::span<const Loop> loops) {
  for (const Loop& loop : loops) {
    check_positions_of<float>(loop);
    check_positions_of<double>(loop);
  }
}

namespace {

TEST_CASE("sin and cos beyond their limit are NaN, and so are those of infinity") {
  for (const float x : {0x1.000002p47f, 3e38f, math::kInfinity<float>, -0x1p48f}) {
    CHECK(std::isnan(math::sin(x)));
    CHECK(std::isnan(math::cos(x)));
    CHECK(std::isnan(math::sin(static_cast<double>(x))));
    CHECK(std::isnan(math::cos(static_cast<double>(x))));
  }
  CHECK(math::sin(0x1p47) == doctest::Approx(std::sin(0x1p47)).epsilon(1e-15));
}

TEST_CASE("c and select take the type of the number they meet") {
  static_assert(std::is_same_v<decltype(math::c(0.1) * 2.0f), float>);
  static_assert(std::is_same_v<decltype(2.0 - math::c(0.1)), double>);
  static_assert(std::is_same_v<decltype(math::select(1.0f > 0, 1.0f, 0)), float>);
  CHECK(math::c(0.1) * 3.0f == 0.1f * 3.0f);
  CHECK(3.0 * -math::c(0.1) == 3.0 * -0.1);
  CHECK(1.0f / math::c(0.1) == 1.0f / 0.1f);
  CHECK(math::maximum(0.05, math::c(0.1)) == 0.1);
  CHECK(math::select(2.0 > 1, 3.0, math::c(0.5)) == 3.0);
  CHECK(math::select(0.0f, 3.0f, 4) == 4.0f);
  CHECK(math::select(-1.0f, 3.0f, 4) == 3.0f);
  CHECK((0.1 >= math::c(0.1) && math::c(0.1) < 0.2f));
}

TEST_CASE("scalar functions, baseline: within their bounds, the same at every position") {
  CHECK(std::size(exact_functions) == std::size(generic::loops));
  check_accuracy(generic::loops);
  check_positions(generic::loops);
}

}  // namespace
}  // namespace slope::test
