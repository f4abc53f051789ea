// Regularisers of a neural ODE: terms that make training prefer flows that are cheap to solve.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ode/solver.h"
#include "ode/tuple.h"

namespace slope::ode {

// TisODE's steady-state loss (Yan et al. 2020, "On robustness of neural ODEs"): how far the state
// still goes where the solve goes on beyond its end.
struct Steadiness {
  enum class Form {
    // As in the paper: |f|, value by value, is integrated from 1 to 2 while the state keeps
    // following f; the mean over the samples of the L2 norm of that. Its weight: 0.1.
    paper,
    // As in the code released for MNIST: the same integral from 0.9 to 1.5, the mean of its values.
    // Its weight: 0.01, with steps of 0.05, after 5 epochs without it.
    released,
    // As Gusak et al. 2021 computed it, who lost the absolute value: the mean over the samples of
    // |y(2) - y(1)|.
    displacement,
  };
  double weight = 0;
  Form form = Form::paper;
  int64_t after = 0;  // epochs of a training before it counts
};

// Weights of the terms; 0 leaves one out. Means are over the samples and the values of the state,
// so that a weight means the same for every size of state and batch.
struct Regularization {
  double kinetic = 0;    // mean of the integral of f^2: straight, slow paths
  double jacobian = 0;   // mean of the integral of (e^T df/dy)^2, e normal and kept for one solve:
                         // Hutchinson's estimate of the squared Frobenius norm (both: Finlay et al.
                         // 2020, "How to train your neural ODE")
  double end_time = 0;   // b: the solve ends at T, uniform on [1 - b, 1 + b] (Ghosh et al. 2020,
                         // "STEER"); no term, and below 1
  double error = 0;      // sum over the steps of h rms(e), e the step's estimated error, and
  double stiffness = 0;  // sum of |f(y1) - f(y)| / |y1 - y| over them (both: Pal et al. 2021,
                         // "Opening the blackbox")

  Steadiness steady = {};

  // Whether there is something to be added to the loss.
  bool penalizes() const { return walks() || kinetic > 0 || jacobian > 0 || steady.weight > 0; }
  bool none() const { return !penalizes() && end_time == 0; }
  // Terms of the steps themselves, which have to be taken one by one: walk().
  bool walks() const { return error > 0 || stiffness > 0; }
  // Random keys that a solve takes.
  int64_t keys() const { return (jacobian > 0) + (end_time > 0); }
  // What counts in an epoch, the first one being 0.
  Regularization in_epoch(int64_t epoch) const;
};

// "kinetic=0.01,jacobian=0.01,end-time=1/2,error=1,stiffness=0.1,steady=0.1,steady-form=paper,
// steady-after=5", each or none of them. ValueError: another name, a weight that is no number or
// below 0, an end-time of 1 or more.
Regularization parse_regularization(const std::string& words);

// A stretch of time that is solved for itself, and what is integrated on it.
struct Stretch {
  double begin = 0, end = 1;
  Regularization weights = {};
};
// The stretches of a block's solve, in order; y is the state at the end of one of them, at 1. One
// from 0 to 1 unless there is a steady-state loss.
std::vector<Stretch> stretches(const Regularization& weights);
// The solver's steps on a stretch: as long as on the way from 0 to 1.
Solver on_stretch(const Solver& solver, const Stretch& stretch);

// A problem that carries the integrals along, beside y: solve `field` from `y0`, over a stretch.
struct RegularizedField {
  Field field;
  Tensor y0;

  // solved: what the solve has made of y0.
  Tensor end(const Tensor& solved) const;      // y
  Tensor penalty(const Tensor& solved) const;  // (): the integrals in their weights; or undefined
  Tensor steady(const Tensor& solved) const;   // like y: that of |f|; only where it has a weight

  std::optional<TupleLayout> layout = {};  // y and the integrals; nothing where there are none
  Regularization weights = {};
};
// What the integrals of |f| over the stretches, like y each, add to the loss.
Tensor steady_penalty(const Steadiness& steady, const Tensors& integrals);
// y0: (N, ..). keys: Regularization::keys of them. Without regularisers the field itself. A field
// with jumps cannot end at a random time: ValueError.
RegularizedField regularized_field(const Field& field, const Tensor& y0,
                                   const Regularization& weights, const Tensors& keys);

// The solve from `begin` to `end`, step by step, for the terms of error and stiffness. The same
// steps and bits as solve(). Its gradient goes through every op of every step; an adaptive solver's
// steps are found first, and count as given. Errors: ValueError for a method that is not an
// explicit Runge-Kutta method, or has no error estimate where its error is wanted; SolveError where
// the steps cannot be found.
struct Walk {
  Tensor y1;       // like y0
  Tensor penalty;  // ()
  std::shared_ptr<Statistics> statistics;
};
Walk walk(const Field& field, const Tensor& y0, const Solver& solver, const Regularization& weights,
          double begin = 0, double end = 1);

}  // namespace slope::ode
