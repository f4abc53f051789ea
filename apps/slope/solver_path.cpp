#include "apps/slope/solver_path.h"

#include <algorithm>
#include <cmath>

#include "ode/solve.h"

namespace slope::program {

constexpr size_t kFrames = 64;

SolverPath solver_path(const ode::Field& field, const Tensor& y0, const ode::Solver& solver) {
  const ode::Solution solution = ode::solve(field, y0, {0, 1}, solver, {.keep_states = true});
  solution.or_throw();
  const size_t steps = solution.states.size() - 1, every = (steps + kFrames - 1) / kFrames;
  SolverPath path{.steps = static_cast<int64_t>(steps), .times = {}, .states = {}};
  for (size_t i = 0; i <= steps; ++i) {
    if (i % every != 0 && i != steps) continue;
    path.times.push_back(solution.grid[i]);
    path.states.push_back(solution.states[i][0]);
  }
  return path;
}

std::vector<int64_t> spread(int64_t size, int64_t count) {
  std::vector<int64_t> numbers;
  count = std::min(count, size);
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i * size / count);
  return numbers;
}

double drawn(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double unit = std::pow(10, 3 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * unit) / unit;
}

}  // namespace slope::program
