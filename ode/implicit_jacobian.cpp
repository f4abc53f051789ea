#include "ode/implicit_jacobian.h"

#include <algorithm>

#include "core/ops/movement.h"

namespace slope::ode {

Linearized::Linearized(const FixedPointMap& g, const Tensors& x, const Tensors& parameters,
                       const std::vector<bool>& wanted)
    : wanted_(wanted) {
  Tensors watched;
  for (const Tensor& part : x) x_.push_back(part.alias());
  watched = x_;
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters_.push_back(parameters[i].defined() ? parameters[i].alias() : Tensor());
    if (i < wanted.size() && wanted[i]) watched.push_back(parameters_.back());
  }
  tape_ = std::make_unique<Tape>(watched);
  value_ = g(x_, parameters_);
  tape_deaf_ = std::make_unique<Deafen>(*tape_);
  for (const Tensor& part : value_) seen_ = seen_ || tape_->tracks(part);
}

Tensors Linearized::vector_jacobian(const Tensors& u) { return tape_->gradient(value_, x_, u); }

Tensors Linearized::gradients(const Tensors& u) {
  Tensors asked;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (wanted_[i]) asked.push_back(parameters_[i]);
  }
  const Tensors found = tape_->gradient(value_, asked, u);
  Tensors all(parameters_.size());
  for (size_t i = 0, next = 0; i < wanted_.size(); ++i) {
    if (wanted_[i]) all[i] = found[next++];
  }
  return all;
}

Tensors Linearized::jacobian_vector(const Tensors& v) {
  if (!second_) {
    // u^T g' is linear in u, so where its gradient is taken does not matter.
    for (const Tensor& part : value_) direction_.push_back(ones_like(part));
    second_ = std::make_unique<Tape>(direction_);
    transposed_ = vector_jacobian(direction_);
    second_deaf_ = std::make_unique<Deafen>(*second_);
    seen_twice_ = std::any_of(transposed_.begin(), transposed_.end(),
                              [&](const Tensor& part) { return second_->tracks(part); });
  }
  return second_->gradient(transposed_, direction_, v);
}

}  // namespace slope::ode
