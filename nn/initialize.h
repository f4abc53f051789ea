// Initial values of weights, drawn on the host from Philox, so they are the same on every device.
#pragma once

#include "core/random.h"
#include "core/tensor.h"

namespace slope::nn {

// Where and in what precision a layer keeps its parameters.
struct ParameterOptions {
  Dtype dtype = Dtype::f32;
  Device device = default_device();
  // Parameters that are not drawn, whose values mean nothing: for names, shapes and counts alone.
  bool shapes_only = false;
};

// U(-bound, bound).
Tensor uniform_values(const Shape& shape, double bound, Rng& rng,
                      const ParameterOptions& options = {});
// Normal(0, std), by Box-Muller.
Tensor normal_values(const Shape& shape, double std, Rng& rng,
                     const ParameterOptions& options = {});

// Number of inputs (outputs) that meet in one value: weights are (out, .., in), everything between
// is a window.
int64_t fan_in(const Shape& weight);
int64_t fan_out(const Shape& weight);

// How a layer draws its weight and bias.
enum class Initial {
  standard,        // U(+-1 / sqrt(fan_in)) for weight and bias: what PyTorch's layers do by default
  kaiming_normal,  // Normal(0, 2 / fan_in), bias 0 (He et al. 2015)
  kaiming_uniform,  // U(+-sqrt(6 / fan_in)), bias 0: the same variance
  xavier_uniform,   // U(+-sqrt(6 / (fan_in + fan_out))), bias 0 (Glorot and Bengio 2010)
  xavier_normal,    // Normal(0, 2 / (fan_in + fan_out)), bias 0
  orthogonal,       // rows (or columns, where there are fewer) of length 1 at right angles, the
                    // weight seen as a matrix (out, fan_in); bias 0 (Saxe et al. 2014)
  zero,
};
Tensor initial_weight(Initial initial, const Shape& shape, Rng& rng,
                      const ParameterOptions& options);
// fan_in: that of the weight the bias belongs to.
Tensor initial_bias(Initial initial, int64_t size, int64_t fan_in, Rng& rng,
                    const ParameterOptions& options);

}  // namespace slope::nn
