#include "ode/gradient.h"

#include "ode/gradient_adjoint.h"
#include "ode/gradient_checkpointed.h"
#include "ode/gradient_times.h"

namespace slope::ode {
namespace {

Solution differentiable(const Field& field, const Tensor& y0, const std::vector<double>& times,
                        const Tensor& watched_times, const Solver& solver, Gradient gradient,
                        StepPlans* plans, const AdjointOptions& adjoint) {
  switch (gradient) {
    case Gradient::checkpointed:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans);
    case Gradient::reversible:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans,
                                States::reconstructed);
    case Gradient::adjoint:
    case Gradient::adjoint_seminorm:
      return solve_adjoint(field, y0, times, watched_times, solver, adjoint,
                           gradient == Gradient::adjoint_seminorm, plans);
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
    case Gradient::adjoint:
      return "adjoint";
    case Gradient::adjoint_seminorm:
      return "adjoint-seminorm";
  }
  return "?";
}

Gradient parse_gradient(const std::string& word) {
  std::string all;
  for (Gradient g : {Gradient::checkpointed, Gradient::through, Gradient::reversible,
                     Gradient::adjoint, Gradient::adjoint_seminorm}) {
    if (word == name(g)) return g;
    all += (all.empty() ? "" : ", ") + std::string(name(g));
  }
  throw ValueError(
      concat("gradient: there is no gradient \"", word, "\". Write one of ", all, "."));
}

Solution solve_differentiable(const Field& field, const Tensor& y0,
                              const std::vector<double>& times, const Solver& solver,
                              Gradient gradient, StepPlans* plans, const AdjointOptions& adjoint) {
  return differentiable(field, y0, times, {}, solver, gradient, plans, adjoint);
}

Solution solve_differentiable(const Field& field, const Tensor& y0, const Tensor& times,
                              const Solver& solver, Gradient gradient, StepPlans* plans,
                              const AdjointOptions& adjoint) {
  if (times.rank() != 1) {
    throw ShapeError(concat("solve: times ", describe(times), " must have one axis: (T)."));
  }
  return differentiable(field, y0, times.values(), times, solver, gradient, plans, adjoint);
}

}  // namespace slope::ode
