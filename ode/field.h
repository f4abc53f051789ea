// Field: the right side of y' = f(t, y), with everything it depends on.
#pragma once

#include <functional>
#include <optional>

#include "core/tensor.h"

namespace slope::ode {

// t: () or, where samples have times of their own, (N, 1, .., 1); y: any shape -> the shape of y.
// Both have y's dtype. context: Field::context, or tensors that stand for it.
using FieldFunction =
    std::function<Tensor(const Tensor& t, const Tensor& y, const Tensors& context)>;

// A field of two halves: y is positions q and then momenta p, equal parts of one axis, and
//   q' = position_slope(t, p)    p' = momentum_slope(t, q)
// with p and q of half y's size on that axis. Symplectic methods need to know.
struct Halves {
  int axis = -1;  // may be counted from the end
  FieldFunction position_slope;
  FieldFunction momentum_slope;
};

struct Field {
  // The tensors f depends on: weights, and what is made once per solve (maps of the time channel,
  // dropout masks). Gradients reach exactly these, so `evaluate` must use its argument, not tensors
  // that it has captured; a watched one that is captured is an error.
  Tensors context = {};
  FieldFunction evaluate;
  // Only for an `evaluate` that does more than return a value, say, collects running statistics:
  // the same value without that. The gradient uses it to compute a step once more, and steps of
  // such a field are never replayed from plans.
  FieldFunction evaluate_again = {};
  // Set by separable_field.
  std::optional<Halves> halves = {};
  // Times at which f is discontinuous: a step ends at each of them, and on either side f is
  // evaluated on that side (jumps.h).
  std::vector<double> jumps = {};
  // Places in the context of tensors that hold a row for each sample, (N, ..), such as dropout
  // masks: a solve with steps per sample picks their rows along with those of the state.
  std::vector<size_t> per_sample_context = {};

  Tensor operator()(const Tensor& t, const Tensor& y) const;
};

// A field that is separable by construction: neither half sees its own variable.
Field separable_field(const Halves& halves, const Tensors& context = {});

// The same field as a gradient or a search for an error evaluates it once more.
Field without_side_effects(const Field& field);
// The same field on other tensors.
Field with_context(const Field& field, const Tensors& context);

}  // namespace slope::ode
