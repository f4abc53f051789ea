// The activations that a normalisation can apply in its own pass.
#pragma once

#include <cstdint>
#include <string>

namespace slope {

class Tensor;

// `none` keeps the values; leaky_relu has slope 0.01; gelu is the exact one.
enum class Activation : int64_t { none, relu, gelu, softplus, tanh, silu, leaky_relu };

// x: any shape -> like x
Tensor activate(const Tensor& x, Activation activation);
const char* name(Activation activation);               // as written above
Activation activation_named(const std::string& name);  // ValueError lists the names

}  // namespace slope
