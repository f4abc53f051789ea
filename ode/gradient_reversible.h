// The states of a reversible solve, made once more from its last one: a gradient in memory that
// does not grow with the number of steps.
#pragma once

#include <span>
#include <vector>

#include "ode/field.h"
#include "ode/gradient_step.h"
#include "ode/scheme.h"
#include "ode/step_plans.h"

namespace slope::ode {

// How far a reconstructed state may be from one that is known, as a part of its size (rms). Beyond
// it the states are lost: undoing a step that damps by a factor amplifies rounding by that factor.
double reconstruction_tolerance(Dtype dtype);

class Reconstruction {
 public:
  // grid: the ends of all steps; last: the state at the last of them; times, ys: the outputs, y0
  // first, which reconstructed states are compared with. plans may be null.
  struct Solved {
    const std::vector<double>& grid;
    const Tensors& last;
    const std::vector<double>& times;
    const Tensors& ys;
  };
  Reconstruction(const Method& method, const Field& field, const Tensors& context,
                 const Solved& solved, StepPlans* plans, Statistics& statistics);

  // Goes back by one step, the last first; false if the states are lost. Looks at a value of the
  // device at each output time; inside a capture it cannot, and takes every state as good.
  bool step_back();
  // Where that has led.
  const Tensors& state() const { return state_; }

 private:
  bool as_known(double t) const;

  Method method_;
  FieldCode code_;
  Tensors context_;
  Solved solved_;
  StepPlans* plans_;
  Statistics& statistics_;
  size_t step_;
  Tensors state_;
};

}  // namespace slope::ode
