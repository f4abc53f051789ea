#include "ode/implicit_scheme.h"

#include <algorithm>

#include "core/error.h"
#include "core/plan.h"
#include "ode/explicit_scheme.h"
#include "ode/implicit.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

// The last slope is f(t1, y1) only as well as the equations have been solved, and a stiff field
// makes much of little: a step begins with a slope of its own.
MethodFacts facts_of(const Tableau& m) {
  MethodFacts facts = runge_kutta_facts(m);
  facts.fsal = false;
  facts.dense_order =
      std::min(m.order, 3);  // dense.h: its slopes would have to be solved for again
  return facts;
}

}  // namespace

ImplicitScheme::ImplicitScheme(Tableau tableau)
    : Scheme(facts_of(tableau)), tableau_(std::move(tableau)) {}

std::string ImplicitScheme::key() const { return runge_kutta_key(tableau_); }

void ImplicitScheme::check(const Field&, const Tensor&) const {
  if (!capturing()) return;
  throw PlanError(concat("solve: steps of ", facts().name,
                         " look at values of the device to know when they are done, which a "
                         "captured function cannot do. Take an explicit method, or capture what "
                         "is around the solve."));
}

Clock ImplicitScheme::clock(std::span<const double> before, double t1) const {
  return runge_kutta_clock(tableau_, before.back(), t1);
}

Stepped ImplicitScheme::step(const StepInput& in) const {
  const StepTimes at = read_clock(in.clock);
  ImplicitOptions options;
  if (in.tolerance) options = {.rtol = in.tolerance->rtol, .atol = in.tolerance->atol};
  const auto report = std::make_shared<NewtonReport>();
  const Step made = implicit_step(tableau_, in.field, at, in.state[0], in.slope, options, report);
  if (in.statistics) {
    in.statistics->evaluations += report->evaluations;
    in.statistics->newton_iterations += report->newton;
    in.statistics->jacobian_products += report->krylov;
  }
  if (!report->converged) {
    return {.fresh = {},
            .failure = concat("Newton's method did not converge (", report->newton, " iterations, ",
                              report->krylov, " Jacobian products, residual ",
                              rounded_text(report->residual), " x tolerance)")};
  }
  return {.fresh = {made.y1},
          .error = in.with_error ? rk_error(tableau_, at.h, made.slopes) : Tensor()};
}

// As if every stage took one iteration: what is counted is what the steps report.
int64_t ImplicitScheme::step_evaluations(size_t, bool slope_known, bool) const {
  return tableau_.stages() - (slope_known ? 1 : 0);
}

}  // namespace slope::ode
