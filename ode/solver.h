// Solver: a method and the way it chooses its steps. What a solver word says (solver_word.h).
#pragma once

#include <cstdint>
#include <limits>
#include <variant>
#include <vector>

#include "ode/controller.h"
#include "ode/scheme.h"

namespace slope::ode {

// Equal steps over the whole time span.
struct Steps {
  int64_t count = 1;
};
// Steps of one size; the last is clipped to end exactly.
struct StepSize {
  double size = 1;
};
// The ends of all steps, t0 first: Solution::grid of an earlier solve, to repeat its steps.
struct StepGrid {
  std::vector<double> times;
  std::vector<int> orders = {};  // Solution::orders, of a method of variable order
};
// Steps chosen so that rms(e / (atol + rtol max(|y|, |y1|))) <= 1 for the estimated error e.
struct Adaptive {
  double rtol = 1e-3;
  double atol = 1e-3;
  ControllerOptions controller = {};
  double first_step = 0;  // 0: chosen from the field (Hairer, Norsett, Wanner II.4)
  double min_step = 0;    // a step this small is accepted whatever its error
  double max_step = std::numeric_limits<double>::infinity();
  int64_t max_steps = 100000;           // attempts in one solve
  std::vector<double> step_times = {};  // steps end exactly at these too, without an output
};
using Stepping = std::variant<Steps, StepSize, StepGrid, Adaptive>;

struct Solver {
  Method method;
  Stepping stepping = Steps{};
};

// Throws ValueError without a method, for adaptive steps without error estimate, and for tolerances
// or limits that are not positive.
void check_stepping(const Solver& solver);

// Throws DtypeError for a state that is not float32 or float64.
void check_state(const Tensor& y0);
// Throws ValueError for times that are not finite, or that turn back; and when there are none.
void check_times(const std::vector<double>& times);

// The times among `between` that lie strictly between t0 and end, and end itself: in order, each
// once.
std::vector<double> stops_between(double t0, double end, std::vector<double> between);

// The ends of all steps of a solver with fixed steps that is asked for the state at `times`
// (monotonic) of a field with these jumps: every output time and every jump ends a step.
// Errors: no step, a size that is not positive, a grid that does not run from first to last time.
std::vector<double> step_grid(const Stepping& stepping, const std::vector<double>& times,
                              const std::vector<double>& jumps = {});

}  // namespace slope::ode
