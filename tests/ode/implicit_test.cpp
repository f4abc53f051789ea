// One implicit Runge-Kutta step: what it solves, its gradient, and images as states.
#include "ode/implicit.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "core/ops.h"
#include "ode/methods.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

std::shared_ptr<NewtonReport> fresh() { return std::make_shared<NewtonReport>(); }

Step step(const Tableau& m, const Field& f, double t, double t1, const Tensor& y,
          const ImplicitOptions& options = {},
          const std::shared_ptr<NewtonReport>& report = fresh()) {
  const Tensor clock = step_clock(m, t, t1, y.dtype(), y.device());
  return implicit_step(m, f, read_clock(clock), y, {}, options, report);
}

double largest(const Tensor& x) { return max(abs(x)).item(); }

// How far each slope is from f at its stage: what the step should have solved.
double largest_residual(const Tableau& m, const Field& f, double t, double t1, const Tensor& y,
                        const Step& s) {
  const StepTimes at = read_clock(step_clock(m, t, t1, y.dtype(), y.device()));
  double worst = 0;
  for (size_t i = 0; i < m.b.size(); ++i) {
    const Tensor argument = m.a[i].empty() ? y : rk_combine(y, at.h, s.slopes, [&] {
      std::vector<double> row = m.a[i];
      row.resize(m.b.size(), 0);
      return row;
    }());
    worst = std::max(worst, std::abs(t1 - t) * largest(s.slopes[i] - f(at.t[i], argument)));
  }
  return worst;
}

// A convolution field on images, in the manner of an ODE net's block.
Field convolution_field(const Tensors& weights) {
  return {.context = weights, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
            const Conv2dOptions same{.padding = {1, 1}};
            return conv2d(tanh(conv2d(y, c[0], {}, same) + t * c[2]), c[1], {}, same);
          }};
}

Tensor wave(const Shape& shape, double phase, double size, Dtype dtype) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.size(); ++i) {
    values.push_back(size * std::sin(1.7 * static_cast<double>(i % 9973) + phase));
  }
  return tensor(values, shape, dtype);
}

}  // namespace

TEST_CASE("implicit step: every slope is the field at its stage, to rounding") {
  for (const Tableau& m : implicit_methods()) {
    for (const Problem& p : order_problems()) {
      CAPTURE(m.name);
      CAPTURE(p.name);
      const auto report = fresh();
      const Step s = step(m, p.field, 0.1, 0.3, p.y0, {}, report);
      CHECK(report->converged);
      CHECK(largest_residual(m, p.field, 0.1, 0.3, p.y0, s) < 1e-13);
      CHECK(report->evaluations > 0);
    }
  }
}

TEST_CASE("implicit step: on y' = z y the factor is the stability function") {
  const double z = -1e4;
  const Field f{.evaluate = [=](const Tensor&, const Tensor& y, const Tensors&) { return z * y; }};
  const auto factor = [&](const char* name) {
    return step(tableau(name), f, 0, 1, row({1})).y1.item();
  };
  CHECK(factor("implicit-euler") == doctest::Approx(1 / (1 - z)).epsilon(1e-8));
  CHECK(factor("implicit-midpoint") == doctest::Approx((1 + z / 2) / (1 - z / 2)).epsilon(1e-10));
  CHECK(factor("trapezoid") == doctest::Approx((1 + z / 2) / (1 - z / 2)).epsilon(1e-10));
  CHECK(factor("gauss4") ==
        doctest::Approx((1 + z / 2 + z * z / 12) / (1 - z / 2 + z * z / 12)).epsilon(1e-9));
  CHECK(std::abs(factor("radau5")) < 1e-3);
  CHECK(std::abs(factor("kvaerno3")) < 1e-3);
}

TEST_CASE("implicit step: gradient with respect to t, h, y and the context") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y = wave({2, 3}, 0.4, 1, Dtype::f64);
  for (const Tableau& m : implicit_methods()) {
    CAPTURE(m.name);
    const Tensor clock = step_clock(m, 0.2, 0.9, Dtype::f64, y.device());
    const auto f = [&](const Tensors& in) {
      const Field field = small_network({in[2], in[3], in[4], in[5]});
      const Step s = implicit_step(m, field, read_clock(in[0]), in[1], {}, {}, fresh());
      return Tensors{s.y1, s.slopes.back()};
    };
    const Tensors in = {clock, y, weights[0], weights[1], weights[2], weights[3]};
    for (const uint64_t seed : {0, 1}) {
      const GradcheckResult check = gradcheck(f, in, {.tolerance = 1e-8, .seed = seed});
      CHECK_MESSAGE(check.passed, check.message);
    }
    const GradcheckResult second = gradcheck_second(f, in, {.tolerance = 1e-6});
    CHECK_MESSAGE(second.passed, second.message);
  }
}

TEST_CASE("implicit step: a sample's result does not depend on the samples beside it") {
  const Tensors weights = small_weights(3, 4);
  const Tensor y = wave({5, 3}, 0.4, 2, Dtype::f64);
  for (const char* name : {"kvaerno3", "radau5", "implicit-euler"}) {
    const Tableau m = tableau(name);
    const Tensor together = step(m, small_network(weights), 0, 0.8, y).y1;
    for (int64_t i = 0; i < 5; ++i) {
      const Tensor alone = step(m, small_network(weights), 0, 0.8, slice(y, 0, i, i + 1)).y1;
      CHECK(alone.values() == slice(together, 0, i, i + 1).values());
    }
  }
}

TEST_CASE("implicit step: T9, an image of 64 x 6 x 6 without a matrix, in both precisions") {
  for (Dtype dtype : {Dtype::f64, Dtype::f32}) {
    const Tensors weights = {wave({64, 3, 3, 64}, 0.3, 0.15, dtype),
                             wave({64, 3, 3, 64}, 1.1, 0.15, dtype), wave({64}, 2.0, 0.3, dtype)};
    const Tensor y = wave({2, 6, 6, 64}, 0.7, 1, dtype);
    const Field f = convolution_field(weights);
    const std::vector<const char*> names = dtype == Dtype::f64
                                               ? std::vector<const char*>{"implicit-euler"}
                                               : std::vector<const char*>{"gauss4", "kvaerno3"};
    for (const char* name : names) {
      const Tableau m = tableau(name);
      const auto report = fresh();
      const Step s = step(m, f, 0, 0.5, y, {}, report);
      CAPTURE(name);
      CHECK(report->converged);
      CHECK(largest_residual(m, f, 0, 0.5, y, s) < (dtype == Dtype::f32 ? 2e-4 : 1e-11));
      CHECK(largest(s.y1 - y) > 0.1);
      CHECK(report->krylov < 60);
    }
  }
}

TEST_CASE("implicit step: with tolerances, no better than they ask for") {
  const Problem p = vanderpol(5);
  const auto loose = fresh(), fine = fresh();
  const Tableau m = tableau("kvaerno3");
  const Step a = step(m, p.field, 0, 0.1, p.y0, {.rtol = 1e-3, .atol = 1e-3}, loose);
  const Step b = step(m, p.field, 0, 0.1, p.y0, {}, fine);
  CHECK(largest(a.y1 - b.y1) < 1e-4);
  CHECK(loose->newton < fine->newton);
}
