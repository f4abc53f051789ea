// Measured order: how an error really falls with the step size.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

namespace slope::ode {

// A separable problem that depends on time in both halves: q' = p + a(t), p' = -q + b(t), with the
// solution q = cos t + 0.2 sin 2t, p = -sin t + 0.5 cos 3t.
inline Problem forced_oscillator() {
  const auto drift = [](const Tensor& t, const Tensor& p, const Tensors&) {
    return p + (0.4 * cos(2 * t) - 0.5 * cos(3 * t));
  };
  const auto kick = [](const Tensor& t, const Tensor& q, const Tensors&) {
    return neg(q) + (0.2 * sin(2 * t) - 1.5 * sin(3 * t));
  };
  return {.name = "forced oscillator",
          .what = "an oscillator that is driven in both halves",
          .field = separable_field({.position_slope = drift, .momentum_slope = kick}),
          .y0 = row({1, 0.5}),
          .end = 2,
          .components = {"q", "p"},
          .solution = [](double t) {
            return std::vector<double>{std::cos(t) + 0.2 * std::sin(2 * t),
                                       -std::sin(t) + 0.5 * std::cos(3 * t)};
          }};
}

inline std::vector<Problem> problems_for(const Method& m) {
  if (m.facts().separable) return {forced_oscillator(), kepler_problem()};
  return order_problems();
}

// Below this an error is rounding: large coefficients cancel and leave theirs, and many steps add
// up their own.
inline double rounding_of(const Method& m) {
  if (m.facts().multistep) return 2e-12;
  double largest = 20;
  if (const Tableau* tableau = m->tableau()) {
    for (const auto& row : tableau->a) {
      for (double a : row) largest = std::max(largest, std::abs(a));
    }
  }
  return 5e-16 * largest * largest;
}

// The slope of the error over the step size between the finest step counts whose errors are above
// rounding. Where an error happens to change its sign between two counts, the slope there says
// nothing: the better of the last two counts.
inline double measured_order(const Method& m, int64_t finest, double rounding,
                             const std::function<double(int64_t steps)>& error) {
  // A multistep method shows its order once most steps are its own.
  const int64_t first = m.facts().multistep ? 16 : 2;
  double order = 0, before = 0, coarse = error(first);
  for (int64_t steps = 2 * first; steps <= finest; steps *= 2) {
    const double fine = error(steps);
    if (fine < rounding) break;
    before = order;
    order = std::log2(coarse / fine);
    coarse = fine;
  }
  return std::max(order, before);
}

// Methods in all their orders; the implicit Runge-Kutta methods, whose equations need not have a
// solution in large steps, have a test of their own.
inline std::vector<Method> methods_to_measure() {
  std::vector<Method> methods = all_methods();
  std::erase_if(methods, [](const Method& m) { return m->tableau() && m.facts().implicit; });
  for (const char* word :
       {"explicit_adams,order=1", "explicit_adams,order=2", "explicit_adams,order=3",
        "explicit_adams,order=5", "explicit_adams,order=6", "implicit_adams,order=2",
        "implicit_adams,order=3", "implicit_adams,order=5", "implicit_adams,order=6", "alf,eta=0.9",
        "alf,eta=0.3"}) {
    methods.push_back(parse_solver(word).method);
  }
  return methods;
}

}  // namespace slope::ode
