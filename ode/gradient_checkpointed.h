// Gradients that walk back through a solve and compute each step once more, from a state that was
// kept (checkpointed: one per step, or fewer and some steps repeated to have the others) or made
// again from the next one (reversible).
#pragma once

#include "ode/solve.h"

namespace slope::ode {

enum class States { kept, reconstructed };

// solve(), on the tapes that listen, as one entry. watched_times: (T), or undefined.
// reconstructed: ValueError unless the method is reversible; where the states turn out to be lost,
// all steps are taken once more and kept, and Statistics::reconstructions_lost says so.
// most_states: GradientOptions::most_states
Solution solve_checkpointed(const Field& field, const Tensor& y0, const std::vector<double>& times,
                            const Tensor& watched_times, const Solver& solver, StepPlans* plans,
                            States states = States::kept, int64_t most_states = 0);

}  // namespace slope::ode
