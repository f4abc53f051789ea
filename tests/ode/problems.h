// Initial value problems with known solutions, in float64.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/ops.h"
#include "ode/field.h"

namespace slope::ode {

struct Problem {
  std::string name;
  Field field;
  Tensor y0;
  double end = 1;                                              // from t = 0
  std::function<std::vector<double>(double t)> solution = {};  // where there is a formula
};

inline Tensor row(const std::vector<double>& values) {
  return tensor(values, {1, static_cast<int64_t>(values.size())}, Dtype::f64);
}

// y' = y cos t, y(0) = 1.25: depends on time.
inline Problem cosine_problem() {
  Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) { return y * cos(t); }};
  return {"cosine", f, row({1.25}), 2,
          [](double t) { return std::vector<double>{1.25 * std::exp(std::sin(t))}; }};
}

// y' = sin y, y(0) = 1: nonlinear; tan(y/2) = e^t tan(1/2).
inline Problem sine_problem() {
  Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return sin(y); }};
  return {"sine", f, row({1}), 6,
          [](double t) { return std::vector<double>{2 * std::atan(std::exp(t) * std::tan(0.5))}; }};
}

// y' = A y with a full 10 x 10 matrix: A = Q D Q with D = diag of five rotations with damping and
// Q = I - 2 v v^T / |v|^2, so that exp(A t) is known. y is a row, so y' = y A^T.
inline Problem linear10_problem() {
  constexpr int n = 10;
  std::vector<double> v(n), q(n * n), d(n * n, 0.0);
  double length = 0;
  for (int i = 0; i < n; ++i) {
    v[static_cast<size_t>(i)] = 1 + 0.3 * i - 0.05 * i * i;
    length += v[static_cast<size_t>(i)] * v[static_cast<size_t>(i)];
  }
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      q[static_cast<size_t>(i * n + j)] =
          (i == j) - 2 * v[static_cast<size_t>(i)] * v[static_cast<size_t>(j)] / length;
    }
  }
  const auto damping = [](int block) { return -0.2 - 0.1 * block; };
  const auto frequency = [](int block) { return 0.5 + 0.4 * block; };
  for (int block = 0; block < n / 2; ++block) {
    const int i = 2 * block;
    d[static_cast<size_t>(i * n + i)] = d[static_cast<size_t>((i + 1) * n + i + 1)] =
        damping(block);
    d[static_cast<size_t>(i * n + i + 1)] = frequency(block);
    d[static_cast<size_t>((i + 1) * n + i)] = -frequency(block);
  }
  const auto times = [](const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> c(n * n, 0.0);
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < n; ++k) {
        for (size_t j = 0; j < n; ++j) c[i * n + j] += a[i * n + k] * b[k * n + j];
      }
    }
    return c;
  };
  const auto apply = [](const std::vector<double>& a, const std::vector<double>& x) {
    std::vector<double> y(n, 0.0);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) y[i] += a[i * n + j] * x[j];
    }
    return y;
  };
  const std::vector<double> start = {1, -0.5, 0.25, 2, -1, 0.75, 0.1, -0.3, 1.5, -2};
  const auto solution = [=](double t) {
    std::vector<double> z = apply(q, start);
    for (size_t block = 0; block < n / 2; ++block) {
      const double growth = std::exp(damping(static_cast<int>(block)) * t);
      const double angle = frequency(static_cast<int>(block)) * t;
      const double a = z[2 * block], b = z[2 * block + 1];
      z[2 * block] = growth * (a * std::cos(angle) + b * std::sin(angle));
      z[2 * block + 1] = growth * (-a * std::sin(angle) + b * std::cos(angle));
    }
    return apply(q, z);
  };
  const Tensor a = tensor(times(times(q, d), q), {n, n}, Dtype::f64);
  Field f{.context = {a}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
            return linear(y, context[0]);
          }};
  return {"linear10", f, row(start), 2, solution};
}

// Two bodies, eccentricity 0.3, from the perihelion: (x, y, x', y').
inline Problem kepler_problem() {
  constexpr double e = 0.3;
  Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    const Tensor position = slice(y, 1, 0, 2), velocity = slice(y, 1, 2, 4);
    const Tensor r2 = sum(square(position), {1}, true);
    return concatenate({velocity, neg(position) * pow(r2, -1.5)}, 1);
  }};
  const auto solution = [](double t) {
    double u = t;  // eccentric anomaly: u - e sin u = t
    for (int i = 0; i < 50; ++i) u -= (u - e * std::sin(u) - t) / (1 - e * std::cos(u));
    const double w = std::sqrt(1 - e * e), rate = 1 / (1 - e * std::cos(u));
    return std::vector<double>{std::cos(u) - e, w * std::sin(u), -std::sin(u) * rate,
                               w * std::cos(u) * rate};
  };
  return {"kepler", f, row({1 - e, 0, 0, std::sqrt((1 + e) / (1 - e))}), 3, solution};
}

inline std::vector<Problem> order_problems() {
  return {cosine_problem(), sine_problem(), linear10_problem(), kepler_problem()};
}

inline Problem lotka_volterra() {
  Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    const Tensor x = slice(y, 1, 0, 1), z = slice(y, 1, 1, 2), xz = x * z;
    return concatenate({1.5 * x - xz, xz - 3.0 * z}, 1);
  }};
  return {"lotka-volterra", f, row({10, 5}), 10};
}

inline Problem vanderpol(double mu = 5) {
  Field f{.evaluate = [mu](const Tensor&, const Tensor& y, const Tensors&) {
    const Tensor x = slice(y, 1, 0, 1), v = slice(y, 1, 1, 2);
    return concatenate({v, mu * (1.0 - square(x)) * v - x}, 1);
  }};
  return {"vanderpol", f, row({2, 0}), 20};
}

// The linear problem of the golden file.
inline Problem linear3() {
  const Tensor a = tensor({-1, 2, 0, -2, -1, 1, 0, -1, -0.5}, {3, 3}, Dtype::f64);
  Field f{.context = {a}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
            return linear(y, context[0]);
          }};
  return {"linear", f, row({1, -0.5, 2}), 5};
}

// A field with weights, in the manner of a small network: tanh([y, t]-like layers).
// w1: (h, n), b1: (h), w2: (n, h), scale of time: (h).
inline Field small_network(const Tensors& weights) {
  return {.context = weights, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
            return linear(tanh(linear(y, c[0], c[1]) + t * c[3]), c[2]);
          }};
}
inline Tensors small_weights(int64_t n, int64_t h, Dtype dtype = Dtype::f64) {
  const auto wave = [dtype](const Shape& shape, double phase) {
    std::vector<double> values;
    for (int64_t i = 0; i < shape.size(); ++i) {
      values.push_back(0.6 * std::sin(1.7 * static_cast<double>(i) + phase));
    }
    return tensor(values, shape, dtype);
  };
  return {wave({h, n}, 0.3), wave({h}, 1.1), wave({n, h}, 2.0), wave({h}, 2.9)};
}

inline double largest_difference(const Tensor& y, const std::vector<double>& expected) {
  const std::vector<double> got = y.values();
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(got.at(i) - expected[i]);
    largest = std::isnan(d) ? d : std::max(largest, d);
  }
  return largest;
}

}  // namespace slope::ode
