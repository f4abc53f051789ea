// rk_combine and error_norm: values, what is not read, gradients, extremes, messages.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "backends/cpu/threads.h"
#include "core/ops.h"
#include "tests/core/test_values.h"

using namespace slope;
using namespace slope::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The shape of h: one step for all (rank 0) or one for each sample.
Shape step_shape(const Shape& y, bool per_sample) {
  if (!per_sample) return {};
  Shape shape = Shape::filled(y.rank(), 1);
  shape[0] = y[0];
  return shape;
}

Tensors some_slopes(const Shape& shape, Dtype dtype, int64_t count) {
  Tensors slopes;
  for (int64_t i = 0; i < count; ++i) slopes.push_back(mixed(shape, dtype, 10 + i));
  return slopes;
}

Values some_coefficients(int64_t count) {
  Values coefficients;
  for (int64_t i = 0; i < count; ++i) {
    coefficients.push_back((i % 2 ? -1.0 : 1.0) / static_cast<double>(i + 2));
  }
  return coefficients;
}

Values expected_combination(const Tensor& y, const Tensor& h, const Tensors& slopes,
                            const Values& coefficients) {
  const Values steps = h.values();
  Values result(slopes[0].values().size(), 0.0);
  for (size_t s = 0; s < slopes.size(); ++s) {
    const Values k = slopes[s].values();
    for (size_t i = 0; i < k.size(); ++i) result[i] += coefficients[s] * k[i];
  }
  const Values start = y.defined() ? y.values() : Values(result.size(), 0.0);
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = start[i] + steps[i * steps.size() / result.size()] * result[i];
  }
  return result;
}

// More than one block and task of the cpu kernels, and sizes that fill no vector.
const Shape kShapes[] = {{}, {1}, {7}, {3, 5}, {4, 6, 6, 8}, {3, 7001}, {1000, 2}, {0, 3}};

double expected_error_norm(const Values& e, const Values& y0, const Values& y1, size_t begin,
                           size_t end, double atol, double rtol) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) {
    const double scaled = e[i] / (atol + rtol * std::max(std::abs(y0[i]), std::abs(y1[i])));
    sum += scaled * scaled;
  }
  return std::sqrt(sum / static_cast<double>(end - begin));
}

}  // namespace

TEST_CASE("rk_combine is y + h times the weighted slopes") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Shape& shape : kShapes) {
        for (const int64_t count : {1, 2, 3, 4, 5, 8, 13, 16}) {
          for (const bool per_sample : {false, true}) {
            if (per_sample && shape.rank() == 0) continue;
            CAPTURE(shape);
            CAPTURE(count);
            const Tensor y = mixed(shape, dtype),
                         h = mixed(step_shape(shape, per_sample), dtype, 5);
            const Tensors slopes = some_slopes(shape, dtype, count);
            const Values c = some_coefficients(count);
            const double tolerance = 4 * tolerance_of(dtype);
            check_close(rk_combine(y, h, slopes, c), expected_combination(y, h, slopes, c),
                        tolerance);
            check_close(rk_combine({}, h, slopes, c), expected_combination({}, h, slopes, c),
                        tolerance);
            const std::vector<char> all(static_cast<size_t>(count), 1);
            const Tensor trained = tensor(c, {count}, dtype);
            check_close(rk_combine(y, h, slopes, trained,
                                   {reinterpret_cast<const bool*>(all.data()), all.size()}),
                        expected_combination(y, h, slopes, c), tolerance);
          }
        }
      }
    }
  });
}

TEST_CASE("slopes without a coefficient are not read") {
  on_every_device([] {
    const Tensor y = mixed({5}, Dtype::f64), h = scalar(0.5, Dtype::f64);
    const Tensor k = mixed({5}, Dtype::f64, 1), nan = full({5}, NAN, Dtype::f64);
    const Values expected = rk_combine(y, h, Tensors{k}, Values{2}).values();
    CHECK(rk_combine(y, h, Tensors{nan, k, nan}, Values{0, 2, 0}).values() == expected);
    CHECK(rk_combine(y, h, Tensors{{}, k}, Values{0, 2}).values() == expected);
    const bool used[] = {false, true, false};
    const Tensor c = tensor({7, 2, NAN}, Dtype::f64);
    CHECK(rk_combine(y, h, Tensors{nan, k, nan}, c, used).values() == expected);
    // Nothing at all: the first stage of any method.
    CHECK(rk_combine(y, h, Tensors{nan}, Values{0}).id() == y.id());
    CHECK(rk_combine(y, h, {}, Values{}).id() == y.id());
    CHECK(rk_combine({}, h, Tensors{k}, Values{0}).values() == Values(5, 0.0));
  });
}

