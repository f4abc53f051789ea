// Gradients of solves whose samples have steps of their own.
#include "ode/gradient_per_sample.h"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>

#include "autograd/functions.h"
#include "ode/solver_word.h"
#include "tests/ode/batch.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

Tensor loss(const PerSampleSolution& s) {
  return sum(kScale * square(s.ys[2])) + sum(kScale * s.ys[1]);
}

struct Found {
  PerSampleSolution solution;
  Tensors gradients;  // of y0 and the weights
};
Found differentiated(const Tensor& y0, const Tensors& weights, const Solver& solver,
                     Gradient gradient, StepPlans* plans = nullptr) {
  Tensors xs = {y0};
  xs.insert(xs.end(), weights.begin(), weights.end());
  Tape tape(xs);
  PerSampleSolution s = solve_per_sample_differentiable(small_network(weights), y0, {{0, 0.5, 2}},
                                                        solver, gradient, plans);
  return {s, tape.gradient(loss(s), xs)};
}

}  // namespace

TEST_CASE("gradient per sample: checkpointed is through, bit for bit, with plans and without") {
  const Tensor y0 = starts();
  const Tensors weights = small_weights(3, 4);
  for (const char* word : {"dopri5@1e-5", "heun2@1e-3", "bosh3@1e-4~pi"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const PerSampleSolution plain =
        solve_per_sample(small_network(weights), y0, {{0, 0.5, 2}}, solver);
    const Found through = differentiated(y0, weights, solver, Gradient::through);
    const Found checkpointed = differentiated(y0, weights, solver, Gradient::checkpointed);
    CHECK(through.solution.y.values() == plain.y.values());
    CHECK(checkpointed.solution.y.values() == plain.y.values());
    CHECK(through.solution.ys[1].values() == plain.ys[1].values());
    for (size_t i = 0; i < 5; ++i) {
      CHECK(through.gradients[i].values() == checkpointed.gradients[i].values());
    }
    StepPlans plans;
    for (int run = 0; run < 3; ++run) {
      const Found planned = differentiated(y0, weights, solver, Gradient::checkpointed, &plans);
      for (size_t i = 0; i < 5; ++i) {
        CHECK(planned.gradients[i].values() == checkpointed.gradients[i].values());
      }
    }
    CHECK(checkpointed.solution.total->evaluations_backward > 0);
  }
}

TEST_CASE("gradient per sample: each sample's is that of the solve of one on its accepted steps") {
  const Tensor y0 = starts();
  const Tensors weights = small_weights(3, 4);
  const Solver solver = parse_solver("dopri5@1e-5");
  const Found all = differentiated(y0, weights, solver, Gradient::checkpointed);
  Tensors sums(4);
  for (int64_t i = 0; i < 6; ++i) {
    const Tensor own = copy(slice(y0, 0, i, i + 1));
    const Solver fixed{.method = solver.method,
                       .stepping = StepGrid{all.solution.grids[static_cast<size_t>(i)]}};
    Tensors xs = {own};
    xs.insert(xs.end(), weights.begin(), weights.end());
    Tape tape(xs);
    const Solution s = solve_differentiable(small_network(weights), own, {0, 0.5, 2}, fixed);
    const Tensor scale = slice(kScale, 0, i, i + 1);
    const Tensors d = tape.gradient(sum(scale * square(s.ys[2])) + sum(scale * s.ys[1]), xs);
    CHECK(slice(all.gradients[0], 0, i, i + 1).values() == d[0].values());
    for (size_t w = 0; w < 4; ++w) sums[w] = sums[w].defined() ? sums[w] + d[w + 1] : d[w + 1];
  }
  for (size_t w = 0; w < 4; ++w) {
    CHECK(largest_difference(all.gradients[w + 1], sums[w].values()) < 1e-12);
  }
}

TEST_CASE("gradient per sample: against central differences on the frozen steps") {
  const Tensor y0 = starts();
  Tensors weights = small_weights(3, 4);
  const Solver solver = parse_solver("bosh3@1e-3");
  const Found found = differentiated(y0, weights, solver, Gradient::checkpointed);
  const auto value = [&](const Tensor& w) {
    Tensors moved = weights;
    moved[0] = w;
    double total = 0;
    for (int64_t i = 0; i < 6; ++i) {
      const Solver fixed{.method = solver.method,
                         .stepping = StepGrid{found.solution.grids[static_cast<size_t>(i)]}};
      const Solution s =
          solve(small_network(moved), copy(slice(y0, 0, i, i + 1)), {0, 0.5, 2}, fixed);
      const Tensor scale = slice(kScale, 0, i, i + 1);
      total += (sum(scale * square(s.ys[2])) + sum(scale * s.ys[1])).item();
    }
    return total;
  };
  for (size_t i = 0; i < 12; i += 5) {
    std::vector<double> up = weights[0].values(), down = up;
    up[i] += 1e-5;
    down[i] -= 1e-5;
    const Shape& shape = weights[0].shape();
    const double difference =
        (value(tensor(up, shape, Dtype::f64)) - value(tensor(down, shape, Dtype::f64))) / 2e-5;
    CHECK(found.gradients[1].values()[i] == doctest::Approx(difference).epsilon(1e-8));
  }
}

TEST_CASE("gradient per sample: a sample that fails has none and leaves the others theirs") {
  const Tensors weights = small_weights(3, 4);
  const Solver solver = parse_solver("dopri5@1e-4");
  const Tensor mask = tensor({1, 1, 0, 1, 1, 1}, {6, 1}, Dtype::f64);
  for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
    std::vector<Tensors> found;
    for (double third : {0.3, static_cast<double>(NAN)}) {
      std::vector<double> values = starts().values();
      values[7] = third;
      const Tensor y0 = tensor(values, {6, 3}, Dtype::f64);
      Tensors xs = {y0};
      xs.insert(xs.end(), weights.begin(), weights.end());
      Tape tape(xs);
      const PerSampleSolution s = solve_per_sample_differentiable(small_network(weights), y0,
                                                                  {{0, 0.5, 2}}, solver, gradient);
      CHECK(s.failures() == (std::isnan(third) ? 1 : 0));
      const Tensor good = select(mask, s.ys[2], 0);
      found.push_back(tape.gradient(sum(kScale * square(good)), xs));
    }
    for (int64_t i : {0, 1, 3, 4, 5}) {
      CHECK(slice(found[0][0], 0, i, i + 1).values() == slice(found[1][0], 0, i, i + 1).values());
    }
    CHECK(slice(found[1][0], 0, 2, 3).values() == std::vector<double>{0, 0, 0});
    for (size_t w = 1; w < 5; ++w) {
      CHECK(largest_difference(found[0][w], found[1][w].values()) < 1e-12);
    }
  }
}

