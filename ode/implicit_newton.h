// Newton's method without a matrix: solves x = g(x, parameters), and differentiates the solution.
//
// A stage of an implicit Runge-Kutta method is such an equation for its slope. Newton's step d
// solves (I - g') d = g(x) - x by GMRES, and g' times a vector comes from the field's own gradient:
// u -> u^T g' is linear in u, and its gradient along v is g' v (a vjp of the vjp). Nothing is ever
// stored that is larger than a few dozen states.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slope::ode {

// x: tensors of one shape -> as many of that shape. Written with ops, twice differentiable.
using FixedPointMap = std::function<Tensors(const Tensors& x, const Tensors& parameters)>;

// What solving has cost and how it went. Shared by the stages of a step, and with their gradients.
struct NewtonReport {
  int64_t evaluations = 0;  // of the field
  int64_t newton = 0;       // iterations, a linear system each
  int64_t krylov = 0;       // products g' v
  int64_t backward = 0;     // products v^T g' of gradients
  bool converged = true;    // every system so far
  double residual = 0;      // of the worst system that did not converge, in units of the tolerance

  // Whether the samples (axis 0) may be solved as systems of their own. Found out by the first
  // linear system: a batch normalisation, say, couples them.
  enum class Samples { unknown, apart, coupled };
  Samples samples = Samples::unknown;
};

struct NewtonOptions {
  // How much a change of x counts, like each x: its size is the root mean square of weights * dx
  // over a sample.
  Tensor weights = {};
  // The size of the error that may remain: one number, or one for each sample. An infinite one
  // leaves its sample at the guess.
  std::vector<double> tolerances = {1e-10};
  double rounding = 1e-9;  // updates this small that no longer fall are rounding errors
  int max_iterations = 12;
  Tensors second_guess = {};    // where to start again if the first guess leads nowhere; like x
  int64_t cost = 1;             // evaluations of the field in one of g
  FixedPointMap again = {};     // for gradients: g without what it does besides (Field)
  std::string where = "solve";  // begins messages
};

// The solution x, on the tapes that listen to the parameters; `name` is its name there. guess: like
// x; it carries no gradient. Without convergence the report says so, and x is the last iterate;
// where g is not finite, x is NaN.
//
// With x.rank() > 1, axis 0 counts samples: each has its own Krylov space and stops when it has
// converged itself. The gradient is that of the implicit function theorem: with the cotangent c,
// w = c + w^T g' is one more linear system, and w^T dg/dparameters the result. Gradients of
// gradients work the same way.
// Errors, ValueError: g depends on x, but the tape does not see how, or cannot differentiate it
// twice.
Tensors fixed_point(const std::string& name, const FixedPointMap& g, const Tensors& guess,
                    const Tensors& parameters, const NewtonOptions& options,
                    const std::shared_ptr<NewtonReport>& report);

}  // namespace slope::ode