TEST_CASE("rk_combine is differentiable in y, h, the slopes and trained coefficients") {
  on_every_device([] {
    for (const bool per_sample : {false, true}) {
      const Shape shape{3, 2};
      Tensors inputs{mixed(shape, Dtype::f64), mixed(step_shape(shape, per_sample), Dtype::f64, 5),
                     tensor({0.25, -0.5, 9, 0.75}, Dtype::f64)};
      for (const Tensor& k : some_slopes(shape, Dtype::f64, 4)) inputs.push_back(k);
      const Tensor g = mixed(shape, Dtype::f64, 3);
      const bool used[] = {true, true, false, true};
      const auto fixed = [&](const Tensors& v) {
        return sum(g * rk_combine(v[0], v[1], std::span(v).subspan(3), Values{0.5, 0, -1, 2}));
      };
      const auto trained = [&](const Tensors& v) {
        return sum(g * rk_combine(v[0], v[1], std::span(v).subspan(3), v[2], used));
      };
      const std::function<Tensor(const Tensors&)> functions[] = {fixed, trained};
      for (const auto& f : functions) {
        Tape tape(inputs);
        const Tensors d = tape.gradient(f(inputs), inputs);
        for (size_t i = 0; i < inputs.size(); ++i) {
          CAPTURE(i);
          const Values expected = numeric_gradient(
              [&](const Tensor& x) {
                Tensors moved = inputs;
                moved[i] = x;
                return f(moved).item();
              },
              inputs[i]);
          check_close(d[i], expected, 1e-9);
        }
      }
    }
  });
}

TEST_CASE("error_norm is the root mean square of the scaled error") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const Shape& shape : kShapes) {
        if (shape.size() == 0) continue;
        CAPTURE(shape);
        const Tensor e = mixed(shape, dtype) * 0.01, y0 = mixed(shape, dtype, 1),
                     y1 = mixed(shape, dtype, 2);
        const Values ve = e.values(), v0 = y0.values(), v1 = y1.values();
        const double tolerance = tolerance_of(dtype);
        check_close(error_norm(e, y0, y1, {1e-2, 1e-1}),
                    {expected_error_norm(ve, v0, v1, 0, ve.size(), 1e-2, 1e-1)}, tolerance);
        if (shape.rank() == 0) continue;
        const auto samples = static_cast<size_t>(shape[0]);
        const size_t values = ve.size() / samples;
        Values expected;
        for (size_t n = 0; n < samples; ++n) {
          expected.push_back(
              expected_error_norm(ve, v0, v1, n * values, (n + 1) * values, 1e-2, 1e-1));
        }
        const Tensor each = error_norm(e, y0, y1, {1e-2, 1e-1, true});
        CHECK(each.shape() == Shape{shape[0]});
        check_close(each, expected, tolerance);
        // To the bit the same as alone.
        const auto sample = [](const Tensor& x) { return contiguous(slice(x, 0, 0, 1)); };
        CHECK(error_norm(sample(e), sample(y0), sample(y1), {1e-2, 1e-1, true}).values()[0] ==
              each.values()[0]);
      }
    }
    CHECK(error_norm(zeros({0, 3}), zeros({0, 3}), zeros({0, 3}), {1, 1, true}).shape() ==
          Shape{0});
  });
}

TEST_CASE("NaN and infinity come through an error norm, large ratios do not overflow") {
  on_every_device([] {
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      for (const int64_t n : {3, 40, 9000}) {
        for (const int64_t place : {int64_t{0}, n / 2, n - 1}) {
          const auto with = [&](double value, double elsewhere) {
            Values values(static_cast<size_t>(n), elsewhere);
            values[static_cast<size_t>(place)] = value;
            return tensor(values, {n}, dtype);
          };
          const Tensor e = full({n}, 0.5, dtype), y = ones({n}, dtype);
          const ErrorNormOptions options{0, 1};
          CHECK(std::isnan(error_norm(with(NAN, 0), y, y, options).item()));
          CHECK(std::isnan(error_norm(e, with(NAN, 1), y, options).item()));
          CHECK(std::isnan(error_norm(e, y, with(NAN, 1), options).item()));
          CHECK(error_norm(with(kInfinity, 0), y, y, options).item() == kInfinity);
          CHECK(error_norm(e, y, y, options).item() == 0.5);
          const double large = 1e30, expected = large / std::sqrt(static_cast<double>(n));
          CHECK(std::abs(error_norm(with(large, 0), y, y, options).item() - expected) <
                1e-6 * expected);
        }
      }
    }
  });
}

