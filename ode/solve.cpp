#include "ode/solve.h"

#include <algorithm>
#include <cmath>

#include "core/plan.h"
#include "ode/finite.h"
#include "ode/initial_step.h"
#include "ode/number_text.h"
#include "ode/stepper.h"
#include "ode/stiffness.h"

namespace slope::ode {
namespace {

// One solve in progress: what both ways of stepping share.
struct Solving {
  const Field& field;
  const std::vector<double>& times;
  const Solver& solver;
  const SolveOptions& options;
  Stepper& step;
  Solution& result;

  // The state at time t: the start, or the end of an accepted step.
  void reach(double t, const Tensors& state) {
    result.t = t;
    result.y = state[0];
    result.state = state;
    result.grid.push_back(t);
    if (options.keep_states) result.states.push_back(state);
    while (result.ys.size() < times.size() && times[result.ys.size()] == t) {
      result.times.push_back(t);
      result.ys.push_back(state[0]);
    }
  }

  void fail(Status status, const std::string& what, const std::string& advice) {
    const Statistics& n = *result.statistics;
    result.status = status;
    result.message = concat("solve: ", what, " (from ", number_text(times.front()), " to ",
                            number_text(times.back()), "; ", n.accepted, " accepted, ", n.rejected,
                            " rejected). ", advice);
  }

