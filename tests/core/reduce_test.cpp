// Reductions: values, special values, independence of threads, and the full text of every message.
// Gradients are checked for all ops by the conformance suite.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"

using namespace slope;
using Values = std::vector<double>;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename F>
void on_every_device(F&& checks) {
  for (const Device device : devices()) {
    CAPTURE(device.name());
    const DeviceScope scope(device);
    checks();
  }
}

// Values that look random and are all different: multiples of 1/1024 in [-4, 4).
Tensor mixed(const Shape& shape, Dtype dtype) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(static_cast<double>(i * 2654435761u % 8191) / 1024 - 4);
  }
  return tensor(values, shape, dtype);
}

// The sum of map(x) over `axes`, the slow way.
template <typename F>
Values summed(const Tensor& x, const Axes& axes, F&& map) {
  const Shape& shape = x.shape();
  const Values values = x.values();
  Shape kept = shape;
  for (int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
  const Strides in = contiguous_strides(shape), out = contiguous_strides(kept);
  Values result(static_cast<size_t>(kept.size()), 0.0);
  for (int64_t i = 0; i < shape.size(); ++i) {
    int64_t place = 0;
    for (int k = 0; k < shape.rank(); ++k) {
      if (kept[k] != 1) place += i / in[k] % shape[k] * out[k];
    }
    result[static_cast<size_t>(place)] += map(values[static_cast<size_t>(i)]);
  }
  return result;
}

void check_close(const Values& got, const Values& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected[i]) / (1 + std::abs(expected[i])));
  }
  CHECK(worst <= tolerance);
}

// A shape and the axes to reduce: rows, columns, both, neither, in the middle, odd and large.
struct Case {
  Shape shape;
  Axes axes;
};
const std::vector<Case> kCases = {
    {{3, 5}, {1}},        {{3, 5}, {0}},        {{2, 3, 4}, {1}},       {{2, 3, 4}, {0, 2}},
    {{7, 1000}, {1}},     {{1000, 7}, {0}},     {{33, 129}, {0, 1}},    {{5, 6, 7, 64}, {1, 2}},
    {{2, 6, 6, 3}, {3}},  {{9, 6, 6, 64}, {0}}, {{40, 30, 64}, {0, 1}}, {{64, 70, 3}, {1}},
    {{1, 4097}, {0}},     {{4097, 1}, {1}},     {{100003}, {0}},        {{3, 1, 17, 2}, {0, 3}},
    {{300, 2, 300}, {1}}, {{2, 50000}, {1}},    {{50000, 2}, {0}},      {{20, 50, 100}, {0, 2}},
};

}  // namespace

TEST_CASE("sums, norms and extrema of all kinds of shapes") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const double tolerance = dtype == Dtype::f32 ? 2e-6 : 1e-13;
      for (const auto& [shape, axes] : kCases) {
        CAPTURE(shape);
        CAPTURE(axes);
        const Tensor x = mixed(shape, dtype);
        const double n =
            static_cast<double>(shape.size()) / static_cast<double>(sum(x, axes).size());
        const Values squares = summed(x, axes, [](double v) { return v * v; });
        // Errors of a sum are relative to the sum of absolute values.
        Values expected = summed(x, axes, [](double v) { return v; });
        const Values absolute = summed(x, axes, [](double v) { return std::abs(v); });
        const Values got = sum(x, axes).values();
        REQUIRE(got.size() == expected.size());
        double worst = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          worst = std::max(worst, std::abs(got[i] - expected[i]) / (1 + absolute[i]));
          expected[i] /= n;
        }
        CHECK(worst <= tolerance);
        check_close(mean(x, axes).values(), expected, tolerance);
        Values norms = squares;
        for (double& v : norms) v = std::sqrt(v);
        check_close(norm(x, axes).values(), norms, tolerance);

        const Tensor y = max(x, axes, true), z = min(x, axes, true);
        CHECK(sum(cast(x > y, Dtype::f32)).item() == 0);
        CHECK(sum(cast(x < z, Dtype::f32)).item() == 0);
        CHECK(min(sum(equal(x, y), axes)).item() >= 1);
        CHECK(min(sum(equal(x, z), axes)).item() >= 1);
        CHECK(y.values() == max(x, axes).values());
      }
    }
  });
}

