// The way of a state from t = 0 to t = 1 as a solver goes it, for the drawings of the report.
#pragma once

#include <vector>

#include "ode/field.h"
#include "ode/solver.h"

namespace slope::program {

struct SolverPath {
  int64_t steps = 0;           // that the solver took
  std::vector<double> times;   // 0, the ends of its steps, 1
  std::vector<Tensor> states;  // at each of them
};

// y0: (N, ..). Of more than 64 steps every second, third, .. is kept, and the last. Throws
// SolveError when the solve fails.
SolverPath solver_path(const ode::Field& field, const Tensor& y0, const ode::Solver& solver);

// `count` numbers of samples out of `size`, evenly spread: a file may be sorted by class.
std::vector<int64_t> spread(int64_t size, int64_t count);

// Four significant digits are finer than a pixel.
double drawn(double value);

}  // namespace slope::program