TEST_CASE("gradient per sample: NaN in a sample's row of the context stays with it") {
  // y' = -w c_i y. Some samples need many more steps than others, so the batch is halved.
  const Tensor y0 = tensor({1, 2, 0.5, 1.5, -1, 0.7}, {6, 1}, Dtype::f64);
  const Tensor w = tensor({0.7}, {1}, Dtype::f64);
  const Tensor good = tensor({1, 1, 0, 1, 1, 1}, {6, 1}, Dtype::f64);
  StepPlans plans;
  const auto gradients = [&](double third, Gradient mode, StepPlans* with, bool twice) {
    const Tensor c = tensor({0.1, 60, third, 3, 0.2, 5}, {6, 1}, Dtype::f64);
    const Field f{.context = {w, c},
                  .evaluate = [](const Tensor&, const Tensor& y,
                                 const Tensors& k) { return neg(y * k[0] * k[1]); },
                  .per_sample_context = {1}};
    std::optional<Tape> outer;
    if (twice) outer.emplace(Tensors{w});
    Tensors d;
    {
      Tape tape({y0, w, c});
      const PerSampleSolution s =
          solve_per_sample_differentiable(f, y0, {{0, 1}}, parse_solver("dopri5@1e-5"), mode, with);
      CHECK(s.failures() == (std::isnan(third) ? 1 : 0));
      d = tape.gradient(sum(select(good, s.ys[1], 0)), {y0, w, c});
    }
    if (twice) d.push_back(outer->gradient(sum(d[1]), {w})[0]);
    return d;
  };
  for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::adjoint}) {
    for (StepPlans* with : {static_cast<StepPlans*>(nullptr), &plans}) {
      for (bool twice : {false, true}) {
        if (twice && mode == Gradient::adjoint) continue;  // it has no gradient of its own
        INFO(concat(name(mode), with ? ", plans" : "", twice ? ", twice" : ""));
        const Tensors all = gradients(1.5, mode, with, twice);
        const Tensors found = gradients(NAN, mode, with, twice);
        for (size_t i = 0; i < all.size(); ++i) {
          CHECK(largest_difference(found[i], all[i].values()) < 1e-12);
        }
      }
    }
  }
}

TEST_CASE("gradient per sample: rows of the context, gradients of gradients, what is refused") {
  // y' = -w_i y with a rate for each sample: dy(1)/dw_i = -y(1).
  const Tensor rates = tensor({0.1, 3, 1, 40}, {4, 1}, Dtype::f64);
  const Tensor y0 = tensor({1, -1, 2, 0.5}, {4, 1}, Dtype::f64);
  const auto field = [](const Tensor& w) {
    return Field{
        .context = {w},
        .evaluate = [](const Tensor&, const Tensor& y, const Tensors& c) { return neg(c[0] * y); },
        .per_sample_context = {0}};
  };
  for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
    Tape outer({rates, y0});
    Tensors first;
    {
      Tape tape({rates, y0});
      const PerSampleSolution s = solve_per_sample_differentiable(
          field(rates), y0, {{0, 1}}, parse_solver("dopri5@1e-9"), gradient);
      CHECK(s.statistics[3].accepted > 2 * s.statistics[0].accepted);
      first = tape.gradient(sum(s.y), {rates, y0});
    }
    const std::vector<double> w = rates.values(), y = y0.values();
    for (size_t i = 0; i < 4; ++i) {
      CHECK(first[0].values()[i] == doctest::Approx(-y[i] * std::exp(-w[i])).epsilon(1e-6));
      CHECK(first[1].values()[i] == doctest::Approx(std::exp(-w[i])).epsilon(1e-6));
    }
    const Tensor second = outer.gradient(sum(first[0]), {rates})[0];
    for (size_t i = 0; i < 3; ++i) {
      CHECK(second.values()[i] == doctest::Approx(y[i] * std::exp(-w[i])).epsilon(1e-5));
    }
  }
  Tape tape({rates, y0});
  const Field leaking{
      .evaluate = [&](const Tensor&, const Tensor& y, const Tensors&) { return y * sum(rates); }};
  StepPlans plans;
  CHECK_THROWS_AS(
      solve_per_sample_differentiable(leaking, y0, {{0, 1}}, parse_solver("dopri5@1e-3"),
                                      Gradient::checkpointed, &plans),
      ValueError);
}
