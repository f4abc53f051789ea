// Trainable Runge-Kutta methods: members of the families (families.h) whose parameters are tensors,
// with gradients like any weight's.
//
//   const Tensor u = scalar(0.5);
//   const Solver solver{.method = trainable_rk2(u), .stepping = Steps{8}};
//   Tape tape({u});
//   Tensor loss = f(solve_differentiable(field, x, {0, 1}, solver).y);
//   Tensors d = tape.gradient(loss, {u});
#pragma once

#include "ode/scheme.h"

namespace slope::ode {

// u, v: (), float32 or float64; cast to the states' dtype. They are used as they are when a solve
// begins, so an optimiser may update them in place. Which coefficients are zero comes from the
// family, never from the values. Errors, when a solve begins: a parameter at a pole (not looked at
// inside a capture, where values cannot be read).
Method trainable_rk2(const Tensor& u);
Method trainable_rk3(const Tensor& u, const Tensor& v);
Method trainable_rk4_u1(const Tensor& u);
Method trainable_rk4_u2(const Tensor& u);
Method trainable_rk4_u3(const Tensor& u);
Method trainable_rk4(const Tensor& u, const Tensor& v);

}  // namespace slope::ode
