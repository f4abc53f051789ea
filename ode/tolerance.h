// Tolerances that rounding does not allow, or only exact kernels.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"
#include "ode/solver.h"

namespace slope::ode {

// What is doubtful about the tolerances of an adaptive solve that comes through y (any shape; where
// it starts, or where it ends): an allowed error per step below about ten roundings of the state is
// not an error, but the step sizes then follow rounding and not the problem. Reads y only where
// rtol is that small.
std::vector<std::string> tolerance_warnings(const Adaptive& how, const Tensor& y);

// Whether the steps are chosen by a relative tolerance so small (below 1e-5) that the kernels have
// to be exact (core/exact.h): the estimate of the error would see the others.
bool needs_exact_kernels(const Solver& solver);

}  // namespace slope::ode
