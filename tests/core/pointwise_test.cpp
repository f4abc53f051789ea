// Pointwise ops: messages, broadcasting over every layout, host numbers, and the corners of the
// formulas. That kernels, gradients and golden values agree is the business of tests/ops.
#include "core/ops/pointwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/functions.h"
#include "core/ops/movement.h"
#include "core/ops/reduce.h"
#include "tests/core/test_values.h"

using namespace slope;
using test::mixed;
using test::on_every_device;
using test::Values;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

// Each way to lay out the same values.
std::vector<Tensor> layouts(const Tensor& x) {
  std::vector<Tensor> all = {x};
  if (x.rank() == 2) {
    all.push_back(transpose(copy(transpose(x))));
    all.push_back(slice(concatenate({x, x}, 1), 1, x.dim(1), 2 * x.dim(1)));
    const Tensor spread = pad(x, {{0, 0}, {0, 0}, {1, 2}, 99});  // 99 between the values
    all.push_back(slice(spread, 1, 0, spread.dim(1), 2));
    if (x.dim(0) == 1) all.push_back(expand(x.reshape({x.dim(1)}), x.shape()));
  }
  return all;
}

void check_values(const Tensor& got, const Values& expected) {
  const Values values = got.values();
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    if (std::isnan(expected[i])) {
      CHECK(std::isnan(values[i]));
    } else {
      CHECK(values[i] == expected[i]);
    }
  }
}

Tensor gradient_of(const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  return value_and_grad([&](const Tensors& in) { return sum(f(in[0])); }, {x}).gradient[0];
}

}  // namespace

TEST_CASE("pointwise: shapes broadcast, aligned at the right, in every layout") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const std::pair<Shape, Shape> shapes[] = {{{3, 4}, {3, 4}}, {{3, 4}, {1, 4}},
                                                {{3, 1}, {1, 4}}, {{1, 4}, {3, 1}},
                                                {{3, 4}, {3, 1}}, {{1, 1}, {5, 7}}};
      for (const auto& [a_shape, b_shape] : shapes) {
        const Tensor a = mixed(a_shape, dtype), b = mixed(b_shape, dtype, 1);
        const Values av = a.values(), bv = b.values();
        const int64_t rows = std::max(a_shape[0], b_shape[0]);
        const int64_t columns = std::max(a_shape[1], b_shape[1]);
        Values expected;
        const auto at = [](const Values& v, const Shape& s, int64_t i, int64_t j) {
          return v[static_cast<size_t>((s[0] == 1 ? 0 : i) * s[1] + (s[1] == 1 ? 0 : j))];
        };
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            expected.push_back(at(av, a_shape, i, j) - at(bv, b_shape, i, j));
          }
        }
        for (const Tensor& x : layouts(a)) {
          for (const Tensor& y : layouts(b)) {
            CHECK((x - y).shape() == Shape{rows, columns});
            CHECK((x - y).values() == expected);  // multiples of 1/512: exact
          }
        }
      }
    }
    CHECK((tensor({1, 2, 3}) + scalar(10)).values() == Values{11, 12, 13});
    CHECK((ones({2, 1, 3}) + ones({4, 1})).shape() == Shape{2, 4, 3});
    CHECK((ones({0, 3}) + ones({1, 3})).shape() == Shape{0, 3});
    CHECK((ones({1, 3}) * ones({0, 1})).size() == 0);
  });
}

TEST_CASE("pointwise: messages") {
  on_every_device([] {
    CHECK_THROWS_WITH_AS(ones({32, 10}) + ones({32}),
                         "add: shapes do not broadcast: a (32, 10) float32, b (32) float32; a axis "
                         "1 is 10, b axis 0 is 32. Use b.reshape({32, 1}) to add along rows.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(mul(ones({2, 3, 4}), ones({2, 4})),
                         "mul: shapes do not broadcast: a (2, 3, 4) float32, b (2, 4) float32; a "
                         "axis 1 is 3, b axis 0 is 2.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(select(ones({2}), ones({2}), ones({3})),
                         "select: shapes do not broadcast: condition (2) float32, a (2) float32, b "
                         "(3) float32; a axis 0 is 2, b axis 0 is 3.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(div(ones({2}), ones({2}, Dtype::f64)),
                         "div: dtypes differ: a (2) float32, b (2) float64. Nothing is converted "
                         "silently; write cast(b, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(mul(ones({2}, Dtype::f64), ones({2})),
                         "mul: dtypes differ: a (2) float64, b (2) float32. Nothing is converted "
                         "silently; write cast(b, Dtype::f64).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(
        relu(arange(3)),
        "relu: x (3) int32; x must be float32 or float64. Write cast(x, Dtype::f32).", DtypeError);
    CHECK_THROWS_WITH_AS(add(ones({3}), arange(3)),
                         "add: a (3) float32, b (3) int32; b must be float32 or float64. Write "
                         "cast(b, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(clamp(ones({2}), 3, 1), "clamp: low 3 is above high 1. Swap them.",
                         ValueError);
    CHECK_THROWS_AS(clamp(ones({2}), 0, kNan), ValueError);
  });
}

