// The activations that follow a normalisation, as formulas: a kernel applies them to numbers, a
// gradient rule to tensors. Both are the text of pointwise.def, so that a fused norm and its
// decomposition agree to rounding.
#pragma once

#include <type_traits>

#include "core/ops/activation.h"
#include "core/ops/pointwise_formulas.h"

namespace slope::formula {

// The type of a pointwise op's host numbers: double beside a tensor.
template <typename V>
using Number = std::conditional_t<std::is_floating_point_v<V>, V, double>;

struct NoActivation {
  template <typename V>
  SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V value(const V& z) {
    return z;
  }
  // The cotangent of z from the cotangent g of value(z).
  template <typename V>
  SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V gradient(const V& g, const V&) {
    return g;
  }
};

// kept: what the derivative's line in pointwise.def reads, z or value(z); p: the line's first
// number.
#define SLOPE_ACTIVATION(Struct, op, kept, number)                                          \
  struct Struct {                                                                           \
    template <typename V>                                                                   \
    SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V value(const V& z) {    \
      return op##_value::eval(&z, Number<V>(number), Number<V>(0));                         \
    }                                                                                       \
    template <typename V>                                                                   \
    SLOPE_HOST_DEVICE static inline __attribute__((always_inline)) V gradient(const V& g,   \
                                                                              const V& z) { \
      static_assert(op##_dx::arity == 2);                                                   \
      const V in[2] = {g, kept};                                                            \
      return op##_dx::eval(in, Number<V>(number), Number<V>(0));                            \
    }                                                                                       \
  };
SLOPE_ACTIVATION(Relu, relu, value(z), 0)
SLOPE_ACTIVATION(Gelu, gelu, z, 0)
SLOPE_ACTIVATION(Softplus, softplus, z, 0)
SLOPE_ACTIVATION(Tanh, tanh, value(z), 0)
SLOPE_ACTIVATION(Silu, silu, z, 0)
SLOPE_ACTIVATION(LeakyRelu, leaky_relu, z, 0.01)
#undef SLOPE_ACTIVATION

// Calls f.operator()<Formula>() with the formulas of `activation`.
template <typename F>
inline __attribute__((always_inline)) decltype(auto) with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::relu:
      return f.template operator()<Relu>();
    case Activation::gelu:
      return f.template operator()<Gelu>();
    case Activation::softplus:
      return f.template operator()<Softplus>();
    case Activation::tanh:
      return f.template operator()<Tanh>();
    case Activation::silu:
      return f.template operator()<Silu>();
    case Activation::leaky_relu:
      return f.template operator()<LeakyRelu>();
    case Activation::none:
      break;
  }
  return f.template operator()<NoActivation>();
}

}  // namespace slope::formula
