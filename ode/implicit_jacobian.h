// A function at one point: its value, and its Jacobian from both sides, without a matrix.
#pragma once

#include <memory>

#include "autograd/tape.h"
#include "ode/implicit_newton.h"

namespace slope::ode {

class Linearized {
 public:
  // Evaluates g(x, parameters). wanted: parameters whose gradient gradients() will be asked for.
  Linearized(const FixedPointMap& g, const Tensors& x, const Tensors& parameters,
             const std::vector<bool>& wanted = {});

  const Tensors& value() const { return value_; }
  Tensors vector_jacobian(const Tensors& u);  // u^T g', like x
  Tensors jacobian_vector(const Tensors& v);  // g' v, like x
  // u^T dg/dp for each wanted parameter; undefined for the others.
  Tensors gradients(const Tensors& u);

  // Whether the tape has seen x in the value. Where it has not, g' is zero as far as anybody can
  // tell.
  bool seen() const { return seen_; }
  // The same for the second derivative that jacobian_vector takes, once it has been called.
  bool seen_twice() const { return seen_twice_; }

 private:
  Tensors x_, parameters_;  // under names of their own: a tensor may stand in several places
  std::vector<bool> wanted_;
  std::unique_ptr<Tape> tape_, second_;
  std::unique_ptr<Deafen> tape_deaf_, second_deaf_;
  Tensors value_, direction_, transposed_;  // transposed_: direction_^T g'
  bool seen_ = false, seen_twice_ = true;
};

}  // namespace slope::ode
