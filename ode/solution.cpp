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
  }
  return "?";
}

const Solution& Solution::or_throw() const {
  if (status != Status::success) throw SolveError(message);
  return *this;
}

void Solution::cut(size_t steps, const Tensor& last) {
  statistics->accepted = static_cast<int64_t>(steps);
  grid.resize(steps + 1);
  if (states.size() > grid.size()) states.resize(grid.size());
  t = grid.back();
  y = last;
  const auto reached = [&](double time) {
    return std::find(grid.begin(), grid.end(), time) != grid.end();
  };
  while (!times.empty() && !reached(times.back())) {
    times.pop_back();
    ys.pop_back();
  }
}

}  // namespace slope::ode
