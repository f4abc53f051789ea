// Pooling: values and gradients against the definition, second gradients, ties and NaN, and the
// full text of every message.
#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

struct PoolCase {
  Shape x;
  PoolOptions options = {};
};
const std::vector<PoolCase> kPoolCases = {
    {{2, 4, 6, 3}},
    {{2, 13, 13, 64}, {.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
    {{1, 5, 5, 17}, {.window = {3, 3}, .stride = {1, 1}, .padding = {2, 1}}},
    {{3, 5, 6, 1}, {.window = {2, 3}, .stride = {1, 2}, .padding = {1, 0}}},
    {{1, 7, 7, 2}, {.window = {1, 2}, .stride = {3, 3}}},
    {{1, 1, 1, 4}, {.window = {1, 1}, .stride = {1, 1}}},
    {{0, 4, 4, 2}},
};

// For each value of the result the pixels that its window sees.
std::vector<std::vector<size_t>> windows(const PoolCase& c) {
  const auto length = [&](int axis) {
    const size_t i = static_cast<size_t>(axis - 1);
    return (c.x[axis] + 2 * c.options.padding[i] - c.options.window[i]) / c.options.stride[i] + 1;
  };
  std::vector<std::vector<size_t>> all;
  for (int64_t n = 0; n < c.x[0]; ++n)
    for (int64_t i = 0; i < length(1); ++i)
      for (int64_t j = 0; j < length(2); ++j)
        for (int64_t k = 0; k < c.x[3]; ++k) {
          all.emplace_back();
          for (int64_t r = 0; r < c.options.window[0]; ++r)
            for (int64_t s = 0; s < c.options.window[1]; ++s) {
              const int64_t row = i * c.options.stride[0] + r - c.options.padding[0];
              const int64_t column = j * c.options.stride[1] + s - c.options.padding[1];
              if (row < 0 || row >= c.x[1] || column < 0 || column >= c.x[2]) continue;
              all.back().push_back(
                  static_cast<size_t>(((n * c.x[1] + row) * c.x[2] + column) * c.x[3] + k));
            }
        }
  return all;
}

}  // namespace

TEST_CASE("pools and their gradients") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const PoolCase& c : kPoolCases) {
        CAPTURE(c.x);
        CAPTURE(dtype);
        const Tensor x = mixed(c.x, dtype, 22);
        Tape tape({x});
        const Tensor largest = max_pool2d(x, c.options), average = average_pool2d(x, c.options);
        const Tensor g = mixed(largest.shape(), dtype, 23);
        const Values xs = x.values(), gs = g.values();
        Values expected_largest, expected_average, largest_gradient(xs.size(), 0.0),
            average_gradient(xs.size(), 0.0);
        const double taps = static_cast<double>(c.options.window[0] * c.options.window[1]);
        for (const std::vector<size_t>& seen : windows(c)) {
          const double share = gs[expected_largest.size()];
          size_t winner = seen.front();
          double total = 0;
          for (const size_t i : seen) {
            if (xs[i] > xs[winner]) winner = i;
            total += xs[i];
            average_gradient[i] += share / taps;
          }
          largest_gradient[winner] += share;
          expected_largest.push_back(xs[winner]);
          expected_average.push_back(total / taps);
        }
        check_close(largest, expected_largest, 0);
        check_close(average, expected_average, tolerance_of(dtype));
        check_close(tape.gradient(largest, {x}, g)[0], largest_gradient, tolerance_of(dtype));
        check_close(tape.gradient(average, {x}, g)[0], average_gradient, tolerance_of(dtype));
      }
    }
  });
}

