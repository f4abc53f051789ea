#include "ode/dense.h"

#include <algorithm>
#include <cmath>

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "core/ops/solver.h"
#include "ode/jumps.h"
#include "ode/number_text.h"
#include "ode/step.h"

namespace slope::ode {
namespace {

// y(t + x h) = y + h sum_i d_i(x) k_i with the method's own d_i, whose rows end with the one of
// f(t1, y1): see Tableau::dense.
Tensors own_terms(const Tableau& m, const Field& field, double t, double t1, const Tensor& y,
                  const Tensor& y1) {
  std::vector<double> clock = step_times(m, t, t1);
  take_sides(field.jumps, t, t1, y.dtype(), clock);
  const auto size = static_cast<int64_t>(clock.size());
  const StepTimes at = read_clock(tensor(clock, {size}, y.dtype(), y.device()));
  Tensors slopes = rk_step(m, field, at, y).slopes;
  if (m.dense.size() > slopes.size()) {
    std::vector<double> end = {t1 - t, t1};
    take_sides(field.jumps, t, t1, y.dtype(), end);
    slopes.push_back(field(scalar(end[1], y.dtype(), y.device()), y1));
  }
  Tensors terms;
  for (size_t power = 0; power < m.dense.front().size(); ++power) {
    std::vector<double> weights;
    for (const auto& row : m.dense) weights.push_back(row[power]);
    terms.push_back(rk_combine({}, at.h, slopes, weights));
  }
  return terms;
}

// The tableau whose interpolant serves: of an explicit method, whose slopes are cheap to have
// again.
const Tableau* own_interpolant(const Method& method) {
  return method.facts().implicit ? nullptr : method->tableau();
}

// The cubic through y and y1 with the field's slopes at both ends.
Tensors hermite_terms(const Field& field, double t, double t1, const Tensor& y, const Tensor& y1) {
  std::vector<double> ends = {t1 - t, t, t1};
  take_sides(field.jumps, t, t1, y.dtype(), ends);
  const auto slope = [&](double time, const Tensor& state) {
    return field(scalar(time, y.dtype(), y.device()), state) * (t1 - t);
  };
  const Tensor first = slope(ends[1], y), last = slope(ends[2], y1), rise = y1 - y;
  return {first, 3.0 * rise - 2.0 * first - last, first + last - 2.0 * rise};
}

}  // namespace

Tensor polynomial(const Tensor& y, const Tensors& terms, const Tensor& x) {
  Tensor sum = terms.back() * x;
  for (size_t k = terms.size() - 1; k-- > 0;) sum = (sum + terms[k]) * x;
  return y + sum;
}

Interpolant::Interpolant(const Method& method, const Field& field, double t, double t1,
                         const Tensor& y, const Tensor& y1)
    : t_(t), t1_(t1), y_(y) {
  const Field f = without_side_effects(field);
  const Tableau* tableau = own_interpolant(method);
  evaluations_ =
      tableau ? std::max<int64_t>(tableau->stages(), static_cast<int64_t>(tableau->dense.size()))
              : 2;
  terms_ = tableau ? own_terms(*tableau, f, t, t1, y, y1) : hermite_terms(f, t, t1, y, y1);
}

Tensor Interpolant::fraction(double time) const {
  return scalar((time - t_) / (t1_ - t_), y_.dtype(), y_.device());
}

Tensor Interpolant::value(const Tensor& x) const { return polynomial(y_, terms_, x); }

Tensor Interpolant::derivative(const Tensor& x) const {
  Tensor sum = terms_.back() * static_cast<double>(terms_.size());
  for (size_t k = terms_.size() - 1; k-- > 0;) {
    sum = sum * x + terms_[k] * static_cast<double>(k + 1);
  }
  return sum / (t1_ - t_);
}

DenseSolution::DenseSolution(const Field& field, const Method& method, Solution solution)
    : field_(field),
      method_(method),
      solution_(std::move(solution)),
      interpolants_(solution_.grid.size()) {
  if (solution_.states.size() != solution_.grid.size()) {
    throw ValueError(concat("dense: the solution keeps ", solution_.states.size(), " states for ",
                            solution_.grid.size(),
                            " times. Solve with keep_states, or call solve_dense."));
  }
}

int DenseSolution::order() const { return method_.facts().dense_order; }

// The step from grid[n] to grid[n + 1] that t lies in, its end included.
size_t DenseSolution::step_with(double t) const {
  const std::vector<double>& grid = solution_.grid;
  const double direction = grid.back() < grid.front() ? -1 : 1;
  if (!((t - grid.front()) * direction >= 0 && (grid.back() - t) * direction >= 0)) {
    throw ValueError(concat("dense: t = ", number_text(t),
                            " lies outside of the solve, which runs "
                            "from ",
                            number_text(grid.front()), " to ", number_text(grid.back()), "."));
  }
  const auto end = std::find_if(grid.begin() + 1, grid.end(),
                                [&](double time) { return (time - t) * direction >= 0; });
  return static_cast<size_t>(end - grid.begin()) - 1;
}

const Interpolant& DenseSolution::interpolant(size_t step) const {
  std::optional<Interpolant>& known = interpolants_[step];
  // What was made while no tape listened carries no gradient.
  if (!known || tape_listens()) {
    known.emplace(method_, field_, solution_.grid[step], solution_.grid[step + 1],
                  solution_.states[step][0], solution_.states[step + 1][0]);
  }
  return *known;
}

Tensor DenseSolution::at(double t) const {
  const auto end = std::find(solution_.grid.begin(), solution_.grid.end(), t);
  if (end != solution_.grid.end()) {
    return solution_.states[static_cast<size_t>(end - solution_.grid.begin())][0];
  }
  return interpolant(step_with(t)).at(t);
}

Tensor DenseSolution::slope(double t) const {
  if (solution_.grid.size() < 2) throw ValueError("dense: a solve without a step has no slope.");
  return interpolant(step_with(t)).slope(t);
}

Tensor DenseSolution::at(const Tensor& times) const {
  if (times.rank() != 1) {
    throw ShapeError(concat("dense: times ", describe(times), " must have one axis: (T)."));
  }
  Tensors ys;
  const std::vector<double> values = times.values();
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t step = step_with(values[i]);
    const double t = solution_.grid[step], t1 = solution_.grid[step + 1];
    const auto place = static_cast<int64_t>(i);
    const Tensor own = squeeze(slice(times, 0, place, place + 1), 0);
    const Tensor x = cast((own - t) / (t1 - t), solution_.y.dtype());
    ys.push_back(interpolant(step).value(x));
  }
  return stack(ys);
}

DenseSolution solve_dense(const Field& field, const Tensor& y0, const std::vector<double>& times,
                          const Solver& solver, Gradient gradient, StepPlans* plans) {
  if (!tape_listens() || gradient == Gradient::through) {
    return {field, solver.method,
            solve(field, y0, times, solver, {.plans = plans, .keep_states = true})};
  }
  Solution found;
  {
    const MuteTapes quiet;
    found = solve(without_side_effects(field), y0, times, solver, {.plans = plans});
  }
  const Solver fixed{.method = solver.method, .stepping = StepGrid{found.grid, found.orders}};
  Solution again = solve_differentiable(field, y0, found.grid, fixed, gradient, plans);
  again.states.clear();
  for (const Tensor& y : again.ys) again.states.push_back({y});
  return {field, solver.method, std::move(again)};
}

}  // namespace slope::ode
