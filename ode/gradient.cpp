#include "ode/gradient.h"

#include <cmath>

#include "core/exact.h"
#include "ode/gradient_adjoint.h"
#include "ode/gradient_checkpointed.h"
#include "ode/gradient_times.h"
#include "ode/number_text.h"
#include "ode/tolerance.h"

namespace slope::ode {
namespace {

Solution differentiable(const Field& field, const Tensor& y0, const std::vector<double>& times,
                        const Tensor& watched_times, const Solver& solver, Gradient gradient,
                        StepPlans* plans, const GradientOptions& options) {
  check_options(gradient, options);
  const ExactScope exact(needs_exact_kernels(solver));  // the way back too
  switch (gradient) {
    case Gradient::checkpointed:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans, States::kept,
                                options.most_states);
    case Gradient::reversible:
      return solve_checkpointed(field, y0, times, watched_times, solver, plans,
                                States::reconstructed);
    case Gradient::adjoint:
    case Gradient::adjoint_seminorm:
      return solve_adjoint(field, y0, times, watched_times, solver, options,
                           gradient == Gradient::adjoint_seminorm, plans);
    case Gradient::through:
      break;
  }
  SolveOptions taped{.plans = plans};
  if (watched_times.defined()) taped.clock = watched_clock(watched_times, times, y0.dtype());
  return solve(field, y0, times, solver, taped);
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

GradientChoice parse_gradient_word(const std::string& word) {
  const size_t comma = word.find(',');
  GradientChoice choice{.gradient = parse_gradient(word.substr(0, comma))};
  if (comma == std::string::npos) return choice;
  const std::string option = word.substr(comma + 1);
  if (option == "interpolate") {
    choice.options.interpolate = true;
  } else {
    const bool states = option.starts_with("states=");
    const std::optional<double> number = parse_number(option.substr(states ? 7 : 0));
    if (!states || !number || !(*number >= 1 && *number <= 1e9) || *number != std::floor(*number)) {
      throw ValueError(concat("gradient: \"", word, "\": there is no option \"", option,
                              "\". Write checkpointed,states=N with N of 1 or more, or "
                              "adjoint,interpolate."));
    }
    choice.options.most_states = static_cast<int64_t>(*number);
  }
  check_options(choice.gradient, choice.options);
  return choice;
}

void check_options(Gradient gradient, const GradientOptions& options) {
  const auto refuse = [&](const std::string& what, const char* whose) {
    throw ValueError(concat("gradient: ", what, " is an option of the ", whose,
                            " gradient, not of ", name(gradient), ". Take the one or the other."));
  };
  if (options.most_states < 0) {
    throw ValueError(concat("gradient: most_states is ", options.most_states,
                            "; it must be at least 1, or 0 for a state at each step."));
  }
  const bool adjoint = gradient == Gradient::adjoint || gradient == Gradient::adjoint_seminorm;
  if (options.most_states > 0 && gradient != Gradient::checkpointed) {
    refuse("most_states", "checkpointed");
  }
  if (options.backward && !adjoint) refuse("a solver for the way back", "adjoint");
  if (options.interpolate && !adjoint) refuse("interpolate", "adjoint");
}

Solution solve_differentiable(const Field& field, const Tensor& y0,
                              const std::vector<double>& times, const Solver& solver,
                              Gradient gradient, StepPlans* plans, const GradientOptions& options) {
  return differentiable(field, y0, times, {}, solver, gradient, plans, options);
}

Solution solve_differentiable(const Field& field, const Tensor& y0, const Tensor& times,
                              const Solver& solver, Gradient gradient, StepPlans* plans,
                              const GradientOptions& options) {
  if (times.rank() != 1) {
    throw ShapeError(concat("solve: times ", describe(times), " must have one axis: (T)."));
  }
  return differentiable(field, y0, times.values(), times, solver, gradient, plans, options);
}

}  // namespace slope::ode
