// DETEST: 25 problems that are not stiff. Hull, Enright, Fellen, Sedgwick, Comparing numerical
// methods for ordinary differential equations, SIAM J. Numer. Anal. 9 (1972). All from 0 to 20.
#include <cmath>
#include <map>
#include <numbers>

#include "apps/problems/parts.h"
#include "core/ops.h"
#include "ode/number_text.h"

namespace slope::problems {
namespace {

using Values = std::vector<double>;
using Formula = std::function<Values(double t)>;

// What differs from problem to problem.
struct Definition {
  const char* what;
  ode::Field field;
  Values start;
  Formula solution = {};
};

// ---- A: single equations ---------------------------------------------------------------------

Definition a(int number) {
  const auto field = [](auto f) {
    return ode::Field{
        .evaluate = [f](const Tensor& t, const Tensor& y, const Tensors&) { return f(t, y); }};
  };
  switch (number) {
    case 1:
      return {"the negative exponential",
              field([](const Tensor&, const Tensor& y) { return -y; }),
              {1},
              [](double t) { return Values{std::exp(-t)}; }};
    case 2:
      return {"a special case of the Riccati equation",
              field([](const Tensor&, const Tensor& y) { return -0.5 * (square(y) * y); }),
              {1},
              [](double t) { return Values{1 / std::sqrt(t + 1)}; }};
    case 3:
      return {"an oscillation",
              field([](const Tensor& t, const Tensor& y) { return y * cos(t); }),
              {1},
              [](double t) { return Values{std::exp(std::sin(t))}; }};
    case 4:
      return {"a logistic curve",
              field([](const Tensor&, const Tensor& y) { return 0.25 * y * (1.0 - y / 20.0); }),
              {1},
              [](double t) { return Values{20 / (1 + 19 * std::exp(-t / 4))}; }};
    default:
      return {"a spiral",
              field([](const Tensor& t, const Tensor& y) { return (y - t) / (y + t); }),
              {4}};
  }
}

// ---- B: small systems --------------------------------------------------------------------------

Definition b(int number) {
  const auto field = [](auto f) {
    return ode::Field{
        .evaluate = [f](const Tensor&, const Tensor& y, const Tensors&) { return join(f(y)); }};
  };
  switch (number) {
    case 1:
      return {"the growth of two conflicting populations",
              field([](const Tensor& y) {
                const Tensor first = part(y, 0), second = part(y, 1), both = first * second;
                return Tensors{2.0 * (first - both), both - second};
              }),
              {1, 3}};
    case 2:
      return {"a linear chemical reaction", {}, {2, 0, 1}, [](double t) {
                const double slow = std::exp(-t), fast = std::exp(-3 * t);
                return Values{1 + slow / 2 + fast / 2, 1 - fast, 1 - slow / 2 + fast / 2};
              }};
    case 3:
      return {"a nonlinear chemical reaction",
              field([](const Tensor& y) {
                const Tensor first = part(y, 0), squared = square(part(y, 1));
                return Tensors{-first, first - squared, squared};
              }),
              {1, 0, 0}};
    case 4:  // r = 2 + cos t at the angle t
      return {"the integral surface of a torus",
              field([](const Tensor& y) {
                const Tensor x = part(y, 0), z = part(y, 1), height = part(y, 2);
                const Tensor r = sqrt(square(x) + square(z));
                return Tensors{-z - x * height / r, x - z * height / r, x / r};
              }),
              {3, 0, 0},
              [](double t) {
                const double r = 2 + std::cos(t);
                return Values{r * std::cos(t), r * std::sin(t), std::sin(t)};
              }};
    default:
      return {"Euler's equations of a rigid body",
              field([](const Tensor& y) {
                const Tensor p = part(y, 0), q = part(y, 1), s = part(y, 2);
                return Tensors{q * s, -p * s, -0.51 * p * q};
              }),
              {0, 1, 1}};
  }
}

// ---- C: moderate systems -----------------------------------------------------------------------

// n x n: entry(i, j) where it is not zero.
template <typename Entry>
Values matrix(int n, Entry entry) {
  Values a;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) a.push_back(entry(i, j));
  }
  return a;
}

Values first_unit(int n) {
  Values y(static_cast<size_t>(n), 0.0);
  y[0] = 1;
  return y;
}

// Ten nuclides: y1 decays at rate(1) to y2, y2 at rate(2) to y3, .., y10 stays.
template <typename Rate>
Values decay_chain(Rate rate) {
  return matrix(10, [rate](int i, int j) {
    if (i == j) return i < 9 ? -rate(i + 1.0) : 0.0;
    return i == j + 1 ? rate(j + 1.0) : 0.0;
  });
}

// All rates 1: y_i = t^(i-1) e^-t / (i-1)!, and the rest in y10.
Values equal_decay(double t) {
  Values y;
  double term = std::exp(-t), rest = 1;
  for (int i = 0; i < 9; ++i) {
    y.push_back(term);
    rest -= term;
    term *= t / (i + 1);
  }
  y.push_back(rest);
  return y;
}

// Rates 1, 2, .., 9: y_i = e^-t (1 - e^-t)^(i-1).
Values growing_decay(double t) {
  Values y;
  const double gone = -std::expm1(-t);
  double term = std::exp(-t);
  for (int i = 0; i < 9; ++i) {
    y.push_back(term);
    term *= gone;
  }
  y.push_back(std::pow(gone, 9));
  return y;
}

