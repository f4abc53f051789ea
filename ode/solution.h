// Solution: what a solve hands back, on success and on failure alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "ode/controller.h"

namespace slope::ode {

enum class Status {
  success,
  step_limit,           // the budget of attempts is used up
  step_size_underflow,  // no step is small enough for the tolerance
  not_finite,           // the state or the field is NaN or infinite
  not_converged,        // the equations of an implicit step could not be solved
};
const char* name(Status status);  // as written here

// Counts of one solve and of its gradients.
struct Statistics {
  int64_t evaluations = 0;           // of the field, the two of the first step's choice included
  int64_t evaluations_backward = 0;  // gradients of the field that its gradient has taken
  int64_t accepted = 0;
  int64_t rejected = 0;
  int64_t reconstructions_lost = 0;  // reversible gradients that had to keep states after all
  int64_t states_kept = 0;     // by the checkpointed gradient: the most at a time, y0 included
  int64_t repeated_steps = 0;  // computed again by a gradient that may not keep all states
  // Of implicit methods: systems of equations linearised, and products of the field's Jacobian with
  // a vector to solve them, each as dear as two or three evaluations.
  int64_t newton_iterations = 0;
  int64_t jacobian_products = 0;
  int64_t samples = 1;  // whose steps these are: more than one with steps per sample

  Statistics& operator+=(const Statistics& more);
};

struct Solution {
  Status status = Status::success;
  std::string message = {};        // why it stopped, and what to try; empty on success
  std::vector<double> times = {};  // the output times that were reached, the first included
  Tensors ys = {};                 // the state at each of them
  double t = 0;                    // the last good state, and its time
  Tensor y = {};
  Tensors state = {};  // y, and what the method carries beside it (scheme.h)
  // t0 and the end of each accepted step, as a StepGrid wants it: the same steps to the bit, but
  // for implicit methods, whose equations an adaptive solve solves as well as its tolerance asks
  // for.
  std::vector<double> grid = {};
  std::vector<int> orders = {};  // of each step, of an adaptive solve by a method of variable order
  std::vector<Tensors> states = {};        // like `state`, at each time of the grid, if asked for
  std::vector<std::string> warnings = {};  // what is doubtful about the result all the same

  // What an adaptive solve would try next, what its controller remembers, and f(t, y) where it is
  // known: with SolveOptions::resume the solve goes on as if it had not stopped.
  double next_step = 0;
  int next_order = 0;  // of a method that varies it
  ControllerHistory history = {};
  Tensor slope = {};

  std::shared_ptr<Statistics> statistics = std::make_shared<Statistics>();  // gradients add to it

  // Itself; throws SolveError with the message unless the status is success.
  const Solution& or_throw() const;
  // Takes back all but the first `steps` accepted steps. state: after them.
  void cut(size_t steps, const Tensors& state);
};

}  // namespace slope::ode
