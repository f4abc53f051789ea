#include "ode/solve.h"

#include <algorithm>
#include <cmath>

#include "core/exact.h"
#include "core/plan.h"
#include "ode/finite.h"
#include "ode/initial_step.h"
#include "ode/jumps.h"
#include "ode/number_text.h"
#include "ode/step_control.h"
#include "ode/stepper.h"
#include "ode/stiffness.h"
#include "ode/tolerance.h"

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
  std::vector<double> ends = {};  // of all steps so far, those before a resumption included

  // The state at time t: the start, or the end of an accepted step.
  void reach(double t, const Tensors& state) {
    if (options.kept && !result.grid.empty()) {
      options.kept->offer(result.grid.size() - 1, result.state);
    }
    result.t = t;
    result.y = state[0];
    result.state = state;
    result.grid.push_back(t);
    ends.push_back(t);
    if (options.keep_states) result.states.push_back(state);
    while (result.ys.size() < times.size() && times[result.ys.size()] == t) {
      result.times.push_back(t);
      result.ys.push_back(state[0]);
    }
  }
  // The first state: of the method at t0, or where an earlier solve stopped.
  void begin(const Tensor& slope) {
    if (options.resume) ends.assign(options.resume->grid.begin(), options.resume->grid.end() - 1);
    const Tensor y0 = result.y;
    reach(result.t, options.resume ? options.resume->state : step.start(result.t, y0, slope));
    // A replayed start hands back a copy, but the outputs at t0 are y0 to those who differentiate.
    std::fill(result.ys.begin(), result.ys.end(), y0);
  }
  bool stops_before(double t1, const Tensors& state) const {
    return options.stop_before && options.stop_before(result.t, result.y, t1, state[0]);
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
  void stuck(const Adaptive& how, StepControl& control, const std::string& failure);
};

void Solving::fixed() {
  const std::vector<double> grid = step_grid(solver.stepping, times, field.jumps);
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
  if (options.kept) options.kept->expect(grid.size() - 1);
  begin({});
  const Tensors start = result.state;
  const size_t before = ends.size();  // ends[before - 1] is grid[0]
  for (size_t n = 0; n + 1 < grid.size(); ++n) {
    const double t1 = grid[n + 1];
    const bool output = options.keep_states || times[result.ys.size()] == t1;
    const bool kept = options.kept && options.kept->wants(n + 1);
    const Reached made = step.advance({.before = ends,
                                       .t1 = t1,
                                       .order = result.orders.empty() ? 0 : result.orders[n],
                                       .last = n + 2 == grid.size(),
                                       .lasting = output || kept || options.stop_before},
                                      result.state);
    if (!made.failure.empty()) {
      return fail(Status::not_converged,
                  concat(made.failure, " in the step from t = ", rounded_text(grid[n]),
                         " with h = ", rounded_text(t1 - grid[n])),
                  "Try smaller steps.");
    }
    if (stops_before(t1, made.state)) break;
    ++result.statistics->accepted;
    reach(t1, made.state);
  }
  if (capturing() || all_finite(result.y)) return;
  const GoodPart good =
      good_part(solver.method, field, step.parameters(), ends, before, result.orders, start);
  result.cut(good.steps, good.state);
  fail(Status::not_finite, good.reason, "Try smaller steps.");
}