// The heat equation's matrix: -2 on the whole diagonal, 1 beside it. Its eigenvectors are sines.
Values heat_matrix(int n) {
  return matrix(n, [](int i, int j) { return i == j ? -2.0 : std::abs(i - j) == 1 ? 1.0 : 0.0; });
}
Formula heat_solution(int n) {
  return [n](double t) {
    const double unit = std::numbers::pi / (n + 1);
    Values y;
    for (int i = 1; i <= n; ++i) {
      double value = 0;
      for (int k = 1; k <= n; ++k) {
        const double half = std::sin(k * unit / 2), rate = 4 * half * half;
        value += std::sin(k * unit) * std::sin(i * k * unit) * std::exp(-rate * t);
      }
      y.push_back(2 * value / (n + 1));
    }
    return y;
  };
}

Values chain_matrix() { return {-1, 1, 0, 1, -2, 1, 0, 1, -1}; }

Definition c(int number, Dtype dtype) {
  switch (number) {
    case 1:
      return {"a radioactive decay chain, all rates 1",
              linear_field(decay_chain([](double) { return 1.0; }), dtype), first_unit(10),
              equal_decay};
    case 2:
      return {"a radioactive decay chain, rates 1 to 9",
              linear_field(decay_chain([](double i) { return i; }), dtype), first_unit(10),
              growing_decay};
    case 3:
      return {"the heat equation on 10 points", linear_field(heat_matrix(10), dtype),
              first_unit(10), heat_solution(10)};
    case 4:
      return {"the heat equation on 51 points", linear_field(heat_matrix(51), dtype),
              first_unit(51), heat_solution(51)};
    default:
      return {"the five outer planets", planets_field(dtype), planets_start()};
  }
}

// ---- D: orbits, E: equations of second order ---------------------------------------------------

Definition d(int number) {
  const double e = (2 * number - 1) / 10.0;
  return {"an orbit of two bodies", two_body_field(), two_body_start(e),
          [e](double t) { return two_body_solution(e, t); }};
}

// y'' = f(t, y, y') as a system.
template <typename F>
ode::Field second_order(F f) {
  return {.evaluate = [f](const Tensor& t, const Tensor& y, const Tensors&) {
    const Tensor speed = part(y, 1);
    return join({speed, f(t, part(y, 0), speed)});
  }};
}

Definition e(int number) {
  switch (number) {
    case 1:  // J_1/2(t + 1) = sqrt(2 / (pi (t + 1))) sin(t + 1)
      return {"Bessel's equation of order 1/2",
              second_order([](const Tensor& t, const Tensor& y, const Tensor& speed) {
                const Tensor x = t + 1.0;
                return -(speed / x + (1.0 - 0.25 / square(x)) * y);
              }),
              {0.6713967071418030, 0.09540051444747446},
              [](double t) {
                const double x = t + 1, size = std::sqrt(2 / (std::numbers::pi * x));
                return Values{size * std::sin(x), size * (std::cos(x) - std::sin(x) / (2 * x))};
              }};
    case 2:
      return {"Van der Pol's equation, mu = 1",
              second_order([](const Tensor&, const Tensor& y, const Tensor& speed) {
                return (1.0 - square(y)) * speed - y;
              }),
              {2, 0}};
    case 3:
      return {"Duffing's equation",
              second_order([](const Tensor& t, const Tensor& y, const Tensor&) {
                return square(y) * y / 6.0 - y + 2.0 * sin(2.78535 * t);
              }),
              {0, 0}};
    case 4:  // y' = sqrt(0.08) tanh(sqrt(0.0128) t)
      return {"a falling body",
              second_order([](const Tensor&, const Tensor&, const Tensor& speed) {
                return 0.032 - 0.4 * square(speed);
              }),
              {30, 0},
              [](double t) {
                const double x = std::sqrt(0.0128) * t;
                return Values{30 + std::log(std::cosh(x)) / 0.4, std::sqrt(0.08) * std::tanh(x)};
              }};
    default:  // y' = sinh(log(25 / (25 - t)))
      return {"a pursuit curve",
              second_order([](const Tensor& t, const Tensor&, const Tensor& speed) {
                return sqrt(1.0 + square(speed)) / (25.0 - t);
              }),
              {0, 0},
              [](double t) {
                const double left = 25 - t;
                return Values{-12.5 * std::log1p(-t / 25) - (625 - left * left) / 100,
                              (25 / left - left / 25) / 2};
              }};
  }
}

Definition definition(char group, int number, Dtype dtype) {
  switch (group) {
    case 'a':
      return a(number);
    case 'b': {
      Definition problem = b(number);
      if (number == 2) problem.field = linear_field(chain_matrix(), dtype);
      return problem;
    }
    case 'c':
      return c(number, dtype);
    case 'd':
      return d(number);
    default:
      return e(number);
  }
}

}  // namespace

Problem make_detest(const std::string& name, Dtype dtype) {
  const Definition d = definition(name[0], name[1] - '0', dtype);
  Problem problem{.name = "detest-" + name,
                  .what = d.what,
                  .field = d.field,
                  .y0 = row(d.start, dtype),
                  .end = 20,
                  .components = {},
                  .solution = d.solution};
  for (size_t i = 1; i <= d.start.size(); ++i) problem.components.push_back(concat("y", i));
  return problem;
}

}  // namespace slope::problems
