// The built-in problems as the tests of ode use them, in float64, and small networks.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "apps/problems/parts.h"
#include "core/ops.h"
#include "ode/number_text.h"

namespace slope::ode {

using problems::Problem;

inline Tensor row(const std::vector<double>& values) { return problems::row(values, Dtype::f64); }

// A built-in problem, solved to an end of the tests' own.
inline Problem problem_until(const std::string& word, double end) {
  Problem p = problems::make_problem(word);
  p.end = end;
  return p;
}
inline Problem cosine_problem() { return problem_until("cosine", 2); }
inline Problem sine_problem() { return problem_until("sine", 6); }
inline Problem linear10_problem() { return problem_until("linear10", 2); }
inline Problem kepler_problem() { return problem_until("kepler,e=0.3", 3); }

inline std::vector<Problem> order_problems() {
  return {cosine_problem(), sine_problem(), linear10_problem(), kepler_problem()};
}

inline Problem lotka_volterra() { return problems::make_problem("lotka-volterra"); }
inline Problem vanderpol(double mu = 5) {
  return problem_until("vanderpol,mu=" + number_text(mu), 20);
}

// The linear problem of the golden file.
inline Problem linear3() {
  const Tensor a = tensor({-1, 2, 0, -2, -1, 1, 0, -1, -0.5}, {3, 3}, Dtype::f64);
  Field f{.context = {a}, .evaluate = [](const Tensor&, const Tensor& y, const Tensors& context) {
            return linear(y, context[0]);
          }};
  return {.name = "linear",
          .what = "three linear equations",
          .field = f,
          .y0 = row({1, -0.5, 2}),
          .end = 5,
          .components = {"y1", "y2", "y3"}};
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
