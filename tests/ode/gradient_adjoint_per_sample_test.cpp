// The adjoint of solves whose samples have steps of their own, forward and backward.
#include "ode/gradient_adjoint_per_sample.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "ode/gradient_per_sample.h"
#include "ode/solver_word.h"
#include "tests/ode/batch.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

struct Found {
  PerSampleSolution solution;
  Tensors gradients;  // of y0 and the weights
};
// scale: (N, 1)
Found differentiated(const Tensor& y0, const Tensor& scale, const Solver& solver, Gradient gradient,
                     StepPlans* plans = nullptr, const GradientOptions& options = {}) {
  const Tensors weights = small_weights(3, 4);
  Tensors xs = {y0};
  xs.insert(xs.end(), weights.begin(), weights.end());
  Tape tape(xs);
  PerSampleSolution s = solve_per_sample_differentiable(small_network(weights), y0, {{0, 0.5, 2}},
                                                        solver, gradient, plans, options);
  const Tensor loss = sum(scale * square(s.ys[2])) + sum(scale * s.ys[1]);
  return {s, tape.gradient(loss, xs)};
}
Found differentiated(const char* word, Gradient gradient, StepPlans* plans = nullptr) {
  return differentiated(starts(), kScale, parse_solver(word), gradient, plans);
}

}  // namespace

TEST_CASE("adjoint per sample: approaches the discrete gradient as the tolerance falls") {
  for (const char* method : {"dopri5", "bosh3", "cash-karp"}) {
    double before = HUGE_VAL;
    for (double tolerance : {1e-4, 1e-6, 1e-8}) {
      const std::string word = concat(method, "@", tolerance);
      const Found exact = differentiated(word.c_str(), Gradient::checkpointed);
      for (Gradient mode : {Gradient::adjoint, Gradient::adjoint_seminorm}) {
        const Found found = differentiated(word.c_str(), mode);
        double d = 0;
        for (size_t i = 0; i < 5; ++i) {
          d = std::max(d, largest_difference(found.gradients[i], exact.gradients[i].values()));
        }
        INFO(word, ": ", d);
        CHECK(d < 3000 * tolerance);
        CHECK(d < before);
        CHECK(found.solution.y.values() == exact.solution.y.values());
        CHECK(found.solution.total->evaluations_backward > 0);
        if (mode == Gradient::adjoint_seminorm) before = d;
      }
    }
  }
}

TEST_CASE("adjoint per sample: a sample's gradient is the one it gets alone, bit for bit") {
  const Solver solver = parse_solver("dopri5@1e-5");
  StepPlans plans;
  for (StepPlans* with : {static_cast<StepPlans*>(nullptr), &plans, &plans}) {
    const Found all = differentiated(starts(), kScale, solver, Gradient::adjoint, with);
    Tensors sums(5);
    for (int64_t i = 0; i < 6; ++i) {
      const Found alone =
          differentiated(copy(slice(starts(), 0, i, i + 1)), copy(slice(kScale, 0, i, i + 1)),
                         solver, Gradient::adjoint);
      CHECK(slice(all.gradients[0], 0, i, i + 1).values() == alone.gradients[0].values());
      for (size_t w = 1; w < 5; ++w) {
        const Tensor& d = alone.gradients[w];
        sums[w] = sums[w].defined() ? sums[w] + d : d;
      }
    }
    for (size_t w = 1; w < 5; ++w) {
      CHECK(largest_difference(all.gradients[w], sums[w].values()) < 1e-12);
    }
  }
}

TEST_CASE("adjoint per sample: rows of the context, states of any rank, times of each sample") {
  // y' = -w_i y, for some samples backward in time: dy/dw_i = -(t1 - t0) y.
  const Tensor rates = tensor({0.1, 3, 1, 10}, {4, 1, 1}, Dtype::f64);
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(1 + 0.1 * i);
  const Tensor y0 = tensor(values, {4, 2, 3}, Dtype::f64);
  const Field f{
      .context = {rates},
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) { return neg(c[0] * y); },
      .per_sample_context = {0}};
  const std::vector<std::vector<double>> times = {{0, 1}, {1, 0.5}, {0, 0}, {-1, 0}};
  Tape tape({rates, y0});
  const PerSampleSolution s = solve_per_sample_differentiable(
      f, y0, times, parse_solver("dopri5@1e-10"), Gradient::adjoint);
  const Tensors d = tape.gradient(sum(s.ys[1]), {rates, y0});
  for (size_t i = 0; i < 4; ++i) {
    const double span = times[i][1] - times[i][0];
    const double growth = std::exp(-rates.values()[i] * span);
    double total = 0;
    for (size_t k = 0; k < 6; ++k) {
      total += values[6 * i + k];
      CHECK(d[1].values()[6 * i + k] == doctest::Approx(growth).epsilon(1e-7));
    }
    CHECK(d[0].values()[i] == doctest::Approx(-span * growth * total).epsilon(1e-7));
  }
}