TEST_CASE("the gradient of error_norm, and zero at no error") {
  on_every_device([] {
    for (const bool per_sample : {false, true}) {
      const ErrorNormOptions options{0.1, 0.5, per_sample};
      const Tensors inputs{mixed({3, 4}, Dtype::f64), mixed({3, 4}, Dtype::f64, 1),
                           mixed({3, 4}, Dtype::f64, 2)};
      const auto f = [&](const Tensors& v) { return sum(error_norm(v[0], v[1], v[2], options)); };
      Tape tape(inputs);
      const Tensors d = tape.gradient(f(inputs), inputs);
      for (size_t i = 0; i < 3; ++i) {
        const Values expected = numeric_gradient(
            [&](const Tensor& x) {
              Tensors moved = inputs;
              moved[i] = x;
              return f(moved).item();
            },
            inputs[i]);
        check_close(d[i], expected, 1e-9);
      }
      const Tensor e = zeros({3, 4}, Dtype::f64);
      Tape at_zero({e});
      check_close(at_zero.gradient(f({e, inputs[1], inputs[2]}), {e})[0], Values(12, 0.0), 0);
    }
  });
}

TEST_CASE("the bits of a step do not depend on the number of threads") {
  const int before = cpu::threads();
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Shape shape{13, 9001};
    const Tensor y = mixed(shape, dtype), h = mixed({13, 1}, dtype, 5);
    const Tensors slopes = some_slopes(shape, dtype, 5);
    std::vector<std::vector<Values>> results;
    for (const int count : {1, 2, 8}) {
      cpu::set_threads(count);
      results.push_back({rk_combine(y, h, slopes, some_coefficients(5)).values(),
                         error_norm(slopes[0], y, slopes[1], {}).values(),
                         error_norm(slopes[0], y, slopes[1], {.per_sample = true}).values()});
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  cpu::set_threads(before);
}

TEST_CASE("messages of rk_combine and error_norm") {
  on_every_device([] {
    const Tensor y = zeros({8, 2}), h = scalar(0.1), k = zeros({8, 3});
    CHECK_THROWS_WITH_AS(rk_combine(y, h, Tensors{k}, Values{1}),
                         "rk_combine: y (8, 2) float32, slopes[0] (8, 3) float32; y and all slopes "
                         "must have the same shape.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(rk_combine(y, h, Tensors{y, zeros({8, 2}, Dtype::f64)}, Values{1, 1}),
                         "rk_combine: slopes[1] (8, 2) float64, slopes[0] (8, 2) float32; y and "
                         "all slopes must have the same dtype.",
                         DtypeError);
    CHECK_THROWS_WITH_AS(rk_combine(y, zeros({8}), Tensors{y}, Values{1}),
                         "rk_combine: h (8) float32, slopes[0] (8, 2) float32; h must be (), or "
                         "one step for each sample: (8, 1).",
                         ShapeError);
    CHECK_THROWS_WITH_AS(rk_combine(y, scalar(0.1, Dtype::f64), Tensors{y}, Values{1}),
                         "rk_combine: h () float64, slopes[0] (8, 2) float32; h must have the "
                         "dtype of the slopes. Write cast(h, Dtype::f32).",
                         DtypeError);
    CHECK_THROWS_WITH_AS(rk_combine(y, h, Tensors{y, y}, Values{1}),
                         "rk_combine: 2 slopes, but 1 coefficients. Pass one for each slope.",
                         ValueError);
    CHECK_THROWS_WITH_AS(rk_combine({}, h, {}, Values{}),
                         "rk_combine: neither y nor slopes. Pass one of them.", ValueError);
    CHECK_THROWS_WITH_AS(
        rk_combine(y, h, Tensors(17, y), Values(17, 1.0)),
        "rk_combine: 17 slopes with a coefficient, at most 16 fit. Combine the first ones, and "
        "pass the result as y with the rest.",
        ValueError);
    CHECK_THROWS_WITH_AS(error_norm(y, k, y, {}),
                         "error_norm: shapes differ: e (8, 2) float32, y0 (8, 3) float32, y1 (8, "
                         "2) float32. All three must be equal.",
                         ShapeError);
    CHECK_THROWS_WITH_AS(error_norm(y, y, y, {.atol = -1}),
                         "error_norm: atol is -1, rtol is 0.001; neither may be negative.",
                         ValueError);
    CHECK_THROWS_WITH_AS(error_norm(h, h, h, {.per_sample = true}),
                         "error_norm: e () has no sample axis. Leave per_sample false.",
                         ShapeError);
  });
}
