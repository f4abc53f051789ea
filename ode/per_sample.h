// Adaptive steps for every sample of a batch alone: its own times, step sizes, status and counters.
//
// The samples still go through the field together. An attempt is one step of the whole batch in
// which each row has a time and a step size of its own; rows that are done, or have failed, stand
// still with a step of length zero. When half of the rows stand still the others move to a batch of
// half the size. So a sample takes the steps it would take alone: to the bit, whatever its
// batch-mates are, wherever the kernels treat the rows of a batch alike (cpu and reference do).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ode/field.h"
#include "ode/solution.h"
#include "ode/solver.h"
#include "ode/step_plans.h"

namespace slope::ode {

struct PerSampleSolution {
  std::vector<Status> statuses = {};       // (N)
  std::vector<std::string> messages = {};  // (N): why a sample stopped; empty on success
  std::vector<double> ts = {};             // (N): the time of the last good state
  Tensor y = {};                           // (N, ..): the last good states
  // The states at each output time, (N, ..) each; NaN for a sample that did not get there.
  Tensors ys = {};
  std::vector<std::vector<double>> grids = {};  // (N): t0 and the end of each accepted step
  std::vector<Statistics> statistics = {};      // (N): as of a solve of this sample alone
  // The sums of these; gradients add to it.
  std::shared_ptr<Statistics> total = std::make_shared<Statistics>();
  std::vector<std::string> warnings = {};  // of the whole solve

  int64_t attempts = 0;  // steps of the batch
  // Evaluations times rows that were computed: what the solve cost. Steps that are shared cost
  // N * evaluations.
  int64_t rows_evaluated = 0;

  size_t failures() const;  // samples
  // Itself; throws SolveError with the first message if a sample has failed.
  const PerSampleSolution& or_throw() const;
};

// One attempt, as a gradient repeats it: what moved, from where to where.
struct PerSampleAttempt {
  std::vector<int64_t> cut;  // the rows that the batch was cut down to before; empty: it was not
  std::vector<int64_t> samples;  // (n): the sample in each row
  std::vector<double> from, to;  // (n): equal where a step was rejected or the sample stands still
  Tensor y;                      // (n, ..): the states before it
  std::vector<std::vector<int64_t>> reached = {};  // for each output time the rows that got there
};

struct PerSampleOptions {
  StepPlans* plans = nullptr;  // replay attempts from here; null: compute them eagerly
  std::vector<PerSampleAttempt>* record = nullptr;  // receives every attempt
};

// y0: (N, ..), float32 or float64. times: of each sample, t0 first, rising for some and falling for
// others if need be, as many for each; or one row for all. Needs an explicit Runge-Kutta method
// that chooses its steps. The field gets t as (n, 1, .., 1) and y as (n, ..) with n <= N rows.
//
// Numerical trouble is a status of the sample that has it. Reads n numbers from the device for each
// attempt, and three times N before the first. At most log2(N) + 1 different n occur.
PerSampleSolution solve_per_sample(const Field& field, const Tensor& y0,
                                   const std::vector<std::vector<double>>& times,
                                   const Solver& solver, const PerSampleOptions& options = {});

}  // namespace slope::ode
