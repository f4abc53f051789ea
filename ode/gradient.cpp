#include "ode/gradient.h"

#include "ode/gradient_checkpointed.h"
#include "ode/gradient_times.h"

namespace slope::ode {
namespace {

Solution differentiable(const Field& field, const Tensor& y0, const std::vector<double>& times,
                        const Tensor& watched_times, const Solver& solver, Gradient gradient,
                        StepPlans* plans) {
  switch (gradient) {
    case Gradient::checkpointed:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans);
    case Gradient::reversible:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans,
                                States::reconstructed);
    case Gradient::through:
      break;
  }
  SolveOptions options{.plans = plans};
  if (watched_times.defined()) {
    options.clock = watched_clock(watched_times, times, y0.dtype());
  }
  return solve(field, y0, times, solver, options);
}

}  // namespace

const char* name(Gradient gradient) {
  switch (gradient) {
    case Gradient::through:
      return "through";
    case Gradient::checkpointed:
      return "checkpointed";
    case Gradient::reversible:
      return "reversible";
  }
  return "?";
}

Gradient parse_gradient(const std::string& word) {
  for (Gradient g : {Gradient::checkpointed, Gradient::through, Gradient::reversible}) {
    if (word == name(g)) return g;
  }
  throw ValueError(concat("gradient: there is no gradient \"", word,
                          "\". Write checkpointed, through or reversible."));
}

Solution solve_differentiable(const Field& field, const Tensor& y0,
                              const std::vector<double>& times, const Solver& solver,
                              Gradient gradient, StepPlans* plans) {
  return differentiable(field, y0, times, {}, solver, gradient, plans);
}

Solution solve_differentiable(const Field& field, const Tensor& y0, const Tensor& times,
                              const Solver& solver, Gradient gradient, StepPlans* plans) {
  if (times.rank() != 1) {
    throw ShapeError(concat("solve: times ", describe(times), " must have one axis: (T)."));
  }
  return differentiable(field, y0, times.values(), times, solver, gradient, plans);
}

}  // namespace slope::ode
