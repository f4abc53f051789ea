// Symplectic methods: their formulas, the energy they keep, and the fields they refuse.
#include "ode/symplectic.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

double kepler_energy(const Tensor& y) {
  const std::vector<double> v = y.values();
  return 0.5 * (v[2] * v[2] + v[3] * v[3]) - 1 / std::hypot(v[0], v[1]);
}

// The largest deviation of the energy in the first and in the last tenth of 25 revolutions.
std::pair<double, double> energy_errors(const char* word) {
  const Problem p = kepler_problem();
  const Solution s =
      solve(p.field, p.y0, {0, 50 * M_PI}, parse_solver(word), {.keep_states = true});
  const double energy = kepler_energy(p.y0);
  const size_t tenth = s.states.size() / 10;
  double first = 0, last = 0;
  for (size_t n = 0; n < s.states.size(); ++n) {
    const double error = std::abs(kepler_energy(s.states[n][0]) - energy);
    if (n < tenth) first = std::max(first, error);
    if (n >= s.states.size() - tenth) last = std::max(last, error);
  }
  return {first, last};
}

}  // namespace

TEST_CASE("symplectic: steps follow their formulas") {
  // q' = t p, p' = -(1 + t) q in plain doubles.
  const Field f = separable_field(
      {.axis = 1,
       .position_slope = [](const Tensor& t, const Tensor& p, const Tensors&) { return t * p; },
       .momentum_slope = [](const Tensor& t, const Tensor& q,
                            const Tensors&) { return neg((1.0 + t) * q); }});
  const double h = 0.25;
  double q = 1, p = 0.5;
  for (double t : {0., 0.25}) {
    p -= h * (1 + t) * q;
    q += h * (t + h) * p;
  }
  Solution s = solve(f, row({1, 0.5}), {0, 0.5}, parse_solver("semi-implicit-euler:2"));
  CHECK(largest_difference(s.y, {q, p}) < 1e-15);
  CHECK(s.statistics->evaluations == 2);
  q = 1;
  p = 0.5;
  for (double t : {0., 0.25}) {
    p -= h / 2 * (1 + t) * q;
    q += h * (t + h / 2) * p;
    p -= h / 2 * (1 + t + h) * q;
  }
  s = solve(f, row({1, 0.5}), {0, 0.5}, parse_solver("leapfrog:2"));
  CHECK(largest_difference(s.y, {q, p}) < 1e-15);
  CHECK(s.statistics->evaluations == 3);
  // The field as a whole is what its halves say.
  CHECK(largest_difference(f(scalar(0.5, Dtype::f64), row({1, 0.5})), {0.25, -1.5}) < 1e-15);
}

TEST_CASE("symplectic: the energy of Kepler's problem does not drift in 25 revolutions") {
  for (const char* word : {"leapfrog:h=0.05", "semi-implicit-euler:h=0.01"}) {
    const auto [first, last] = energy_errors(word);
    CHECK_MESSAGE(last < 1.05 * first, word << ": " << first << ", then " << last);
    CHECK(first < 0.02);
  }
  const auto [first, last] = energy_errors("midpoint:h=0.05");
  CHECK(last > 3 * first);  // of the same order as leapfrog
}

TEST_CASE("symplectic: a step preserves the symplectic form") {
  // J^T S J = S for the Jacobian J of a step, here of the pendulum: det J = 1.
  const Problem p = problem_until("pendulum", 0.7);
  const auto determinant = [&](const char* word) {
    std::vector<double> rows;
    for (int64_t i = 0; i < 2; ++i) {
      const Tensor y0 = row({0.9, -0.4});
      Tape tape({y0});
      const Solution s = solve_differentiable(p.field, y0, {0, 0.7}, parse_solver(word));
      for (double d : tape.gradient(sum(slice(s.y, 1, i, i + 1)), {y0})[0].values()) {
        rows.push_back(d);
      }
    }
    return rows[0] * rows[3] - rows[1] * rows[2];
  };
  CHECK(std::abs(determinant("leapfrog:1") - 1) < 1e-14);
  CHECK(std::abs(determinant("semi-implicit-euler:1") - 1) < 1e-14);
  CHECK(std::abs(determinant("midpoint:1") - 1) > 1e-3);
}

TEST_CASE("symplectic: other fields and odd states are refused") {
  const Problem p = cosine_problem();
  CHECK_THROWS_WITH_AS(
      solve(p.field, p.y0, {0, 1}, parse_solver("leapfrog:4")),
      "solve: leapfrog needs a separable field: y = (q, p) with q' = g(t, p) and p' = f(t, q). "
      "Make it with separable_field, or take rk4.",
      ValueError);
  CHECK_THROWS_AS(solve(kepler_problem().field, row({1, 2, 3}), {0, 1}, parse_solver("leapfrog:4")),
                  ShapeError);
  CHECK(method("velocity-verlet").name() == "leapfrog");
  CHECK(method("leapfrog").facts().separable);
  CHECK_THROWS_AS(parse_solver("leapfrog@1e-3"), ValueError);
}

TEST_CASE("symplectic: NaN is found in the half where it appears") {
  const Field f = separable_field(
      {.position_slope = [](const Tensor&, const Tensor& p, const Tensors&) { return p; },
       .momentum_slope = [](const Tensor&, const Tensor& q,
                            const Tensors&) { return neg(log(1.0 - q)); }});
  const Solution s = solve(f, row({0, 1}), {0, 4}, parse_solver("leapfrog:8"));
  CHECK(s.status == Status::not_finite);
  CHECK(s.message.find("the field returned NaN at t = ") != std::string::npos);
  CHECK(s.t > 0);
  CHECK(s.t < 4);
}
