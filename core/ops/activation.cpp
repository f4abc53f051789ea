#include "core/ops/activation.h"

#include <array>

#include "core/error.h"
#include "core/ops/pointwise.h"

namespace slope {
namespace {

constexpr std::array kActivationNames = {"none", "relu", "gelu",      "softplus",
                                         "tanh", "silu", "leaky_relu"};

}  // namespace

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::softplus:
      return softplus(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::silu:
      return silu(x);
    case Activation::leaky_relu:
      return leaky_relu(x);
  }
  throw ValueError(
      concat("activate: no activation has the number ", static_cast<int64_t>(activation), "."));
}

const char* name(Activation activation) {
  return kActivationNames.at(static_cast<size_t>(activation));
}

Activation activation_named(const std::string& name) {
  std::string all;
  for (size_t i = 0; i < kActivationNames.size(); ++i) {
    if (name == kActivationNames[i]) return static_cast<Activation>(i);
    all += concat(i ? ", " : "", kActivationNames[i]);
  }
  throw ValueError(concat("activation: there is no \"", name, "\". Choose one of ", all, "."));
}

}  // namespace slope
