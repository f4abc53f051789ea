// Measured order: how the error really falls with the step size, on time-dependent, nonlinear and
// coupled problems.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "ode/methods.h"
#include "ode/solve.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

double error_after(const Tableau& m, const Problem& p, int64_t steps) {
  const Solution s = solve(p.field, p.y0, {0, p.end}, {.method = m, .stepping = Steps{steps}});
  s.or_throw();
  return largest_difference(s.y, p.solution(p.end));
}

// The slope of the error over the step size, between the two finest step counts whose errors are
// above rounding.
double measured_order(const Tableau& m, const Problem& p) {
  double largest = 20;  // large coefficients cancel, and leave their rounding
  for (const auto& row : m.a) {
    for (double a : row) largest = std::max(largest, std::abs(a));
  }
  const double rounding = 5e-16 * largest * largest;
  double order = 0, coarse = error_after(m, p, 2);
  for (int64_t steps = 4; steps <= 1024; steps *= 2) {
    const double fine = error_after(m, p, steps);
    if (fine < rounding) break;
    order = std::log2(coarse / fine);
    coarse = fine;
  }
  return order;
}

}  // namespace

TEST_CASE("order: not below the label by more than 0.2, on four problems") {
  std::vector<Tableau> methods = explicit_methods();
  for (const Tableau& m : family_examples()) methods.push_back(m);
  for (const Tableau& m : methods) {
    for (const Problem& p : order_problems()) {
      const double order = measured_order(m, p);
      CHECK_MESSAGE(order > m.order - 0.2, m.name << " on " << p.name << ": " << order);
    }
  }
}

TEST_CASE("order: a method with misplaced nodes is caught by the time-dependent problem") {
  Tableau m = tableau("rk4");
  m.c = {0, 0, 0.5, 0.5};  // as one published library had it
  CHECK(measured_order(m, cosine_problem()) < 1.5);
  CHECK(measured_order(m, sine_problem()) > 3.8);  // an autonomous problem does not see it
}
