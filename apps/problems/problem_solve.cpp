#include "apps/problems/problem_solve.h"

#include <chrono>
#include <cmath>

#include "core/ops/movement.h"
#include "core/ops/pointwise.h"
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

ProblemResult solve_problem(const Problem& problem, const std::string& word,
                            const ProblemTask& task, const Truth& truth) {
  const ode::Solver solver = ode::parse_solver(word);
  ode::StepPlans plans;
  const auto start = std::chrono::steady_clock::now();
  ProblemResult result{.problem = problem.name, .solver = word, .solution = {}, .error = {}};
  result.solution = ode::solve(problem.field, batch_start(problem, task.batch, task.dtype),
                               from_zero(task.outputs), solver,
                               {.plans = &plans, .keep_states = task.keep_states});
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  // Of a solve that failed, the outputs it reached do not say how far it is off.
  if (!truth.states.empty() && result.solution.status == ode::Status::success)
    result.error = largest_difference(result.states(), truth.states);
  return result;
}

}  // namespace slope::problems
