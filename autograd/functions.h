// What is built on the tape: value_and_grad, vjp, custom gradients, recomputation.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "autograd/tape.h"

namespace slope {

using Function = std::function<Tensors(const Tensors&)>;

struct ValueAndGradient {
  Tensor value;
  Tensors gradient;
};
// Value and gradient of a scalar function at xs.
ValueAndGradient value_and_grad(const std::function<Tensor(const Tensors&)>& f, const Tensors& xs);

struct VjpResult {
  Tensors outputs;
  Tensors gradients;  // like xs
};
// f(xs) and sum_i cotangents[i] * df_i/dxs. Undefined cotangents count as zero.
VjpResult vjp(const Function& f, const Tensors& xs, const Tensors& cotangents);

// A custom function has used a watched tensor that is not among its inputs.
struct LeakError : ValueError {
  LeakError(const std::string& text, std::string leaked)
      : ValueError(text), tensor(std::move(leaked)) {}
  std::string tensor;  // its shape, and its label where it has one
};

// The rule of a custom function: inputs, outputs, cotangents (undefined where nothing flows), and
// which input gradients are wanted -> one gradient per input (undefined: zero).
struct CustomVjp {
  const Tensors& inputs;
  const Tensors& outputs;
  const Tensors& cotangents;
  std::vector<bool> wanted;
  bool differentiable;  // an outer tape listens to the rule
};
using CustomRule = std::function<Tensors(const CustomVjp&)>;
// forward(inputs), differentiated by `rule`. Tapes do not see inside forward (plans do). forward
// must depend on watched tensors only through `inputs`: anything else would lose its gradient, and
// is a LeakError.
Tensors custom(const std::string& name, const Tensors& inputs, const Function& forward,
               const CustomRule& rule);

// f(inputs), keeping only the inputs: the gradient runs f again. The same bits as f itself.
Tensors recompute(const Function& f, const Tensors& inputs);

}  // namespace slope
