#include "ode/controller.h"

#include <algorithm>
#include <cmath>

namespace slope::ode {

namespace {

// Most controllers leave exponents at 0, and a power takes longer than the rest of the choice.
double power(double base, double exponent) { return exponent == 0 ? 1 : std::pow(base, exponent); }

}  // namespace

double Controller::factor(double error) {
  if (!(error < HUGE_VAL)) return options_.smallest;  // infinite or NaN
  const auto& [p, i, d, safety, largest, smallest] = options_;
  const double now = 1 / error;  // infinite for an error of zero: the limits hold it
  const double wanted = safety * power(now, (p + i + d) / order_) *
                        power(history_.last, -(p + 2 * d) / order_) *
                        power(history_.before, d / order_);
  if (!accept(error)) return std::clamp(wanted, smallest, safety);
  history_.before = history_.last;
  history_.last = std::isfinite(now) ? now : 1;  // one exact step must not move the next two
  return std::clamp(wanted, error < 1 ? 1 : smallest, largest);
}

}  // namespace slope::ode
