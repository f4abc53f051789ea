// Solving a built-in problem with one solver, and how far the answer is from the truth.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/problems/problem.h"
#include "ode/layer.h"
#include "ode/per_sample.h"
#include "ode/solve.h"

namespace slope::problems {

// What is asked for besides the problem and the solver.
struct ProblemTask {
  std::vector<double> outputs;  // times after 0, rising or falling
  int64_t batch = 1;
  ode::BatchSteps steps = ode::BatchSteps::shared;  // of adaptive solvers
  Dtype dtype = Dtype::f64;
  bool keep_states = false;  // Solution::states
};

// The true states at each output time, (N, n) in rows, and how they are known: "formula", "table",
// or the solver that computed them; no states where they are not known.
struct Truth {
  std::vector<std::vector<double>> states = {};
  std::string source = {};
};
Truth truth(const Problem& problem, const ProblemTask& task);

// 0, then the outputs.
std::vector<double> from_zero(const std::vector<double>& outputs);

// y(0) of a batch, (N, n): the problem's own start first, then further and further from it, up to
// a tenth more in each component.
Tensor batch_start(const Problem& problem, int64_t batch, Dtype dtype);

struct ProblemResult {
  std::string problem;  // the word
  std::string solver;   // as given
  // With steps per sample: the first trouble of any sample, the counts of all, and the steps of the
  // first.
  ode::Solution solution;
  std::vector<std::string> events = {};  // the name of each hit
  std::vector<ode::EventHit> hits = {};
  std::optional<ode::PerSampleSolution> samples = {};  // with steps per sample
  std::optional<double> error;  // largest absolute difference; none where the truth is not known
  double seconds = 0;

  // Mean of the samples whose steps were counted.
  double per_sample(int64_t count) const;
  // Without the start, which is no output.
  std::vector<double> times() const;
  Tensors states() const;
};
// Errors, ValueError: a batch, or a way back in time, of a problem with events.
ProblemResult solve_problem(const Problem& problem, const std::string& solver,
                            const ProblemTask& task, const Truth& truth);

}  // namespace slope::problems
