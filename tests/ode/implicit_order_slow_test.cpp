// Measured order of the implicit methods: how the errors of a solution and of its gradient really
// fall with the step size.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autograd/tape.h"
#include "core/ops.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

constexpr double kRounding = 3e-13;

// The order between the two finest step counts whose errors are above rounding.
double measured_order(const std::vector<double>& errors) {
  double order = 0;
  for (size_t i = 1; i < errors.size() && errors[i] > kRounding; ++i) {
    order = std::log2(errors[i - 1] / errors[i]);
  }
  return order;
}

// The final state, and the gradient of a weighted sum of it in y0.
struct Run {
  Tensor y, gradient;
};
Run run(const Problem& p, const Solver& solver) {
  Tape tape({p.y0});
  const Solution s = solve_differentiable(p.field, p.y0, {0, p.end}, solver).or_throw();
  std::vector<double> weights;
  for (int64_t i = 0; i < p.y0.size(); ++i) weights.push_back(std::cos(static_cast<double>(i)));
  return {s.y, tape.gradient(sum(s.y * row(weights)), {p.y0})[0]};
}

}  // namespace

TEST_CASE("implicit order: of the solution and its gradient, on four problems") {
  for (const Problem& p : order_problems()) {
    const std::vector<double> exact = p.solution(p.end);
    const std::vector<double> gradient = run(p, parse_solver("dopri8:300")).gradient.values();
    for (const Tableau& m : implicit_methods()) {
      // In large steps of a method of low order, the equations of a Kepler orbit have no solution.
      const int64_t most = m.order == 1 ? 512 : m.order < 4 ? 128 : 64;
      std::vector<double> errors, gradient_errors;
      for (int64_t steps = m.order < 4 ? most / 4 : most / 16; steps <= most; steps *= 2) {
        const Run made = run(p, {.method = m, .stepping = Steps{steps}});
        errors.push_back(largest_difference(made.y, exact));
        gradient_errors.push_back(largest_difference(made.gradient, gradient));
      }
      const double order = measured_order(errors), of_gradient = measured_order(gradient_errors);
      CHECK_MESSAGE(order > m.order - 0.2, m.name << " on " << p.name << ": " << order);
      CHECK_MESSAGE(of_gradient > m.order - 0.2,
                    m.name << ", gradient on " << p.name << ": " << of_gradient);
    }
  }
}

TEST_CASE("implicit order: T2, Gauss' second node with the sign of the first is of order 1") {
  Tableau m = tableau("gauss4");
  m.c[1] = m.c[0];
  const Problem p = cosine_problem();
  std::vector<double> errors;
  for (int64_t steps : {16, 32, 64}) {
    const Solver solver{.method = m, .stepping = Steps{steps}};
    errors.push_back(
        largest_difference(solve(p.field, p.y0, {0, p.end}, solver).y, p.solution(p.end)));
  }
  CHECK(measured_order(errors) < 1.3);
}
