#include "nn/initialize.h"

#include <cmath>
#include <numbers>

namespace slope::nn {
namespace {

template <typename Draw>
Tensor drawn(const Shape& shape, const ParameterOptions& options, Draw draw) {
  std::vector<double> values(static_cast<size_t>(shape.size()));
  for (double& v : values) v = draw();
  return tensor(values, shape, options.dtype, options.device);
}

}  // namespace

Tensor uniform_values(const Shape& shape, double bound, Rng& rng, const ParameterOptions& options) {
  return drawn(shape, options, [&] { return (2 * rng.uniform() - 1) * bound; });
}

Tensor normal_values(const Shape& shape, double std, Rng& rng, const ParameterOptions& options) {
  return drawn(shape, options, [&] {
    const double radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
    return std * radius * std::cos(2 * std::numbers::pi * rng.uniform());
  });
}

int64_t fan_in(const Shape& weight) { return weight[0] == 0 ? 0 : weight.size() / weight[0]; }

int64_t fan_out(const Shape& weight) {
  return weight.back() == 0 ? 0 : weight.size() / weight.back();
}

Tensor initial_weight(Initial initial, const Shape& shape, Rng& rng,
                      const ParameterOptions& options) {
  const auto in = static_cast<double>(fan_in(shape)), out = static_cast<double>(fan_out(shape));
  switch (initial) {
    case Initial::standard:
      return uniform_values(shape, 1 / std::sqrt(in), rng, options);
    case Initial::kaiming_normal:
      return normal_values(shape, std::sqrt(2 / in), rng, options);
    case Initial::xavier_uniform:
      return uniform_values(shape, std::sqrt(6 / (in + out)), rng, options);
    case Initial::xavier_normal:
      return normal_values(shape, std::sqrt(2 / (in + out)), rng, options);
    case Initial::zero:
      break;
  }
  return drawn(shape, options, [] { return 0.0; });
}

Tensor initial_bias(Initial initial, int64_t size, int64_t fan_in, Rng& rng,
                    const ParameterOptions& options) {
  if (initial == Initial::standard) {
    return uniform_values({size}, 1 / std::sqrt(static_cast<double>(fan_in)), rng, options);
  }
  return drawn({size}, options, [] { return 0.0; });
}

}  // namespace slope::nn
