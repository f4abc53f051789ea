// Measured order of the gradient of a solve with respect to its start.
#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "ode/gradient.h"
#include "tests/ode/measured_order.h"

using namespace slope;
using namespace slope::ode;

namespace {

// d sum(y(end)) / d y0.
std::vector<double> gradient_after(const Method& m, const Problem& p, int64_t steps) {
  Tape tape({p.y0});
  const Solution s =
      solve_differentiable(p.field, p.y0, {0, p.end}, {.method = m, .stepping = Steps{steps}});
  return tape.gradient(sum(s.y), {p.y0})[0].values();
}

}  // namespace

TEST_CASE("order: of the gradient, not below the label by more than 0.2, on four problems") {
  for (const Method& m : methods_to_measure()) {
    for (const Problem& p : problems_for(m)) {
      const std::vector<double> exact = gradient_after(method("dopri8"), p, 100);
      // Errors of low order still bend at step sizes where others end in rounding.
      const bool slowly = m.facts().order <= 2 || m.facts().multistep;
      const int64_t finest = !slowly ? 256 : m.facts().stages > 1 ? 1024 : 2048;
      const double order = measured_order(m, finest, 4 * rounding_of(m), [&](int64_t steps) {
        return largest_difference(row(gradient_after(m, p, steps)), exact);
      });
      CHECK_MESSAGE(order > m.facts().order - 0.2, m.name() << " on " << p.name << ": " << order);
    }
  }
}