TEST_CASE("pointwise: host numbers take the tensor's dtype, on either side") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Tensor x = tensor({1, 2, 4}, dtype);
      check_values(x + 0.5, {1.5, 2.5, 4.5});
      check_values(0.5 + x, {1.5, 2.5, 4.5});
      check_values(x - 0.5, {0.5, 1.5, 3.5});
      check_values(0.5 - x, {-0.5, -1.5, -3.5});
      check_values(x * 3, {3, 6, 12});
      check_values(3 * x, {3, 6, 12});
      check_values(x / 2, {0.5, 1, 2});
      check_values(2 / x, {2, 1, 0.5});
      check_values(-x, {-1, -2, -4});
      check_values(x < 2, {1, 0, 0});
      check_values(x <= 2, {1, 1, 0});
      check_values(x > 2, {0, 0, 1});
      check_values(x >= 2, {0, 1, 1});
      CHECK((x > 2).dtype() == dtype);
      CHECK((x * 3).dtype() == dtype);
      // No tensor is made for the number, and the number keeps its precision.
      const Tensor third = x / 3;
      CHECK(third.values()[0] == (dtype == Dtype::f64 ? 1.0 / 3 : double{1.0f / 3}));
    }
    const Tensor a = tensor({1, 2}), b = tensor({2, 2});
    check_values(a < b, {1, 0});
    check_values(a >= b, {0, 1});
    check_values(equal(a, b), {0, 1});
    check_values(not_equal(a, b), {1, 0});
  });
}

TEST_CASE("pointwise: what is not finite comes through") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Tensor x = tensor({kNan, kInf, -kInf, 0}, dtype);
      check_values(x + 1.0, {kNan, kInf, -kInf, 1});
      check_values(exp(x), {kNan, kInf, 0, 1});
      check_values(tanh(x), {kNan, 1, -1, 0});
      check_values(sigmoid(x), {kNan, 1, 0, 0.5});
      check_values(abs(x), {kNan, kInf, kInf, 0});
      check_values(maximum(x, zeros_like(x)), {kNan, kInf, 0, 0});
      check_values(minimum(zeros_like(x), x), {kNan, 0, -kInf, 0});
      check_values(is_finite(x), {0, 0, 0, 1});
      check_values(equal(x, x), {0, 1, 1, 1});
      check_values(clamp(x, -1, 1), {kNan, 1, -1, 0});
      check_values(sqrt(tensor({-1, 0}, dtype)), {kNan, 0});
      check_values(log(tensor({-1, 0}, dtype)), {kNan, -kInf});
      check_values(reciprocal(tensor({0, -4}, dtype)), {kInf, -0.25});
      check_values(erf(x), {kNan, 1, -1, 0});
    }
  });
}

TEST_CASE("pointwise: gradients at kinks and ties are the stated convention") {
  on_every_device([] {
    const Tensor zero = tensor({0, 0}, Dtype::f64), one = tensor({1, -1}, Dtype::f64);
    check_values(gradient_of([](const Tensor& x) { return relu(x); }, zero), {0, 0});
    check_values(gradient_of([](const Tensor& x) { return abs(x); }, zero), {0, 0});
    check_values(gradient_of([](const Tensor& x) { return clamp(x, -1, 1); }, one), {1, 1});
    check_values(gradient_of([](const Tensor& x) { return maximum(x, zeros_like(x)); }, zero),
                 {0.5, 0.5});
    check_values(gradient_of([](const Tensor& x) { return minimum(zeros_like(x), x); }, zero),
                 {0.5, 0.5});
    check_values(gradient_of([](const Tensor& x) { return sign(x) + floor(x); }, one), {0, 0});
    check_values(gradient_of([](const Tensor& x) { return select(x > 0, x * 3, x * 5); }, one),
                 {3, 5});
    // What is not taken cannot spoil what is.
    check_values(gradient_of([](const Tensor& x) { return select(x > 0, x, full_like(x, kNan)); },
                             tensor({1, 2}, Dtype::f64)),
                 {1, 1});
  });
}

TEST_CASE("pointwise: large and awkward sizes") {
  on_every_device([] {
    for (const int64_t n : {1, 7, 8, 15, 16, 17, 31, 63, 65, 1000, 100003}) {
      const Tensor x = mixed({n}, Dtype::f32), y = mixed({n}, Dtype::f32, 1);
      const Values xv = x.values(), yv = y.values(), got = (x * 2 + y).values();
      bool same = true;
      for (size_t i = 0; i < got.size(); ++i) same = same && got[i] == xv[i] * 2 + yv[i];
      CAPTURE(n);
      CHECK(same);
    }
  });
}
