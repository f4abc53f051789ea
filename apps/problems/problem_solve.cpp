#include "apps/problems/problem_solve.h"

#include <chrono>
#include <cmath>

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
#include "ode/event.h"
#include "ode/solver_word.h"

namespace slope::problems {
namespace {

// Where nothing better is known: the highest order that slope has, at a tolerance near rounding.
constexpr const char* kFinest = "dopri8@1e-13";

double largest_difference(const Tensors& states, const std::vector<std::vector<double>>& expected) {
  double largest = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    const std::vector<double> got = states[i].values();
    for (size_t j = 0; j < got.size(); ++j) {
      const double d = std::abs(got[j] - expected[i][j]);
      largest = std::isnan(d) ? d : std::max(largest, d);
    }
  }
  return largest;
}

void solve_with_events(const Problem& problem, const ode::Solver& solver, const ProblemTask& task,
                       ode::StepPlans& plans, ProblemResult& result) {
  if (task.batch > 1) {
    throw ValueError(concat("solve: each sample of ", problem.name,
                            " has events at times of its own, but they are solved together. Leave "
                            "out --batch."));
  }
  if (!task.outputs.empty() && task.outputs.back() < 0) {
    throw ValueError(concat("solve: what happens to ", problem.name,
                            " cannot be undone: it is solved forward in time only, not to ",
                            task.outputs.back(), "."));
  }
  std::vector<ode::Event> events;
  for (const Problem::Happening& h : problem.events) events.push_back(h.event);
  ode::EventSolution found =
      ode::solve_events(problem.field, batch_start(problem, 1, task.dtype), from_zero(task.outputs),
                        solver, events, {.keep_states = task.keep_states, .plans = &plans});
  result.solution = std::move(found.solution);
  result.hits = std::move(found.hits);
  for (const ode::EventHit& hit : result.hits)
    result.events.push_back(problem.events[hit.event].name);
}

void solve_each(const Problem& problem, const ode::Solver& solver, const ProblemTask& task,
                ode::StepPlans& plans, ProblemResult& result) {
  const Tensor y0 = batch_start(problem, task.batch, task.dtype);
  const std::vector<double> times = from_zero(task.outputs);
  ode::PerSampleSolution all =
      ode::solve_per_sample(problem.field, y0, {times}, solver, {.plans = &plans});
  ode::Solution& s = result.solution;
  for (size_t i = 0; i < all.statuses.size() && s.status == ode::Status::success; ++i) {
    s.status = all.statuses[i];
    s.message = all.messages[i];
  }
  if (task.keep_states) {  // to the bit what the first sample did in the batch
    ode::Solution first = ode::solve(problem.field, slice(y0, 0, 0, 1), times, solver,
                                     {.plans = &plans, .keep_states = true});
    s.states = std::move(first.states);
  }
  s.grid = all.grids.front();
  s.times = times;
  s.ys = all.ys;
  s.t = all.ts.front();
  s.y = all.y;
  s.warnings = all.warnings;
  s.statistics = all.total;
  result.samples = std::move(all);
}

}  // namespace

std::vector<double> from_zero(const std::vector<double>& outputs) {
  std::vector<double> times = {0};
  times.insert(times.end(), outputs.begin(), outputs.end());
  return times;
}

Tensor batch_start(const Problem& problem, int64_t batch, Dtype dtype) {
  std::vector<double> factors;
  for (int64_t i = 0; i < batch; ++i)
    factors.push_back(1 + 0.1 * static_cast<double>(i) / static_cast<double>(batch));
  return cast(problem.y0, dtype) * tensor(factors, {batch, 1}, dtype);
}

Truth truth(const Problem& problem, const ProblemTask& task) {
  Truth known;
  if (task.batch == 1) {
    for (double t : task.outputs) {
      known.states.push_back(known_solution(problem, t));
      if (known.states.back().empty()) known.states.clear();
      if (known.states.empty()) break;
    }
    known.source = problem.solution ? "formula" : "table";
    if (!known.states.empty()) return known;
  }
  if (problem.stiff) return {};
  // A problem of another dtype has its matrices in it, so this one is made anew.
  const Problem exact = make_problem(problem.name, Dtype::f64);
  ode::StepPlans plans;
  const ode::Solution s =
      ode::solve(exact.field, batch_start(exact, task.batch, Dtype::f64), from_zero(task.outputs),
                 ode::parse_solver(kFinest), {.plans = &plans});
  if (s.status != ode::Status::success) return {};
  for (size_t i = 1; i < s.ys.size(); ++i) known.states.push_back(s.ys[i].values());
  known.source = kFinest;
  return known;
}

std::vector<double> ProblemResult::times() const {
  return {solution.times.begin() + 1, solution.times.end()};
}
Tensors ProblemResult::states() const { return {solution.ys.begin() + 1, solution.ys.end()}; }

double ProblemResult::per_sample(int64_t count) const {
  return static_cast<double>(count) / static_cast<double>(solution.statistics->samples);
}

ProblemResult solve_problem(const Problem& problem, const std::string& word,
                            const ProblemTask& task, const Truth& truth) {
  const ode::Solver solver = ode::parse_solver(word);
  const bool adaptive = std::holds_alternative<ode::Adaptive>(solver.stepping);
  ode::StepPlans plans;
  const auto start = std::chrono::steady_clock::now();
  ProblemResult result{.problem = problem.name, .solver = word, .solution = {}, .error = {}};
  if (!problem.events.empty()) {
    solve_with_events(problem, solver, task, plans, result);
  } else if (adaptive && task.steps == ode::BatchSteps::per_sample) {
    solve_each(problem, solver, task, plans, result);
  } else {
    result.solution = ode::solve(problem.field, batch_start(problem, task.batch, task.dtype),
                                 from_zero(task.outputs), solver,
                                 {.plans = &plans, .keep_states = task.keep_states});
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Of a solve that failed, the outputs it reached do not say how far it is off.
  if (!truth.states.empty() && result.solution.status == ode::Status::success)
    result.error = largest_difference(result.states(), truth.states);
  return result;
}

}  // namespace slope::problems
