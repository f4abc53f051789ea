#include "ode/solver.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ode/number_text.h"

namespace slope::ode {
namespace {

constexpr int64_t kMostSteps = 100'000'000;

// t0, t0 + h, .., end, with the end exact.
std::vector<double> uniform_grid(double t0, double end, double steps, double h) {
  if (!(steps >= 1) || steps > kMostSteps) {
    throw ValueError(concat("solve: a fixed grid needs between 1 and ", kMostSteps, " steps, got ",
                            number_text(steps), ". Choose another count or size."));
  }
  std::vector<double> grid;
  for (int64_t n = 0; n < static_cast<int64_t>(steps); ++n) {
    grid.push_back(t0 + static_cast<double>(n) * h);
  }
  grid.push_back(end);
  return grid;
}

// A step ends at every output time: a grid point within rounding of it moves there, else one is
// added.
void hit(std::vector<double>& grid, double time) {
  const double direction = grid.back() > grid.front() ? 1 : -1;
  const auto after =
      std::find_if(grid.begin(), grid.end(), [&](double t) { return (t - time) * direction >= 0; });
  SLOPE_ASSERT(after != grid.end());
  if (*after == time) return;
  const double step = std::abs(*after - *(after - 1));
  if (std::abs(*after - time) < 1e-9 * step && after + 1 != grid.end()) {
    *after = time;
  } else if (std::abs(*(after - 1) - time) < 1e-9 * step && after - 1 != grid.begin()) {
    *(after - 1) = time;
  } else {
    grid.insert(after, time);
  }
}

}  // namespace

void check_stepping(const Solver& solver) {
  if (!solver.method.defined()) {
    throw ValueError("solve: the solver has no method. Write Solver{.method = method(\"rk4\")}.");
  }
  const auto* how = std::get_if<Adaptive>(&solver.stepping);
  if (!how) return;
  if (!solver.method.facts().has_error()) {
    throw ValueError(concat("solve: ", solver.method.name(),
                            " has no error estimate, so it cannot choose its steps. Give it a "
                            "number of steps."));
  }
  if (!(how->rtol >= 0) || !(how->atol >= 0) || !(how->rtol + how->atol > 0)) {
    throw ValueError(concat("solve: tolerances must be positive: got rtol ", how->rtol, ", atol ",
                            how->atol, "."));
  }
  if (!(how->min_step >= 0) || !(how->max_step > how->min_step) || !(how->first_step >= 0)) {
    throw ValueError(
        concat("solve: step sizes must satisfy 0 <= min_step < max_step and "
               "first_step >= 0: got ",
               how->min_step, ", ", how->max_step, " and ", how->first_step,
               ". The direction follows from the times."));
  }
}

std::vector<double> stops_between(double t0, double end, std::vector<double> between) {
  const double direction = end < t0 ? -1 : 1;
  between.push_back(end);
  std::erase_if(between, [&](double time) {
    return !((time - t0) * direction > 0 && (end - time) * direction >= 0);
  });
  std::sort(between.begin(), between.end(),
            [&](double a, double b) { return (b - a) * direction > 0; });
  between.erase(std::unique(between.begin(), between.end()), between.end());
  return between;
}

void check_state(const Tensor& y0) {
  if (is_float(y0.dtype())) return;
  throw DtypeError(concat("solve: y0 ", describe(y0),
                          " must be float32 or float64. Write cast(y0, Dtype::f32)."));
}

void check_times(const std::vector<double>& times) {
  if (times.empty()) throw ValueError("solve: there are no times. Pass start and end, {0, 1}.");
  const double direction = times.back() < times.front() ? -1 : 1;
  for (size_t i = 0; i < times.size(); ++i) {
    const bool turns = i > 0 && (times[i] - times[i - 1]) * direction < 0;
    if (std::isfinite(times[i]) && !turns) continue;
    throw ValueError(concat("solve: times must be finite and rise, or fall, throughout: time ", i,
                            " is ", number_text(times[i]), "."));
  }
}

std::vector<double> step_grid(const Stepping& stepping, const std::vector<double>& times,
                              const std::vector<double>& jumps) {
  const double t0 = times.front(), end = times.back();
  if (end == t0) return {t0};
  std::vector<double> grid;
  if (const auto* steps = std::get_if<Steps>(&stepping)) {
    const auto count = static_cast<double>(steps->count);
    grid = uniform_grid(t0, end, count, (end - t0) / count);
  } else if (const auto* size = std::get_if<StepSize>(&stepping)) {
    if (!(size->size > 0)) {
      throw ValueError(concat("solve: the step size must be positive, got ",
                              number_text(size->size), ". The direction follows from the times."));
    }
    // h = 1/n must give n steps for every n, whatever the rounding of 1/n.
    const double steps = std::ceil(std::abs(end - t0) / size->size * (1 - 1e-9));
    grid = uniform_grid(t0, end, steps, end > t0 ? size->size : -size->size);
  } else {
    grid = std::get<StepGrid>(stepping).times;
    bool monotonic = grid.size() >= 2;
    for (size_t n = 1; n < grid.size(); ++n) {
      monotonic = monotonic && (end > t0 ? grid[n] > grid[n - 1] : grid[n] < grid[n - 1]);
    }
    if (!monotonic || grid.front() != t0 || grid.back() != end) {
      throw ValueError(concat("solve: a step grid must run from the first to the last time (",
                              number_text(t0), " to ", number_text(end),
                              ") without turning back. Take it from a solve over the same times."));
    }
  }
  for (double time : times) hit(grid, time);
  for (double time : stops_between(t0, end, jumps)) hit(grid, time);
  return grid;
}

}  // namespace slope::ode
