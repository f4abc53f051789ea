#include "ode/field.h"

#include "core/ops/movement.h"

namespace slope::ode {

Tensor Field::operator()(const Tensor& t, const Tensor& y) const {
  if (!evaluate) {
    throw ValueError("solve: the field has no function. Write Field{.evaluate = ...}.");
  }
  Tensor k = evaluate(t, y, context);
  if (!k.defined() || k.shape() != y.shape() || k.dtype() != y.dtype()) {
    throw ShapeError(concat("solve: the field returned ",
                            k.defined() ? describe(k) : std::string("an undefined tensor"),
                            " for y ", describe(y),
                            ". A field must return the shape and dtype of y."));
  }
  return k;
}

Field separable_field(const Halves& halves, const Tensors& context) {
  Field field{.context = context, .evaluate = {}, .halves = halves};
  field.evaluate = [halves](const Tensor& t, const Tensor& y, const Tensors& c) {
    const int axis = halves.axis < 0 ? halves.axis + y.rank() : halves.axis;
    const int64_t size = y.dim(axis);
    const Tensor q = slice(y, axis, 0, size / 2), p = slice(y, axis, size / 2, size);
    return concatenate({halves.position_slope(t, p, c), halves.momentum_slope(t, q, c)}, axis);
  };
  return field;
}

Field without_side_effects(const Field& field) {
  Field plain = field;
  if (field.evaluate_again) plain.evaluate = field.evaluate_again;
  plain.evaluate_again = {};
  return plain;
}

Field with_context(const Field& field, const Tensors& context) {
  Field other = field;
  other.context = context;
  return other;
}

}  // namespace slope::ode
