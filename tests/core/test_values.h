// Values, comparisons and numeric derivatives that tests of ops share.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "core/ops.h"

namespace slope::test {

using Values = std::vector<double>;

// Runs the checks on every device of this build.
template <typename F>
void on_every_device(F&& checks) {
  for (const Device device : devices()) {
    CAPTURE(device.name());
    const DeviceScope scope(device);
    checks();
  }
}

// Values that look random: multiples of 1/512 in [-2, 2), exact in float32. Another `start`, other
// values.
inline Tensor mixed(const Shape& shape, Dtype dtype, int64_t start = 0) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(static_cast<double>((i + start * 7919 + 17) * 2654435761u % 2039) / 512 - 2);
  }
  return tensor(values, shape, dtype);
}

// |got - expected| <= tolerance * max(1, largest expected).
inline void check_close(const Tensor& got, const Values& expected, double tolerance) {
  const Values values = got.values();
  REQUIRE(values.size() == expected.size());
  double worst = 0, scale = 1;
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = std::abs(values[i] - expected[i]);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
    scale = std::max(scale, std::abs(expected[i]));
  }
  CHECK(worst <= tolerance * scale);
}
inline double tolerance_of(Dtype dtype) { return dtype == Dtype::f64 ? 1e-13 : 2e-6; }

// sum(a * b) on the host.
inline double inner(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const Values x = a.values(), y = b.values();
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

// Central differences of a scalar function at x, float64.
inline Values numeric_gradient(const std::function<double(const Tensor&)>& f, const Tensor& x,
                               double h = 1e-5) {
  Values values = x.values(), result;
  for (double& value : values) {
    const double old = value;
    value = old + h;
    const double up = f(tensor(values, x.shape(), Dtype::f64));
    value = old - h;
    const double down = f(tensor(values, x.shape(), Dtype::f64));
    value = old;
    result.push_back((up - down) / (2 * h));
  }
  return result;
}

}  // namespace slope::test