void Solving::adaptive(const Adaptive& how) {
  const Scheme& method = *solver.method;
  const double end = times.back();
  const Solution* earlier = options.resume;
  Adaptive limits = how;
  // The weights of a multistep method grow fast with the ratio of neighbouring steps.
  if (method.facts().multistep) {
    limits.controller.largest = std::min(limits.controller.largest, 2.);
  }
  int order = earlier ? earlier->next_order : method.first_order();  // of a method that varies it
  const int start_order = starting_order(method);
  StepControl control(limits, start_order, times, field.jumps);
  Statistics& count = *result.statistics;

  Tensor k = earlier ? earlier->slope : Tensor();  // f(t, y)
  const auto evaluate_slope = [&] {
    const double t = start_time(field.jumps, control.t(), control.direction(), result.y.dtype());
    k = step.kept(step.slope(t, result.y));
  };
  if (!k.defined() && !(earlier && !method.begins_with_slope())) evaluate_slope();
  if (earlier) {
    control.set_step(earlier->next_step);
    control.set_history(earlier->history);
  } else if (how.first_step == 0) {
    const ErrorNormOptions norm{.atol = how.atol, .rtol = how.rtol};
    control.set_step(
        initial_step(step, result.t, result.y, k, control.direction(), norm, start_order));
  }
  begin(k);
  std::string failure;  // of the last attempt
  while (!control.done()) {
    if (control.obstacle() != Status::success) {
      stuck(how, control, failure);
      break;
    }
    const double t1 = control.propose();
    const Stepper::Attempt attempt = step.attempt(ends, t1, result.state, k, order);
    OrderChoice choice = {.order = order, .factor = 0};
    const bool varies = order > 0 && attempt.failure.empty();
    if (varies) choice = method.choose(order, attempt.errors);
    if (varies ? control.judge(attempt.error, choice.factor) : control.judge(attempt.error)) {
      const Tensors state = step.accepted(result.state, attempt);
      if (stops_before(t1, state)) break;
      ++count.accepted;
      if (order > 0) result.orders.push_back(order);
      reach(t1, state);
      if (method.begins_with_slope()) {
        k = control.at_jump() ? Tensor() : step.kept(attempt.k_last);
        if (t1 != end && !k.defined()) evaluate_slope();
      }
    } else {
      ++count.rejected;
      failure = attempt.failure;
      const bool hopeless = !std::isfinite(attempt.error) && k.defined() && !all_finite(k);
      if (hopeless) control.set_step(NAN);  // from a bad slope no step succeeds
    }
    order = choice.order;
  }
  result.next_step = control.step();
  result.next_order = order;
  result.history = control.history();
  if (method.begins_with_slope()) result.slope = k;
}

void Solving::stuck(const Adaptive& how, StepControl& control, const std::string& failure) {
  const double t = result.t;
  if (!failure.empty() && std::isfinite(control.step())) {
    return fail(Status::not_converged,
                concat(failure, " in steps of ", rounded_text(control.tried()),
                       " from t = ", rounded_text(t)),
                concat("The last good state is at t = ", rounded_text(t), "."));
  }
  result.status = control.obstacle();
  std::string blamed, advice;
  if (result.status == Status::step_limit) {
    advice = advice_when_out_of_steps(solver.method, how, field, t, result.y,
                                      control.lately(result.grid));
  } else if (result.status == Status::not_finite) {
    const double tried = control.tried();
    const double size = tried > 0 ? tried : 1e-6 * std::abs(times.back() - t);
    blamed = blame(solver.method, field, step.parameters(), ends, t + control.direction() * size,
                   result.state);
  }
  result.message = control.message("solve: ", blamed, advice);
}

void check_arguments(const Field& field, const Tensor& y0, const std::vector<double>& times,
                     const Solver& solver, const SolveOptions& options) {
  check_state(y0);
  check_times(times);
  check_stepping(solver);
  solver.method->check(field, y0);
  if (!field.jumps.empty() && !keeps_sides(solver.method)) {
    throw ValueError(concat("solve: ", solver.method.name(),
                            " carries what it knows of the field across a jump. Solve from jump to "
                            "jump, or take a Runge-Kutta method."));
  }
  if (options.resume && (options.resume->t != times.front() || options.resume->y.id() != y0.id())) {
    throw ValueError(
        concat("solve: resume: the earlier solve stopped at t = ", number_text(options.resume->t),
               ", this one begins at ", number_text(times.front()), ". Pass its t and its y."));
  }
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
  check_arguments(field, y0, times, solver, options);
  const ExactScope exact(needs_exact_kernels(solver));
  Solution result;
  std::optional<ErrorNormOptions> tolerance;
  const auto* how = std::get_if<Adaptive>(&solver.stepping);
  if (how) {
    tolerance = {.atol = how->atol, .rtol = how->rtol};
    result.warnings = tolerance_warnings(*how, y0);
  }
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
    if (result.warnings.empty()) result.warnings = tolerance_warnings(*how, result.y);
  } else {
    solving.fixed();
  }
  return result;
}

}  // namespace slope::ode
