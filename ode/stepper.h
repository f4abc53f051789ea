// Stepper: makes the steps of one solve, eagerly or by replaying plans, and counts evaluations.
#pragma once

#include "core/ops/solver.h"
#include "ode/solve.h"
#include "ode/step.h"

namespace slope::ode {

class Stepper {
 public:
  // y: like the states of the solve. norm: of an adaptive solve.
  Stepper(const Tableau& method, const Field& field, const Tensor& y, const ErrorNormOptions& norm,
          const SolveOptions& options, Statistics& statistics);

  // f(t, y), like y.
  Tensor slope(double t, const Tensor& y);
  // y at t1, without error estimate. last: of all steps of the solve.
  Tensor advance(double t, double t1, const Tensor& y, bool last);

  // One try of an adaptive step. k_first: f(t, y).
  struct Attempt {
    Tensor y1;
    Tensor k_last;  // f(t1, y1) where the method has it, else undefined
    double error;   // scaled; accept up to 1. Reading it is the one wait of an attempt.
  };
  Attempt attempt(double t, double t1, const Tensor& y, const Tensor& k_first);

  // x for good: results of a replay live until the next one.
  Tensor kept(const Tensor& x) const { return replaying() ? x.clone() : x; }

 private:
  bool replaying() const;
  Tensors run(const std::string& key, const StepFunction& f, const Tensors& inputs) const;
  Tensor clock(double t, double t1) const;

  const Tableau& method_;
  const Field& field_;
  Dtype dtype_;
  Device device_;
  const SolveOptions& options_;
  Statistics& statistics_;
  StepFunction slope_, advance_, attempt_;
  std::string advance_key_, attempt_key_;
};

// Everything about a method that a captured step depends on.
std::string plan_key(const char* what, const Tableau& method);
// Evaluations of the field in a step that computes y1 and nothing else.
int64_t evaluations_of_advance(const Tableau& method);

}  // namespace slope::ode
