// What a solver is going to do with a problem, and what it will cost, before it does it.
#pragma once

#include <string>

#include "apps/problems/problem_solve.h"

namespace slope::problems {

// Evaluations of the field: start + accepted * step + rejected * rejected_step. For a solver with
// fixed steps `steps` of them are accepted, and none is rejected.
struct Outlook {
  size_t steps = 0;       // 0: chosen on the way
  double first_step = 0;  // of those that are chosen
  int64_t start = 0, step = 0, rejected_step = 0;
  // The least: equations of implicit steps, and the search for events, may cost more.
  bool at_least = false;

  int64_t evaluations(int64_t accepted, int64_t rejected = 0) const;
};
// Takes a few steps where the method's first ones cost something else than those after them.
Outlook outlook(const Problem& problem, const ode::Solver& solver, const ProblemTask& task);

// "from t = 0 to 10, 8 steps, 32 evaluations"
std::string outlook_text(const Problem& problem, const ode::Solver& solver,
                         const ProblemTask& task);

}  // namespace slope::problems
