// Softmax, losses and dropout: values, extremes, gradients, labels that are no class, messages.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/op.h"
#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor labels(const std::vector<int32_t>& values) {
  return from_host(values, {static_cast<int64_t>(values.size())});
}

const Op& op_named(const std::string& name) {
  const auto found = std::find_if(all_ops().begin(), all_ops().end(),
                                  [&](const Op* op) { return name == op->name; });
  REQUIRE(found != all_ops().end());
  return **found;
}

// Row by row.
Values expected_log_softmax(const Tensor& x) {
  Values values = x.values();
  const auto classes = static_cast<size_t>(x.shape().back());
  for (size_t begin = 0; begin < values.size(); begin += classes) {
    double top = -kInfinity, sum = 0;
    for (size_t i = begin; i < begin + classes; ++i) top = std::max(top, values[i]);
    for (size_t i = begin; i < begin + classes; ++i) sum += std::exp(values[i] - top);
    for (size_t i = begin; i < begin + classes; ++i) values[i] -= top + std::log(sum);
  }
  return values;
}

const Shape kShapes[] = {{4, 10}, {2, 3, 5}, {3, 1}, {1, 33}, {2, 700}, {7}, {0, 4}};

}  // namespace

TEST_CASE("softmax and log_softmax") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Shape& shape : kShapes) {
        CAPTURE(shape);
        const Tensor x = mixed(shape, dtype) * 3;
        Values expected = expected_log_softmax(x);
        check_close(log_softmax(x), expected, tolerance_of(dtype));
        for (double& v : expected) v = std::exp(v);
        check_close(softmax(x), expected, tolerance_of(dtype));
      }
    }
  });
}

TEST_CASE("softmax along another axis is softmax of the transpose") {
  on_every_device([] {
    const Tensor x = mixed({3, 4, 5}, Dtype::f64);
    for (const int axis : {0, 1, -2}) {
      const Axes swapped = axis == 0 ? Axes{2, 1, 0} : Axes{0, 2, 1};
      CHECK(softmax(x, axis).values() ==
            copy(permute(softmax(copy(permute(x, swapped))), swapped)).values());
      check_close(sum(log_softmax(x, axis) - log(softmax(x, axis))), {0}, 1e-13);
    }
  });
}

TEST_CASE("softmax does not overflow, and infinities have their limits") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const Tensor x = tensor({800, -800, 0, 1e4, 1e4, 0, 0, -kInfinity, 0}, dtype).reshape({3, 3});
      check_close(softmax(x), {1, 0, 0, 0.5, 0.5, 0, 0.5, 0, 0.5}, 1e-6);
      const double half = -std::log(2.0);
      const Values y = log_softmax(x).values();
      CHECK(y[1] == -1600);
      CHECK(std::abs(y[3] - half) < 1e-3);
      CHECK(y[7] == -kInfinity);
      CHECK(std::isnan(softmax(tensor({1, NAN}, dtype)).values()[0]));
    }
  });
}

TEST_CASE("cross-entropy, its reductions and label smoothing") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const int64_t classes : {1, 3, 10, 37, 600}) {
        CAPTURE(classes);
        const int64_t n = 5;
        const Tensor x = mixed({n, classes}, dtype) * 2;
        std::vector<int32_t> y;
        for (int64_t i = 0; i < n; ++i) y.push_back(static_cast<int32_t>(i * 7 % classes));
        const Values log_p = expected_log_softmax(x);
        for (const double smoothing : {0.0, 0.1}) {
          Values losses(n);
          double total = 0;
          for (int64_t i = 0; i < n; ++i) {
            for (int64_t k = 0; k < classes; ++k) {
              const double target = (y[static_cast<size_t>(i)] == k ? 1 - smoothing : 0) +
                                    smoothing / static_cast<double>(classes);
              losses[static_cast<size_t>(i)] -=
                  target * log_p[static_cast<size_t>(i * classes + k)];
            }
            total += losses[static_cast<size_t>(i)];
          }
          const auto loss = [&](Reduction reduction) {
            return cross_entropy(x, labels(y), {reduction, smoothing});
          };
          check_close(loss(Reduction::none), losses, tolerance_of(dtype));
          check_close(loss(Reduction::sum), {total}, tolerance_of(dtype));
          check_close(loss(Reduction::mean), {total / n}, tolerance_of(dtype));
        }
      }
    }
  });
}

