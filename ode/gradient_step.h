// The gradient of one step: what gradients that walk back through a solve are made of.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "autograd/functions.h"
#include "ode/scheme.h"
#include "ode/stepper.h"

namespace slope::ode {

// For a gradient that hides the steps from tapes: replayed steps show nothing to whoever looks for
// watched tensors missing in the context, so the first time the field is evaluated openly.
void show_field(const Field& field, double t0, const Tensor& y0, StepPlans* plans);
// The same with a time for each row of y0: (N, ..).
void show_field_of_rows(const Field& field, double t0, const Tensor& y0, StepPlans* plans);
// What such a look has found, as an error of the solve.
ValueError missing_in_context(const LeakError& leak);

// For gradients of gradients: those of `again` by the inputs that are wanted, undefined for others.
// again: computes v.outputs from v.inputs once more, under a tape.
Tensors recorded_gradients(const CustomVjp& v, const std::function<Tensors()>& again);

// Which gradients are wanted.
struct Wanted {
  bool state = true;
  bool clock = false;
  std::vector<bool> context = {};  // of the field's context, then the method's parameters
  bool any_context() const;
};

// Gradients at one end of a step; undefined where nothing flows or nothing is wanted.
struct Flow {
  Tensors state;    // of each tensor of the state
  Tensors context;  // of the context: the sum over all later steps
  Tensor clock;     // of the step's clock
};

// What a step does, or the start of a method.
using StateFunction = std::function<Reached(const Field& field, const Tensor& clock,
                                            const Tensors& state, const Tensors& parameters)>;
StateFunction step_of(const Method& method, const std::optional<ErrorNormOptions>& tolerance,
                      Statistics* statistics);
StateFunction start_of(const Method& method);

// One step on a tape of its own.
class RecordedStep {
 public:
  // clock: (Clock::values); state: at its beginning; context: as FieldCode wants it
  RecordedStep(const StateFunction& function, const FieldCode& code, const Tensor& clock,
               const Tensors& state, const Tensors& context);

  const Reached& reached() const { return reached_; }

  // behind: at the end of the step; arriving: the gradient of y at the beginning from elsewhere,
  // which the sum starts from. The sums go on from where they are; a step is never summed up first.
  // So they have the bits of one tape over the whole solve.
  Flow gradient(const Wanted& wanted, const Flow& behind, const Tensor& arriving);

 private:
  Tensor clock_;
  Tensors state_, context_;
  Tape tape_;
  std::unique_ptr<Deafen> deaf_;
  Reached reached_;
};

// Gradients of the steps of one solve, each computed once more, from plans where there are any.
class StepGradients {
 public:
  // context: as FieldCode wants it; plans: may be null
  StepGradients(const Method& method, const Field& field, const Tensors& context,
                const std::optional<ErrorNormOptions>& tolerance, StepPlans* plans,
                Statistics& statistics);

  // The step with this clock from this state. behind, arriving: see RecordedStep::gradient
  Flow step(const Clock& clock, const Tensors& state, const Wanted& wanted, const Flow& behind,
            const Tensor& arriving);
  // The same with the clock as a tensor, for samples that have clocks of their own.
  Flow step(const Tensor& clock, const Tensors& state, const Wanted& wanted, const Flow& behind,
            const Tensor& arriving);
  // The method's start at t0 from y0.
  Flow start(double t0, const Tensor& y0, const Wanted& wanted, const Flow& behind,
             const Tensor& arriving);
  // x for good: results of a replay live until the next one.
  Tensor kept(const Tensor& x) const { return replay_ && x.defined() ? x.clone() : x; }

 private:
  Flow run(const char* what, const StateFunction& function, const Tensor& clock,
           const Tensors& state, const Wanted& wanted, const Flow& behind, const Tensor& arriving);

  Method method_;
  FieldCode code_;
  Tensors context_;
  std::optional<ErrorNormOptions> tolerance_;
  StepPlans* plans_;
  bool replay_;
  Statistics& statistics_;
};

}  // namespace slope::ode
