#include "apps/problems/outlook.h"

#include <cmath>

#include "ode/initial_step.h"
#include "ode/number_text.h"

namespace slope::problems {
namespace {

// By then a multistep method has all the slopes that it remembers.
constexpr size_t kSettled = 20;

// Evaluations of so many steps, by taking them. The steps are as short as a start allows: what is
// counted does not depend on them.
int64_t counted(const Problem& problem, const ode::Solver& solver, double end, size_t steps) {
  const double h = end * 1e-6;
  ode::Solver few = solver;
  if (auto* how = std::get_if<ode::Adaptive>(&few.stepping)) {
    how->rtol = how->atol = 1e100;  // every step is accepted
    how->first_step = how->max_step = std::abs(h);
    how->min_step = 0;
  } else {
    few.stepping = ode::Steps{static_cast<int64_t>(steps)};
  }
  const ode::Solution s =
      ode::solve(problem.field, problem.y0, {0, h * static_cast<double>(steps)}, few);
  return s.statistics->evaluations;
}

}  // namespace

int64_t Outlook::evaluations(int64_t accepted, int64_t rejected) const {
  return start + accepted * step + rejected * rejected_step;
}

Outlook outlook(const Problem& problem, const ode::Solver& solver, const ProblemTask& task) {
  const ode::Scheme& method = *solver.method;
  const std::vector<double> times = from_zero(task.outputs);
  Outlook found{.at_least = !method.replayable() || !problem.events.empty()};
  const auto* how = std::get_if<ode::Adaptive>(&solver.stepping);
  if (!how) found.steps = ode::step_grid(solver.stepping, times).size() - 1;
  if (times.back() == 0) return found;

  const size_t most = how ? kSettled : std::min(found.steps, kSettled);
  if (method.replayable()) {
    const int64_t all = counted(problem, solver, times.back(), most);
    found.step = most > 1 ? all - counted(problem, solver, times.back(), most - 1) : all;
    found.start = all - static_cast<int64_t>(most) * found.step;
  } else {  // counts for itself, when it knows how hard its equations are
    found.step = method.step_evaluations(1, how && method.begins_with_slope(), how);
    found.start = method.start_evaluations(false) + (how && method.begins_with_slope() ? 1 : 0);
  }
  if (!how) return found;

  found.rejected_step = method.step_evaluations(kSettled, method.begins_with_slope(), true);
  found.first_step = how->first_step;
  if (found.first_step > 0) return found;
  ode::Statistics apart;
  const ErrorNormOptions norm{.atol = how->atol, .rtol = how->rtol};
  const ode::SolveOptions options;
  const Tensor y0 = batch_start(problem, task.batch, task.dtype);
  ode::Stepper step(solver.method, problem.field, y0, norm, options, apart);
  found.first_step = ode::initial_step(step, 0, y0, step.slope(0, y0), times.back() < 0 ? -1 : 1,
                                       norm, ode::starting_order(method));
  found.start += apart.evaluations - 1;  // the slope at the start is there anyway
  return found;
}

std::string outlook_text(const Problem& problem, const ode::Solver& solver,
                         const ProblemTask& task) {
  const Outlook found = outlook(problem, solver, task);
  const std::string least = found.at_least ? "at least " : "";
  const std::string where =
      concat("from t = 0 to ", ode::number_text(from_zero(task.outputs).back()), ", ");
  const auto* how = std::get_if<ode::Adaptive>(&solver.stepping);
  if (!how) {
    return concat(where, found.steps, found.steps == 1 ? " step, " : " steps, ", least,
                  found.evaluations(static_cast<int64_t>(found.steps)), " evaluations");
  }
  const std::string each =
      found.step == found.rejected_step
          ? concat(found.step, " for each attempt")
          : concat(found.step, " for each step, ", found.rejected_step, " for a rejected one");
  return concat(where, "rtol ", ode::number_text(how->rtol), ", atol ", ode::number_text(how->atol),
                ", first step ", ode::rounded_text(found.first_step), ": ", least, found.start,
                found.start == 1 ? " evaluation" : " evaluations", " to start, then ", each);
}

}  // namespace slope::problems
