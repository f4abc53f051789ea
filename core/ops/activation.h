// The activations that a normalisation can apply in its own pass.
#pragma once

#include <cstdint>

namespace slope {

// `none` keeps the values; leaky_relu has slope 0.01; gelu is the exact one.
enum class Activation : int64_t { none, relu, gelu, softplus, tanh, silu, leaky_relu };

}  // namespace slope