TEST_CASE("second gradients of pools") {
  on_every_device([] {
    const Tensor x = mixed({1, 5, 5, 2}, Dtype::f64, 24), u = mixed(x.shape(), Dtype::f64, 25);
    const PoolOptions options{.window = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
    for (const auto& pool : {max_pool2d, average_pool2d}) {
      const auto value = [&](const Tensor& p) { return sum(exp(pool(p, options))); };
      Tape outer({x});
      Tape tape({x});
      const Tensor d = tape.gradient(value(x), {x})[0];
      check_close(d, numeric_gradient([&](const Tensor& p) { return value(p).item(); }, x, 1e-4),
                  1e-7);
      const auto along = [&](const Tensor& p) {
        Tape inner_tape({p});
        return inner(inner_tape.gradient(value(p), {p})[0], u);
      };
      check_close(outer.gradient(sum(d * u), {x})[0], numeric_gradient(along, x, 1e-4), 1e-7);
    }
  });
}

TEST_CASE("max_pool2d: the first of equal values gets the gradient, NaN wins, -infinity counts") {
  on_every_device([] {
    const double nan = std::nan(""), infinity = INFINITY;
    const Tensor x = tensor(
        {3, 3, 1, 3, nan, 2, 1, nan, -infinity, -infinity, -infinity, -infinity}, {3, 2, 2, 1});
    Tape tape({x});
    const Tensor y = max_pool2d(x);
    CHECK(y.values()[0] == 3);
    CHECK(std::isnan(y.values()[1]));
    CHECK(y.values()[2] == -infinity);
    const Tensor g = tensor({5, 6, 7}).reshape({3, 1, 1, 1});
    CHECK(tape.gradient(y, {x}, g)[0].values() == Values{5, 0, 0, 0, 0, 0, 0, 6, 7, 0, 0, 0});
  });
}

TEST_CASE("global_average_pool is the mean over the pixels") {
  on_every_device([] {
    const Tensor x = mixed({3, 2, 5, 4}, Dtype::f64, 26);
    Tape tape({x});
    const Tensor y = global_average_pool(x);
    CHECK(y.shape() == Shape{3, 4});
    Values expected(12, 0.0), xs = x.values();
    for (size_t i = 0; i < xs.size(); ++i) expected[i / 40 * 4 + i % 4] += xs[i] / 10;
    check_close(y, expected, 1e-14);
    check_close(tape.gradient(sum(y), {x})[0], Values(xs.size(), 0.1), 1e-14);
    CHECK(global_average_pool(zeros({0, 2, 2, 3})).shape() == Shape{0, 3});
  });
}

TEST_CASE("messages of pooling") {
  on_every_device([] {
    const auto f32 = [](const Shape& shape) { return zeros(shape); };
    CHECK_THROWS_WITH_AS(max_pool2d(f32({28, 28, 1})),
                         "max_pool2d: x (28, 28, 1) float32; x has 3 axes, expected 4: (N, H, W, "
                         "C). For one image write "
                         "x.reshape({1, 28, 28, 1}).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(average_pool2d(f32({1, 3, 1, 2})),
                         "average_pool2d: the window does not fit: x (1, 3, 1, 2) float32; it "
                         "covers 2 x 2, the padded "
                         "image is 3 x 1. Use .padding = {0, 1}, or a larger image.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(max_pool2d(f32({1, 4, 4, 2}), {.padding = {1, 2}}),
                         "max_pool2d: .padding = {1, 2}, expected less than the window, {2, 2}: "
                         "some windows would see "
                         "no pixel.",
                         ValueError);
    CHECK_THROWS_WITH_AS(average_pool2d(f32({1, 4, 4, 2}), {.stride = {0, 2}}),
                         "average_pool2d: .stride = {0, 2}, expected at least 1.", ValueError);
    CHECK_THROWS_WITH_AS(max_pool2d(zeros({1, 4, 4, 2}, Dtype::i32)),
                         "max_pool2d: x (1, 4, 4, 2) int32; x must be float32 or float64. Write "
                         "cast(x, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(
        global_average_pool(f32({4, 4})),
        "global_average_pool: x (4, 4) float32; x has 2 axes, expected 4: (N, H, W, C).",
        ShapeError);
    CHECK_THROWS_WITH_AS(global_average_pool(f32({1, 0, 4, 2})),
                         "global_average_pool: x (1, 0, 4, 2) float32 has no pixels to take the "
                         "mean of; H and W must be "
                         "at least 1.",
                         ShapeError);
  });
}
