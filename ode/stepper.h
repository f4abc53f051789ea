// Stepper: makes the steps of one solve, eagerly or by replaying plans, and counts evaluations.
#pragma once

#include <span>

#include "ode/scheme.h"
#include "ode/solve.h"

namespace slope::ode {

class Stepper {
 public:
  // y: like the states of the solve. tolerance: of an adaptive solve.
  Stepper(const Method& method, const Field& field, const Tensor& y,
          const std::optional<ErrorNormOptions>& tolerance, const SolveOptions& options,
          Statistics& statistics);

  // f(t, y), like y.
  Tensor slope(double t, const Tensor& y);
  // The method's state at t0, to keep. slope: f(t0, y0) where it is known.
  Tensors start(double t0, const Tensor& y0, const Tensor& slope = {});

  // What a fixed step is asked for. before: the ends of all steps so far.
  struct Advance {
    std::span<const double> before;
    double t1;
    int order = 0;         // Scheme::clock_at_order
    bool last = false;     // of all steps of the solve
    bool lasting = false;  // the new state is to be kept
  };
  // The step without error estimate. state: at before.back()
  Reached advance(const Advance& to, const Tensors& state);

  // One try of an adaptive step. k_first: f(t, y), if the method begins with it.
  struct Attempt {
    Tensors fresh;  // see accepted()
    Tensor k_last;  // f(t1, y1) where the method has it, else undefined
    double error;   // scaled; accept up to 1. Reading it is the one wait of an attempt.
    std::vector<double> errors;  // see Scheme::choose
    std::string failure;         // then the error is infinite
  };
  Attempt attempt(std::span<const double> before, double t1, const Tensors& state,
                  const Tensor& k_first, int order = 0);
  // The state after an attempt, to keep. state: the one before.
  Tensors accepted(const Tensors& state, const Attempt& attempt) const;

  // x for good: results of a replay live until the next one.
  Tensor kept(const Tensor& x) const { return replaying() && x.defined() ? x.clone() : x; }
  const std::vector<int64_t>& error_parts() const { return options_.error_parts; }
  // Scheme::parameters in use.
  const Tensors& parameters() const { return parameters_; }

 private:
  bool replaying() const;
  Tensors run(const std::string& key, const StepFunction& f, const Tensors& inputs) const;
  Tensor upload(const Clock& clock) const;

  Method method_;
  const Field& field_;
  Dtype dtype_;
  Device device_;
  std::optional<ErrorNormOptions> tolerance_;
  const SolveOptions& options_;
  Statistics& statistics_;
  Tensors parameters_;
  Tensors context_;  // of the field, then the parameters
  StepFunction slope_, start_, advance_, attempt_;
  std::string advance_key_, attempt_key_;
};

// A field's code and a method, called with the field's context and the method's parameters in one
// list. Owns what it refers to, as plans outlive a solve.
class FieldCode {
 public:
  explicit FieldCode(const Field& field);
  Field field(const Tensors& context) const;
  Tensors parameters(const Tensors& context) const;

 private:
  Field code_;
  size_t size_;  // of the field's own context
};
// The context that FieldCode wants.
Tensors joined(const Tensors& context, const Tensors& parameters);

// error_norm, or the largest of those of several states side by side: SolveOptions::error_parts.
Tensor scaled_error(const Tensor& e, const Tensor& y0, const Tensor& y1,
                    const ErrorNormOptions& norm, const std::vector<int64_t>& ends);

// t as a clock.
Clock clock_at(double t);

}  // namespace slope::ode