TEST_CASE("adjoint per sample: a sample that fails has none and leaves the others theirs") {
  const Solver solver = parse_solver("dopri5@1e-4");
  const Tensor mask = tensor({1, 1, 0, 1, 1, 1}, {6, 1}, Dtype::f64);
  const Tensors weights = small_weights(3, 4);
  std::vector<Tensors> found;
  for (double third : {0.3, static_cast<double>(NAN)}) {
    std::vector<double> values = starts().values();
    values[7] = third;
    const Tensor y0 = tensor(values, {6, 3}, Dtype::f64);
    Tensors xs = {y0};
    xs.insert(xs.end(), weights.begin(), weights.end());
    Tape tape(xs);
    const PerSampleSolution s = solve_per_sample_differentiable(
        small_network(weights), y0, {{0, 0.5, 2}}, solver, Gradient::adjoint);
    CHECK(s.failures() == (std::isnan(third) ? 1 : 0));
    found.push_back(tape.gradient(sum(kScale * square(select(mask, s.ys[2], 0))), xs));
  }
  for (int64_t i : {0, 1, 3, 4, 5}) {
    CHECK(slice(found[0][0], 0, i, i + 1).values() == slice(found[1][0], 0, i, i + 1).values());
  }
  CHECK(slice(found[1][0], 0, 2, 3).values() == std::vector<double>{0, 0, 0});
  for (size_t w = 1; w < 5; ++w) {
    CHECK(largest_difference(found[0][w], found[1][w].values()) < 1e-12);
  }
}

TEST_CASE("adjoint per sample: nor is a failed sample's time one where the others' field is NaN") {
  // y' = -w sqrt(1 - t) y: the second sample wants to go where there is none.
  const Tensor y0 = tensor({1, 2, 3}, {3, 1}, Dtype::f64), w = tensor({0.8}, {1}, Dtype::f64);
  const Field f{.context = {w}, .evaluate = [](const Tensor& t, const Tensor& y, const Tensors& c) {
                  return neg(c[0] * sqrt(1.0 - t) * y);
                }};
  const Tensor good = tensor({1, 0, 1}, {3, 1}, Dtype::f64);
  std::vector<Tensors> found;
  for (double end : {0.5, 2.0}) {
    Tape tape({y0, w});
    const PerSampleSolution s = solve_per_sample_differentiable(
        f, y0, {{0, 0.5}, {0, end}, {0, 0.9}}, parse_solver("dopri5@1e-6"), Gradient::adjoint);
    CHECK(s.failures() == (end > 1 ? 1 : 0));
    found.push_back(tape.gradient(sum(select(good, s.ys[1], 0)), {y0, w}));
  }
  for (size_t i = 0; i < 2; ++i) {
    CHECK(largest_difference(found[1][i], found[0][i].values()) < 1e-12);
  }
}

TEST_CASE("adjoint per sample: what is refused, and what cannot be solved") {
  const Solver solver = parse_solver("dopri5@1e-4");
  const auto refused = [&](Gradient mode, const GradientOptions& options) {
    CHECK_THROWS_AS(differentiated(starts(), kScale, solver, mode, nullptr, options), ValueError);
  };
  refused(Gradient::adjoint, {.interpolate = true});
  refused(Gradient::checkpointed, {.most_states = 3});
  refused(Gradient::reversible, {});
  refused(Gradient::adjoint, {.backward = parse_solver("rk4:3")});
  Solver hasty = solver;
  std::get<Adaptive>(hasty.stepping).max_steps = 1;
  CHECK_THROWS_AS(
      differentiated(starts(), kScale, solver, Gradient::adjoint, nullptr, {.backward = hasty}),
      SolveError);
}