TEST_CASE("shapes of reductions") {
  const Tensor x = zeros({2, 3, 4});
  CHECK(sum(x).shape() == Shape{});
  CHECK(sum(x, {}, true).shape() == Shape{1, 1, 1});
  CHECK(sum(x, {-1}).shape() == Shape{2, 3});
  CHECK(sum(x, {2, 0}).shape() == Shape{3});
  CHECK(sum(x, {0, -1}, true).shape() == Shape{1, 3, 1});
  CHECK(argmax(x).shape() == Shape{2, 3});
  CHECK(argmax(x, 0).shape() == Shape{3, 4});
  CHECK(argmax(x).dtype() == Dtype::i32);
  CHECK(logsumexp(x, 1).shape() == Shape{2, 4});
  CHECK(logsumexp(x, -2, true).shape() == Shape{2, 1, 4});
}

TEST_CASE("reductions of views, scalars and nothing") {
  on_every_device([] {
    const Tensor x = tensor({1, 2, 3, 4, 5, 6}, {2, 3});
    CHECK(sum(transpose(x), {0}).values() == Values{6, 15});
    CHECK(sum(slice(x, 1, 0, 3, 2), {1}).values() == Values{4, 10});
    CHECK(sum(expand(tensor({2, 3}), {4, 2}), {0}).values() == Values{8, 12});
    CHECK(sum(scalar(3)).item() == 3);
    CHECK(norm(scalar(-3)).item() == 3);
    CHECK(max(scalar(-3)).item() == -3);
    CHECK(sum(zeros({0, 2}), {0}).values() == Values{0, 0});
    CHECK(sum(zeros({0, 2}), {1}).size() == 0);
    CHECK(std::isnan(mean(zeros({0})).item()));
    CHECK(variance(tensor({1, 2, 3, 6})).item() == doctest::Approx(3.5));
    CHECK(rms(tensor({3, 4, 0, 0})).item() == doctest::Approx(2.5));
  });
}

TEST_CASE("NaN and infinity come through") {
  on_every_device([] {
    for (const int64_t n : {3, 100}) {
      for (int64_t place = 0; place < n; place += 1 + n / 7) {
        Values values(static_cast<size_t>(n), 1.0);
        values[static_cast<size_t>(place)] = kNan;
        const Tensor x = tensor(values, {n, 1}, Dtype::f32);
        CHECK(std::isnan(sum(x).item()));
        CHECK(std::isnan(max(x).item()));
        CHECK(std::isnan(min(x).item()));
        CHECK(std::isnan(norm(x).item()));
        CHECK(std::isnan(max(expand(x, {n, 20}), {0}).values().back()));
        CHECK(argmax(x, 0).item() == place);
        CHECK(argmax(transpose(x), 1).item() == place);
        values[static_cast<size_t>(place)] = kInfinity;
        const Tensor y = tensor(values, {n}, Dtype::f64);
        CHECK(sum(y).item() == kInfinity);
        CHECK(max(y).item() == kInfinity);
        CHECK(min(-y).item() == -kInfinity);
        CHECK(argmax(y).item() == place);
      }
    }
    CHECK(max(full({5}, -kInfinity)).item() == -kInfinity);
    CHECK(argmax(full({5}, -kInfinity)).item() == 0);
  });
}

TEST_CASE("argmax gives the first of equals") {
  on_every_device([] {
    CHECK(argmax(tensor({1, 3, 3, 2, 0, 0}, {2, 3}), 1).values() == Values{1, 0});
    CHECK(argmax(tensor({1, 3, 3, 1, 3, 0}, {2, 3}), 0).values() == Values{0, 0, 0});
    const Tensor x = mixed({50, 40}, Dtype::f32);
    const Values values = x.values(), best = argmax(x).values();
    for (size_t i = 0; i < 50; ++i) {
      const auto row = values.begin() + static_cast<int64_t>(i * 40);
      CHECK(best[i] == double(std::max_element(row, row + 40) - row));
    }
  });
}

