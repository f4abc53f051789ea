// Events: times at which a function of the state crosses zero, found to a tolerance, and what
// happens there: the solve ends, or goes on from another state (a ball bounces), or just takes
// note.
#pragma once

#include <vector>

#include "ode/gradient.h"

namespace slope::ode {

enum class Crossing { any, rising, falling };  // of the condition, in the direction of the solve

struct Event {
  // g(t, y, context) -> (): the event happens where it crosses zero. A value of zero at t0 is no
  // event; one at the last time is.
  FieldFunction condition;
  Crossing crossing = Crossing::any;
  int64_t stop_at = 1;  // the solve ends with this hit of the event, the first by default; 0: never
  // The state from which the solve goes on after a hit that does not end it: like y. Not set: from
  // the same state, without an interruption.
  FieldFunction jump = {};
};

struct EventHit {
  size_t event = 0;  // which of the events
  double time = 0;
  Tensor t;        // the time as a tensor, () float64: what gradients of event times start from
  Tensor y;        // the state there, before a jump
  Tensor y_after;  // and after it
};

struct EventOptions {
  // The event's time is right to this, as that of the computed solution: the step to the event is
  // a step of the method itself (of dopri8 for a multistep method), not a value of its interpolant.
  double tolerance = 1e-10;
  // A condition that crosses zero twice within one step shows at the step's end as if nothing had
  // happened. This many points inside each step are looked at as well, at the price of a dense
  // output of each step.
  int looks = 0;
  int64_t most_hits = 10000;  // then the solve ends with Status::step_limit
  bool keep_states = false;   // fill Solution::states; where it jumps: the state before
  Gradient gradient = Gradient::checkpointed;
  StepPlans* plans = nullptr;
};

struct EventSolution {
  // As of a solve; its statistics count the search, not the second solve that a gradient makes
  // along its steps, nor the way back. `times` and `ys` are those before the solve ended. t, y:
  // where it ended; after a jump at the last moment: before it.
  Solution solution;
  std::vector<EventHit> hits = {};  // in their order
  bool ended = false;               // by an event, the last of the hits
};

// A condition that comes faster and faster without end (a ball that comes to rest) ends the solve
// with Status::step_limit once an event repeats within the tolerance.
//
// y0: one system, any shape. Differentiable in y0 and the field's context: the states, the output
// states and the times of the events, by the implicit function theorem for the step that leads to
// the event. A condition or a jump may use the field's context, and must use no other watched
// tensors. An event that only touches zero has no derivative: its gradient is not finite.
EventSolution solve_events(const Field& field, const Tensor& y0, const std::vector<double>& times,
                           const Solver& solver, const std::vector<Event>& events,
                           const EventOptions& options = {});

}  // namespace slope::ode