  void fixed();
  void adaptive(const Adaptive& how);
  void stuck(const Adaptive& how, double h, double tried, double error, const std::string& failure);
};

void Solving::fixed() {
  const std::vector<double> grid = step_grid(solver.stepping, times);
  const auto* given = std::get_if<StepGrid>(&solver.stepping);
  if (given && !given->orders.empty()) {
    if (given->orders.size() + 1 != grid.size()) {
      throw ValueError(concat("solve: the step grid has ", grid.size() - 1, " steps and ",
                              given->orders.size(),
                              " orders. Take both from one solve over the "
                              "same times."));
    }
    result.orders = given->orders;
  }
  const Tensor y0 = result.y;
  reach(grid[0], step.start(grid[0], y0));
  for (size_t n = 0; n + 1 < grid.size(); ++n) {
    const double t1 = grid[n + 1];
    const Reached made =
        step.advance({.before = std::span(grid).first(n + 1),
                      .t1 = t1,
                      .order = result.orders.empty() ? 0 : result.orders[n],
                      .last = n + 2 == grid.size(),
                      .lasting = options.keep_states || times[result.ys.size()] == t1},
                     result.state);
    if (!made.failure.empty()) {
      return fail(Status::not_converged,
                  concat(made.failure, " in the step from t = ", rounded_text(grid[n]),
                         " with h = ", rounded_text(t1 - grid[n])),
                  "Try smaller steps.");
    }
    ++result.statistics->accepted;
    reach(t1, made.state);
  }
  if (capturing() || all_finite(result.y)) return;
  const GoodPart good = good_part(solver.method, field, step.parameters(), grid, result.orders, y0);
  result.cut(good.steps, good.state);
  fail(Status::not_finite, good.reason, "Try smaller steps.");
}

void Solving::adaptive(const Adaptive& how) {
  const double end = times.back(), direction = end < times.front() ? -1 : 1;
  const ErrorNormOptions norm{.atol = how.atol, .rtol = how.rtol};
  const Scheme& method = *solver.method;
  ControllerOptions limits = how.controller;
  // The weights of a multistep method grow fast with the ratio of neighbouring steps.
  if (method.facts().multistep) limits.largest = std::min(limits.largest, 2.);
  int order = method.first_order();  // of the next step, where that varies
  const int start_order = order > 0 ? order : method.facts().error_order();
  Controller controller(limits, start_order);
  Statistics& count = *result.statistics;

  Tensor k = step.kept(step.slope(result.t, result.y));  // f(t, y)
  double h = how.first_step;
  if (h == 0) h = initial_step(step, result.t, result.y, k, direction, norm, start_order);
  reach(result.t, step.start(result.t, result.y, k));
  double error = 0, tried = 0;
  std::string failure;  // of the last attempt
  while (result.t != end) {
    const double t = result.t;
    // Below this, t + h has lost most digits of h.
    const double least = 8 * std::numeric_limits<double>::epsilon() *
                         std::max(std::abs(t), std::abs(end - times.front()));
    h = std::clamp(h, how.min_step, how.max_step);
    if (!(h > least)) return stuck(how, h, tried, error, failure);
    if (count.accepted + count.rejected >= how.max_steps) {
      const size_t last = std::min<size_t>(result.grid.size() - 1, 20);
      const double size = last == 0 ? h
                                    : std::abs(t - result.grid[result.grid.size() - 1 - last]) /
                                          static_cast<double>(last);
      return fail(Status::step_limit,
                  concat("the budget of ", how.max_steps, " steps ended at t = ", rounded_text(t)),
                  advice_when_out_of_steps(solver.method, how, field, t, result.y, size));
    }

    // Outputs and the end are hit exactly: a step that would reach past one is cut short.
    const double target = times[result.ys.size()];
    const bool cut = h >= std::abs(target - t) * (1 - 1e-14);
    const double t1 = cut ? target : t + direction * h;
    tried = std::abs(t1 - t);
    const Stepper::Attempt attempt = step.attempt(result.grid, t1, result.state, k, order);
    error = attempt.error;
    OrderChoice choice = {.order = order, .factor = controller.factor(error)};
    if (order > 0 && attempt.failure.empty()) choice = method.choose(order, attempt.errors);
    const double next = tried * choice.factor;
    if (Controller::accept(error) || (tried <= how.min_step && std::isfinite(error))) {
      ++count.accepted;
      if (order > 0) result.orders.push_back(order);
      reach(t1, step.accepted(result.state, attempt));
      if (t1 != end && method.begins_with_slope()) {
        k = attempt.k_last.defined() ? attempt.k_last : step.slope(t1, result.y);
        k = step.kept(k);
      }
      h = cut ? std::max(h, next) : next;  // a step cut short says little about those after it
    } else {
      ++count.rejected;
      failure = attempt.failure;
      h = std::isfinite(error) || all_finite(k) ? next : NAN;  // from a bad slope no step succeeds
    }
    order = choice.order;
  }
  result.next_step = h;
}

// The step size h is nothing, or NaN. tried: the size of the last attempt, 0 before the first.
void Solving::stuck(const Adaptive& how, double h, double tried, double error,
                    const std::string& failure) {
  const double t = result.t, direction = times.back() < times.front() ? -1 : 1;
  if (!failure.empty() && std::isfinite(h)) {
    return fail(
        Status::not_converged,
        concat(failure, " in steps of ", rounded_text(tried), " from t = ", rounded_text(t)),
        concat("The last good state is at t = ", rounded_text(t), "."));
  }
  if (!std::isfinite(error) || !std::isfinite(h)) {
    const double size = tried > 0 ? tried : 1e-6 * std::abs(times.back() - t);
    return fail(Status::not_finite,
                blame(solver.method, field, step.parameters(), result.grid, t + direction * size,
                      result.state),
                concat("The last good state is at t = ", rounded_text(t), "."));
  }
  fail(Status::step_size_underflow,
       concat("step size fell to ", rounded_text(h), " at t = ", rounded_text(t), ", error ",
              rounded_text(error), " x tolerance"),
       concat("The problem may be stiff. Raise rtol (now ", number_text(how.rtol), ")."));
}

void check_arguments(const Field& field, const Tensor& y0, const std::vector<double>& times,
                     const Solver& solver) {
  if (!is_float(y0.dtype())) {
    throw DtypeError(concat("solve: y0 ", describe(y0),
                            " must be float32 or float64. Write cast(y0, Dtype::f32)."));
  }
  if (times.empty()) throw ValueError("solve: there are no times. Pass start and end, {0, 1}.");
  const double direction = times.back() < times.front() ? -1 : 1;
  for (size_t i = 0; i < times.size(); ++i) {
    const bool turns = i > 0 && (times[i] - times[i - 1]) * direction < 0;
    if (std::isfinite(times[i]) && !turns) continue;
    throw ValueError(concat("solve: times must be finite and rise, or fall, throughout: time ", i,
                            " is ", number_text(times[i]), "."));
  }
  check_stepping(solver);
  solver.method->check(field, y0);
  if (std::holds_alternative<Adaptive>(solver.stepping) && capturing()) {
    throw PlanError(
        concat("solve: adaptive steps depend on values of the device, which a captured "
               "function cannot read. Take fixed steps, or pass StepPlans to the solve "
               "and capture what is around it."));
  }
}

}  // namespace

Solution solve(const Field& field, const Tensor& y0, const std::vector<double>& times,
               const Solver& solver, const SolveOptions& options) {
  check_arguments(field, y0, times, solver);
  Solution result;
  std::optional<ErrorNormOptions> tolerance;
  const auto* how = std::get_if<Adaptive>(&solver.stepping);
  if (how) tolerance = {.atol = how->atol, .rtol = how->rtol};
  Stepper step(solver.method, field, y0, tolerance, options, *result.statistics);
  Solving solving{field, times, solver, options, step, result};
  result.t = times.front();
  result.y = y0;
  if (times.back() == times.front() || y0.size() == 0) {
    for (double t : times) {
      if (result.grid.empty() || t != result.t) solving.reach(t, {y0});
    }
  } else if (how) {
    solving.adaptive(*how);
  } else {
    solving.fixed();
  }
  return result;
}

}  // namespace slope::ode
