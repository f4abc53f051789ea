#include "nn/initialize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace slope::nn {
namespace {

template <typename Draw>
Tensor drawn(const Shape& shape, const ParameterOptions& options, Draw draw) {
  if (options.shapes_only) return empty(shape, options.dtype, options.device);
  std::vector<double> values(static_cast<size_t>(shape.size()));
  for (double& v : values) v = draw();
  return tensor(values, shape, options.dtype, options.device);
}

// By Gram and Schmidt, the projections taken out twice: once leaves rounding errors that grow with
// the number of rows.
Tensor orthogonal_values(const Shape& shape, Rng& rng, const ParameterOptions& options) {
  const size_t out = static_cast<size_t>(shape[0]), in = static_cast<size_t>(fan_in(shape));
  const bool tall = out > in;  // then the columns are made orthogonal
  const size_t count = std::min(out, in), length = std::max(out, in);
  std::vector<std::vector<double>> rows(count);
  for (size_t i = 0; i < count; ++i) {
    rows[i] = normal_values({static_cast<int64_t>(length)}, 1, rng, {.dtype = Dtype::f64}).values();
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t j = 0; j < i; ++j) {
        const double along =
            std::inner_product(rows[i].begin(), rows[i].end(), rows[j].begin(), 0.0);
        for (size_t k = 0; k < length; ++k) rows[i][k] -= along * rows[j][k];
      }
    }
    const double size =
        std::sqrt(std::inner_product(rows[i].begin(), rows[i].end(), rows[i].begin(), 0.0));
    for (double& v : rows[i]) v /= size;
  }
  size_t at = 0;
  return drawn(shape, options, [&] {
    const size_t r = at / in, c = at % in;
    ++at;
    return tall ? rows[c][r] : rows[r][c];
  });
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
    case Initial::kaiming_uniform:
      return uniform_values(shape, std::sqrt(6 / in), rng, options);
    case Initial::xavier_uniform:
      return uniform_values(shape, std::sqrt(6 / (in + out)), rng, options);
    case Initial::xavier_normal:
      return normal_values(shape, std::sqrt(2 / (in + out)), rng, options);
    case Initial::orthogonal:
      if (!options.shapes_only && shape.size() > 0) return orthogonal_values(shape, rng, options);
      break;
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