TEST_CASE("logsumexp neither overflows nor loses small values") {
  on_every_device([] {
    const Tensor x = tensor({1000, 1000, -1000, -1000, -kInfinity, 3}, {3, 2}, Dtype::f64);
    const Values y = logsumexp(x, 1).values();
    CHECK(y[0] == doctest::Approx(1000 + std::log(2)).epsilon(1e-15));
    CHECK(y[1] == doctest::Approx(-1000 + std::log(2)).epsilon(1e-15));
    CHECK(y[2] == 3);
    CHECK(logsumexp(full({2}, -kInfinity), 0).item() == -kInfinity);
  });
}

TEST_CASE("gradients where a reduction has a corner") {
  on_every_device([] {
    const Tensor x = tensor({1, 3, 3, 2, 0, 2}, {2, 3}, Dtype::f64);
    Tape tape({x});
    CHECK(tape.gradient(sum(max(x, {1})), {x})[0].values() == Values{0, 0.5, 0.5, 0.5, 0, 0.5});
    CHECK(tape.gradient(min(x), {x})[0].values() == Values{0, 0, 0, 0, 1, 0});
    const Tensor zero = zeros({3}, Dtype::f64);
    Tape other({zero});
    CHECK(other.gradient(norm(zero), {zero})[0].values() == Values{0, 0, 0});
    CHECK(other.gradient(rms(zero), {zero})[0].values() == Values{0, 0, 0});
  });
}

TEST_CASE("sum_to undoes a broadcast") {
  on_every_device([] {
    const Tensor x = tensor({1, 2, 3, 4, 5, 6}, {2, 3});
    CHECK(sum_to(x, {3}).values() == Values{5, 7, 9});
    CHECK(sum_to(x, {2, 1}).values() == Values{6, 15});
    CHECK(sum_to(x, {1, 3}).shape() == Shape{1, 3});
    CHECK(sum_to(x, {}).item() == 21);
    CHECK(sum_to(x, {2, 3}).id() == x.id());
    CHECK(sum_to(x.reshape({1, 2, 3}), {2, 3}).shape() == Shape{2, 3});
  });
}

TEST_CASE("the bits of a reduction do not depend on the number of threads") {
  const int before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const auto& [shape, axes] : kCases) {
      CAPTURE(shape);
      CAPTURE(axes);
      const Tensor x = mixed(shape, dtype) * 0.1;
      std::vector<Values> results;
      for (const int count : {1, 2, 8}) {
        cpu::set_threads(count);
        results.push_back(sum(x, axes).values());
        const Values norms = norm(x, axes).values();
        results.back().insert(results.back().end(), norms.begin(), norms.end());
      }
      CHECK(results[0] == results[1]);
      CHECK(results[0] == results[2]);
    }
  }
  cpu::set_threads(before);
}

TEST_CASE("a large float32 sum stays accurate") {
  on_every_device([] {
    // Added one by one in float32, ten million times 0.1 is 1087937.
    const Tensor x = full({10000000}, 0.1);
    const double expected = 1e7 * double{0.1f};
    CHECK(std::abs(sum(x).item() - expected) < 1e-6 * expected);
  });
}

TEST_CASE("messages of reductions") {
  on_every_device([] {
    CHECK_THROWS_WITH_AS(sum(zeros({2, 3}), {2}),
                         "sum: axis 2 is outside of a tensor with 2 axes (-2 to 1).", ShapeError);
    CHECK_THROWS_WITH_AS(mean(zeros({2, 3}), {1, -1}),
                         "mean: axes (1, -1) name axis 1 of x (2, 3) float32 twice.", ShapeError);
    CHECK_THROWS_WITH_AS(sum(arange(3)),
                         "sum: x (3) int32; x must be float32 or float64. Write cast(x, "
                         "Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(max(zeros({2, 0}), {1}),
                         "max: x (2, 0) float32 has no values along axis 1. Only sum and mean are "
                         "defined there.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(argmax(zeros({0})),
                         "argmax: x (0) float32 has no values along axis 0. Only sum and mean are "
                         "defined there.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(sum_to(zeros({2, 3}), {2, 2}),
                         "sum_to: x (2, 3) float32 is not the broadcast of (2, 2); x axis 1 is 3, "
                         "axis 1 of the shape is 2.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(sum_to(zeros({3}), {1, 3}),
                         "sum_to: x (3) float32 has fewer axes than shape (1, 3).", ShapeError);
  });
}
