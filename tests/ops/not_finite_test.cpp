// NaN must come through: an op that turns it into a number hides a broken model from everything
// that looks for it, the loss first.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "autograd/functions.h"
#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using test::on_every_device;

namespace {

// The window is the whole image.
const PoolOptions kWhole{{5, 4}, {5, 4}, {0, 0}};
NormOptions with(Activation activation) { return {.epsilon = 1e-5, .activation = activation}; }
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// 19 values, so that vector kernels have a rest; one of them NaN.
Tensor with_nan(size_t place, Dtype dtype, const Shape& shape = {1, 19}) {
  std::vector<double> values(static_cast<size_t>(shape.size()), 0.5);
  values[place] = kNan;
  return tensor(values, shape, dtype);
}

bool any_nan(const Tensor& x) {
  for (const double v : x.values()) {
    if (std::isnan(v)) return true;
  }
  return false;
}

// f of a tensor with one NaN has a NaN, wherever it stands.
void check(const std::string& what, const std::function<Tensor(const Tensor&)>& f,
           const Shape& shape = {1, 19}) {
  CAPTURE(what);
  on_every_device([&] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const size_t place : {size_t{0}, size_t{7}, size_t{18}})
        CHECK(any_nan(f(with_nan(place, dtype, shape))));
    }
  });
}

}  // namespace

TEST_CASE("NaN comes through pointwise ops, on either side") {
  const std::pair<const char*, Tensor (*)(const Tensor&)> unary[] = {
      {"neg", neg},       {"abs", abs},
      {"exp", exp},       {"expm1", expm1},
      {"log", log},       {"log1p", log1p},
      {"sqrt", sqrt},     {"rsqrt", rsqrt},
      {"square", square}, {"reciprocal", reciprocal},
      {"sin", sin},       {"cos", cos},
      {"tanh", tanh},     {"sigmoid", sigmoid},
      {"relu", relu},     {"softplus", softplus},
      {"silu", silu},     {"erf", erf},
      {"gelu", gelu}};
  for (const auto& [name, f] : unary) check(name, f);
  check("leaky_relu", [](const Tensor& x) { return leaky_relu(x); });
  check("elu", [](const Tensor& x) { return elu(x); });
  check("clamp", [](const Tensor& x) { return clamp(x, -1, 1); });
  check("pow", [](const Tensor& x) { return pow(x, 2.5); });
  check("maximum of a number", [](const Tensor& x) { return maximum(x, 0.0); });
  check("minimum of a number", [](const Tensor& x) { return minimum(x, 0.0); });
  const std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)> binary[] = {
      {"add", add}, {"sub", sub},         {"mul", mul},        {"div", div},
      {"pow", pow}, {"maximum", maximum}, {"minimum", minimum}};
  for (const auto& [name, f] : binary) {
    check(name, [f = f](const Tensor& x) { return f(x, ones_like(x) * 2); });
    check(name, [f = f](const Tensor& x) { return f(ones_like(x) * 2, x); });
  }
}

TEST_CASE("NaN comes through reductions, pools, norms and losses") {
  check("sum", [](const Tensor& x) { return sum(x); });
  check("mean", [](const Tensor& x) { return mean(x); });
  check("max", [](const Tensor& x) { return max(x, Axes{1}); });
  check("min", [](const Tensor& x) { return min(x, Axes{1}); });
  check("softmax", [](const Tensor& x) { return softmax(x, 1); });
  check("log_softmax", [](const Tensor& x) { return log_softmax(x, 1); });
  check("matmul", [](const Tensor& x) { return matmul(x, transpose(ones_like(x))); });
  check("cross_entropy",
        [](const Tensor& x) { return cross_entropy(x, from_host(std::vector<int32_t>{3}, {1})); });
  const Shape image = {1, 5, 4, 1};
  check(
      "max_pool", [](const Tensor& x) { return max_pool2d(x, kWhole); }, image);
  check(
      "average_pool", [](const Tensor& x) { return average_pool2d(x, kWhole); }, image);
  for (const Activation activation :
       {Activation::none, Activation::relu, Activation::gelu, Activation::softplus,
        Activation::tanh, Activation::silu, Activation::leaky_relu}) {
    check(name(activation), [&](const Tensor& x) { return activate(x, activation); });
    check(
        std::string("group_norm + ") + name(activation),
        [&](const Tensor& x) { return group_norm(x, {}, {}, 1, with(activation)); }, image);
  }
}

TEST_CASE("pow: derivatives where the formula has 0 times infinity are 0") {
  on_every_device([] {
    const Tensor x = tensor({0, 2}, Dtype::f64), zero = tensor({0, 0}, Dtype::f64);
    const auto d = [](const std::function<Tensor(const Tensor&)>& f, const Tensor& at) {
      return value_and_grad([&](const Tensors& in) { return sum(f(in[0])); }, {at})
          .gradient[0]
          .values();
    };
    CHECK(d([](const Tensor& a) { return pow(a, 0.0); }, x) == std::vector<double>{0, 0});
    CHECK(d([&](const Tensor& a) { return pow(a, zero); }, x) == std::vector<double>{0, 0});
    CHECK(d([&](const Tensor& b) { return pow(x, b); }, zero + 1) ==
          std::vector<double>{0, 2 * std::log(2.0)});
    CHECK(d([](const Tensor& a) { return pow(a, 1.0); }, x) == std::vector<double>{1, 1});
  });
}
