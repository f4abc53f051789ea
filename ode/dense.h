// Dense output: the state at any time inside a step, by interpolation. Nothing of it is computed in
// a solve: the slopes of a step are evaluated once more when somebody asks for a time inside it.
#pragma once

#include <optional>
#include <vector>

#include "ode/gradient.h"

namespace slope::ode {

// y + sum_k terms_k x^k, k = 1, 2, .. x: () or, for each row of y, (N, 1, .., 1)
Tensor polynomial(const Tensor& y, const Tensors& terms, const Tensor& x);

// The polynomial of one step, p(x) = y + sum_k terms_k x^k with x = (t - t0) / (t1 - t0).
class Interpolant {
 public:
  // An explicit Runge-Kutta method has its own (Tableau::dense); other methods get the cubic
  // through both states and the field's slopes there (Hermite), whose order is 3 at most. y, y1:
  // like a state, at t and t1. Differentiable in y, y1 and the field's context.
  Interpolant(const Method& method, const Field& field, double t, double t1, const Tensor& y,
              const Tensor& y1);

  // The state at a time between t and t1, and its derivative, like y.
  Tensor at(double time) const { return value(fraction(time)); }
  Tensor slope(double time) const { return derivative(fraction(time)); }
  // The same at y's own fraction x of the step, () or (N, 1, .., 1): differentiable in x.
  Tensor value(const Tensor& x) const;
  Tensor derivative(const Tensor& x) const;
  const Tensors& terms() const { return terms_; }       // of x, x^2, .., like y
  int64_t evaluations() const { return evaluations_; }  // of the field, that it took to make it

 private:
  Tensor fraction(double time) const;

  double t_, t1_;
  int64_t evaluations_;
  Tensor y_;
  Tensors terms_;  // of x, x^2, ..
};

// A solve together with the state at every time in between.
class DenseSolution {
 public:
  // solution: of `solver.method` and with states (SolveOptions::keep_states).
  DenseSolution(const Field& field, const Method& method, Solution solution);

  const Solution& solution() const { return solution_; }
  // The order of the interpolant: its error is of the order of h^(order + 1) per step.
  int order() const;

  // The state at a time between the first and the last one of the solve, like y0: at the end of a
  // step exactly what the solve computed there. ValueError outside. The first time asked for in a
  // step costs its evaluations; further ones none.
  Tensor at(double t) const;
  // y'(t) of the interpolant, at the end of a step that of the step before.
  Tensor slope(double t) const;
  // times: (T) -> (T, ..), differentiable in the times too.
  Tensor at(const Tensor& times) const;

 private:
  size_t step_with(double t) const;
  const Interpolant& interpolant(size_t step) const;

  Field field_;
  Method method_;
  Solution solution_;
  mutable std::vector<std::optional<Interpolant>> interpolants_;
};

// solve() with dense output, differentiable in y0 and the field's context. While a tape listens and
// the gradient is checkpointed, the accepted steps are computed twice: once to find them, once as a
// checkpointed solve whose outputs are all their ends.
DenseSolution solve_dense(const Field& field, const Tensor& y0, const std::vector<double>& times,
                          const Solver& solver, Gradient gradient = Gradient::checkpointed,
                          StepPlans* plans = nullptr);

}  // namespace slope::ode