TEST_CASE("the gradient of cross-entropy is softmax minus target") {
  on_every_device([] {
    const Tensor x = mixed({4, 6}, Dtype::f64), y = labels({0, 5, 2, 2});
    for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
      for (const double smoothing : {0.0, 0.2}) {
        const CrossEntropyOptions options{reduction, smoothing};
        const Tensor g = reduction == Reduction::none ? tensor({1, -2, 0, 3}, Dtype::f64)
                                                      : scalar(1.5, Dtype::f64);
        Tape tape({x});
        const Tensor d = tape.gradient(cross_entropy(x, y, options), {x}, g)[0];
        check_close(
            d,
            numeric_gradient(
                [&](const Tensor& v) { return sum(g * cross_entropy(v, y, options)).item(); }, x),
            1e-9);
      }
    }
  });
}

TEST_CASE("a label that is no class makes its loss and its gradient NaN, and reads nothing") {
  on_every_device([] {
    const Tensor x = mixed({3, 4}, Dtype::f32);
    for (const int32_t bad : {-1, 4, 1 << 30, -(1 << 30)}) {
      const Tensor y = labels({1, bad, 3});
      for (const double smoothing : {0.0, 0.1}) {
        const CrossEntropyOptions each{Reduction::none, smoothing};
        Tape tape({x});
        const Tensor losses = cross_entropy(x, y, each);
        const Values d = tape.gradient(losses, {x}, ones({3}))[0].values();
        for (size_t row = 0; row < 3; ++row) {
          CHECK(std::isnan(losses.values()[row]) == (row == 1));
          for (size_t i = 0; i < 4; ++i) CHECK(std::isnan(d[row * 4 + i]) == (row == 1));
        }
        CHECK(std::isnan(cross_entropy(x, y, {Reduction::mean, smoothing}).item()));
        // A backend without the kernel decides the same.
        const Tensors inputs{x, y};
        const Attributes attributes(each);
        const Call call{op_named("cross_entropy"), inputs, attributes};
        const Values decomposed = call.op.decompose(call)[0].values();
        for (size_t row = 0; row < 3; ++row) CHECK(std::isnan(decomposed[row]) == (row == 1));
      }
    }
  });
}

TEST_CASE("binary cross-entropy is exact in both tails") {
  on_every_device([] {
    const Tensor x = tensor({-800, -40, 40, 800, 0, 2}, Dtype::f64);
    const Tensor t = tensor({1, 0, 1, 0, 1, 0.25}, Dtype::f64);
    const Values losses = binary_cross_entropy_with_logits(x, t, Reduction::none).values();
    const double tail = std::exp(-40.0);  // log(1 + e^-40)
    CHECK(losses[0] == 800);
    CHECK(std::abs(losses[1] - tail) < 1e-12 * tail);
    CHECK(std::abs(losses[2] - tail) < 1e-12 * tail);
    CHECK(losses[3] == 800);
    CHECK(std::abs(losses[4] - std::log(2.0)) < 1e-15);
    const double p = 1 / (1 + std::exp(-2.0));
    CHECK(std::abs(losses[5] + 0.25 * std::log(p) + 0.75 * std::log(1 - p)) < 1e-14);
    double total = 0;
    for (const double loss : losses) total += loss;
    check_close(binary_cross_entropy_with_logits(x, t), {total / 6}, 1e-15);
    check_close(binary_cross_entropy_with_logits(x, t, Reduction::sum), {total}, 1e-15);
    Tape tape({x});
    const Values d =
        tape.gradient(binary_cross_entropy_with_logits(x, t, Reduction::sum), {x})[0].values();
    CHECK(d[0] == -1);
    CHECK(std::abs(d[1] - tail) < 1e-12 * tail);
    CHECK(d[3] == 1);
    CHECK(std::abs(d[5] - (p - 0.25)) < 1e-14);
  });
}

