#include "ode/field.h"

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

Field without_side_effects(const Field& field) {
  return {.context = field.context,
          .evaluate = field.evaluate_again ? field.evaluate_again : field.evaluate};
}

}  // namespace slope::ode
