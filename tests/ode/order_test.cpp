// Measured order of the solution, on time-dependent, nonlinear and coupled problems. That of the
// gradient: order_slow_test.
#include <doctest/doctest.h>

#include "ode/solve.h"
#include "tests/ode/measured_order.h"

using namespace slope;
using namespace slope::ode;

namespace {

double measured_order(const Method& m, const Problem& p) {
  return measured_order(m, 1024, rounding_of(m), [&](int64_t steps) {
    const Solution s = solve(p.field, p.y0, {0, p.end}, {.method = m, .stepping = Steps{steps}});
    return largest_difference(s.or_throw().y, p.solution(p.end));
  });
}

}  // namespace

TEST_CASE("order: not below the label by more than 0.2, on four problems" *
          doctest::test_suite("long")) {
  for (const Method& m : methods_to_measure()) {
    for (const Problem& p : problems_for(m)) {
      const double order = measured_order(m, p);
      CHECK_MESSAGE(order > m.facts().order - 0.2, m.name() << " on " << p.name << ": " << order);
    }
  }
}

TEST_CASE("order (N1): a method with misplaced nodes is caught by the time-dependent problem") {
  Tableau m = tableau("rk4");
  m.c = {0, 0, 0.5, 0.5};  // as one published library had it
  CHECK(measured_order(m, cosine_problem()) < 1.5);
  CHECK(measured_order(m, sine_problem()) > 3.8);  // an autonomous problem does not see it
}