TEST_CASE("mean squared error") {
  on_every_device([] {
    const Tensor x = tensor({1, 2, 4}, Dtype::f64), t = tensor({1, 0, 1}, Dtype::f64);
    check_close(mean_squared_error(x, t), {13.0 / 3}, 1e-15);
    check_close(mean_squared_error(x, t, Reduction::sum), {13}, 0);
    check_close(mean_squared_error(x, t, Reduction::none), {0, 4, 9}, 0);
    Tape tape({x});
    check_close(tape.gradient(mean_squared_error(x, t), {x})[0], {0, 4.0 / 3, 2}, 1e-15);
  });
}

TEST_CASE("dropout keeps a share 1 - p, scaled, and its gradient uses the same mask") {
  on_every_device([] {
    const Tensor x = ones({200, 100});
    const Tensor key = make_key(7, 1, 2);
    CHECK(dropout(x, 0, key).id() == x.id());
    const double p = 0.25;
    Tape tape({x});
    const Tensor y = dropout(x, p, key);
    const Values values = y.values();
    CHECK(tape.gradient(y, {x}, ones_like(y))[0].values() == values);
    CHECK(dropout(x, p, key).values() == values);
    CHECK(dropout(x, p, make_key(7, 1, 3)).values() != values);
    int64_t kept = 0;
    for (const double v : values) {
      CHECK((v == 0 || std::abs(v - 1 / (1 - p)) < 1e-6));
      kept += v != 0;
    }
    // Five standard deviations of a binomial distribution.
    const double n = 20000, expected = n * (1 - p);
    CHECK(std::abs(static_cast<double>(kept) - expected) < 5 * std::sqrt(n * p * (1 - p)));
  });
}

TEST_CASE("the bits of softmax and cross-entropy do not depend on the number of threads") {
  const int before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Tensor x = mixed({700, 30}, dtype) * 3;
    const Tensor y = cast(abs(mixed({700}, dtype)) * 10, Dtype::i32);
    std::vector<std::vector<Values>> results;
    for (const int count : {1, 2, 8}) {
      cpu::set_threads(count);
      Tape tape({x});
      const Tensor loss = cross_entropy(x, y);
      results.push_back({loss.values(), tape.gradient(loss, {x})[0].values(), softmax(x).values(),
                         log_softmax(x).values()});
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  cpu::set_threads(before);
}

TEST_CASE("messages of softmax and the losses") {
  on_every_device([] {
    const Tensor x = zeros({32, 10});
    CHECK_THROWS_WITH_AS(softmax(zeros({2, 3}), 2),
                         "softmax: axis 2 is outside of a tensor with 2 axes (-2 to 1).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(cross_entropy(x, labels({1, 2})),
                         "cross_entropy: logits (32, 10) float32, labels (2) int32; logits axis 0 "
                         "is 32, labels axis 0 is 2. Each row needs one label.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(cross_entropy(x, zeros({32})),
                         "cross_entropy: logits (32, 10) float32, labels (32) float32; labels must "
                         "be int32: the number of a class for each row. Write cast(labels, "
                         "Dtype::i32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(cross_entropy(x, zeros({32, 10}, Dtype::i32)),
                         "cross_entropy: logits (32, 10) float32, labels (32, 10) int32; labels "
                         "must be (N), it has 2 axes. For one-hot labels write argmax(labels, 1).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(cross_entropy(zeros({10}), labels({1})),
                         "cross_entropy: logits (10) float32, labels (1) int32; logits must be (N, "
                         "classes), it has 1 axes.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(cross_entropy(zeros({1, 3}), labels({1}), {.label_smoothing = 1.5}),
                         "cross_entropy: label_smoothing is 1.5, it must lie in 0..1.", ValueError);
    CHECK_THROWS_WITH_AS(mean_squared_error(zeros({3}), zeros({3, 1})),
                         "mean_squared_error: x (3) float32, target (3, 1) float32; they must have "
                         "the same shape and dtype.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(dropout(x, 1, make_key(0, 0, 0)),
                         "dropout: p is 1, it must lie in [0, 1).", ValueError);
  });
}
