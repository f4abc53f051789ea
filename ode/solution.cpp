#include "ode/solution.h"

#include <algorithm>

namespace slope::ode {

const char* name(Status status) {
  switch (status) {
    case Status::success:
      return "success";
    case Status::step_limit:
      return "step_limit";
    case Status::step_size_underflow:
      return "step_size_underflow";
    case Status::not_finite:
      return "not_finite";
    case Status::not_converged:
      return "not_converged";
  }
  return "?";
}

Statistics& Statistics::operator+=(const Statistics& more) {
  evaluations += more.evaluations;
  evaluations_backward += more.evaluations_backward;
  accepted += more.accepted;
  rejected += more.rejected;
  reconstructions_lost += more.reconstructions_lost;
  states_kept = std::max(states_kept, more.states_kept);
  repeated_steps += more.repeated_steps;
  newton_iterations += more.newton_iterations;
  jacobian_products += more.jacobian_products;
  return *this;
}

const Solution& Solution::or_throw() const {
  if (status != Status::success) throw SolveError(message);
  return *this;
}

void Solution::cut(size_t steps, const Tensors& last) {
  statistics->accepted = static_cast<int64_t>(steps);
  grid.resize(steps + 1);
  if (orders.size() > steps) orders.resize(steps);
  if (states.size() > grid.size()) states.resize(grid.size());
  t = grid.back();
  state = last;
  y = last[0];
  const auto reached = [&](double time) {
    return std::find(grid.begin(), grid.end(), time) != grid.end();
  };
  while (!times.empty() && !reached(times.back())) {
    times.pop_back();
    ys.pop_back();
  }
}

}  // namespace slope::ode
