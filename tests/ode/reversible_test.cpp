// Reversible methods and the gradient that undoes their steps.
#include "ode/reversible.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/tape.h"
#include "core/storage.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

Tensor start_state() { return tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, Dtype::f64); }

// q' and p' are small networks of the other half: y (2, 4), weights of width 2.
Field separable_network(const Tensors& weights) {
  const auto half = [](double sign) {
    return [sign](const Tensor& t, const Tensor& x, const Tensors& c) {
      return sign * linear(tanh(linear(x, c[0], c[1]) + t * c[3]), c[2]);
    };
  };
  return separable_field({.position_slope = half(1), .momentum_slope = half(-1)}, weights);
}

struct Case {
  const char* word;
  bool separable = false;
};
const Case kCases[] = {
    {"reversible-heun:20"}, {"reversible-heun@1e-4"}, {"alf:20"},
    {"alf,eta=0.95:20"},    {"leapfrog:20", true},    {"semi-implicit-euler:20", true}};

struct Result {
  Tensors gradients;  // of the weights, then y0
  Statistics counts;
};
Result gradients(const Case& c, Gradient mode, StepPlans* plans = nullptr) {
  const Tensors weights = small_weights(c.separable ? 2 : 3, 5);
  const Tensor y0 = c.separable
                        ? tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7, 0.2, 0.4}, {2, 4}, Dtype::f64)
                        : start_state();
  Tensors watched = weights;
  watched.push_back(y0);
  Tape tape(watched);
  const Solution s =
      solve_differentiable(c.separable ? separable_network(weights) : small_network(weights), y0,
                           {0, 0.4, 1.1}, parse_solver(c.word), mode, plans);
  REQUIRE(s.status == Status::success);
  const Tensor loss = sum(sin(s.ys[1])) + 2 * sum(square(s.ys[2]));
  Result result{tape.gradient(loss, watched), {}};
  result.counts = *s.statistics;
  return result;
}

double largest_difference(const Tensors& a, const Tensors& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, ode::largest_difference(a[i], b[i].values()));
  }
  return largest;
}

}  // namespace

TEST_CASE("reversible: steps follow their formulas") {
  // y' = t y in plain doubles.
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) { return t * y; }};
  const auto solved = [&](const char* word) {
    return solve(f, row({2}), {0.5, 1.5}, parse_solver(word)).y.item();
  };
  const double h = 0.5;
  double y = 2, z = 2, slope = 0.5 * 2, v = 0.5 * 2;
  for (double t : {0.5, 1.0}) {
    const double z1 = 2 * y - z + h * slope, slope1 = (t + h) * z1;
    y += h / 2 * (slope + slope1);
    z = z1;
    slope = slope1;
  }
  CHECK(solved("reversible-heun:2") == doctest::Approx(y).epsilon(1e-15));
  for (double eta : {1., 0.8}) {
    y = 2;
    v = 1;
    for (double t : {0.5, 1.0}) {
      const double x = y + h / 2 * v, u = (t + h / 2) * x;
      v += 2 * eta * (u - v);
      y = x + h / 2 * v;
    }
    CHECK(solved(eta == 1 ? "alf:2" : "alf,eta=0.8:2") == doctest::Approx(y).epsilon(1e-15));
  }
}

TEST_CASE("reversible: a step that is undone leads back, to rounding") {
  for (const Case& c : kCases) {
    CAPTURE(c.word);
    const Method m = parse_solver(c.word).method;
    REQUIRE(m.facts().reversible);
    const Tensors weights = small_weights(c.separable ? 2 : 3, 5);
    const Field f = c.separable ? separable_network(weights) : small_network(weights);
    const Tensor y0 = full({2, c.separable ? 4 : 3}, 0.4, Dtype::f64);
    const Solution s =
        solve(f, y0, {0, 2}, {.method = m, .stepping = Steps{12}}, {.keep_states = true});
    Tensors state = s.state;
    for (size_t n = 12; n-- > 0;) {
      const std::vector<double> clock =
          m->clock(std::span(s.grid).first(n + 1), s.grid[n + 1]).values;
      state = m->reverse({.field = f,
                          .clock = tensor(clock, {static_cast<int64_t>(clock.size())}, Dtype::f64),
                          .state = state});
      REQUIRE(state.size() == s.states[n].size());
      CHECK(largest_difference(state, s.states[n]) < 1e-13);
    }
  }
}

TEST_CASE("reversible: its gradient is the discrete one, within 1e-10") {
  for (const Case& c : kCases) {
    CAPTURE(c.word);
    const Result kept = gradients(c, Gradient::checkpointed);
    const Result undone = gradients(c, Gradient::reversible);
    CHECK(largest_difference(kept.gradients, undone.gradients) < 1e-10);
    CHECK(largest_difference(kept.gradients, gradients(c, Gradient::through).gradients) == 0);
    CHECK(undone.counts.reconstructions_lost == 0);
    CHECK(undone.counts.evaluations == kept.counts.evaluations);
    CHECK(norm(kept.gradients[0]).item() > 0.01);
    StepPlans plans;
    for (int repeat = 0; repeat < 2; ++repeat) {
      // Eagerly the last step is not made again, and its state not undone.
      CHECK(largest_difference(undone.gradients,
                               gradients(c, Gradient::reversible, &plans).gradients) < 1e-13);
      CHECK(largest_difference(kept.gradients,
                               gradients(c, Gradient::checkpointed, &plans).gradients) == 0);
    }
  }
}

TEST_CASE("reversible: the output at t0 is y0 to those who differentiate it, replayed or not") {
  for (const Case& c : kCases) {
    CAPTURE(c.word);
    const Tensors weights = small_weights(c.separable ? 2 : 3, 5);
    const Tensor y0 = c.separable ? ones({2, 4}, Dtype::f64) : start_state();
    StepPlans plans;
    for (Gradient mode : {Gradient::through, Gradient::checkpointed, Gradient::reversible,
                          Gradient::checkpointed, Gradient::adjoint}) {
      if (mode == Gradient::adjoint && c.separable) continue;
      Tape tape({y0});
      const Solution s =
          solve_differentiable(c.separable ? separable_network(weights) : small_network(weights),
                               y0, {0, 1.1}, parse_solver(c.word), mode, &plans);
      const std::vector<double> d = tape.gradient(sum(s.ys[0]), {y0})[0].values();
      CHECK(d == std::vector<double>(d.size(), 1.0));
    }
  }
}

TEST_CASE("reversible: its gradient of the times") {
  const Tensor times = tensor({0, 0.5, 1.2}, {3}, Dtype::f64);
  const Tensors weights = small_weights(3, 4);
  Tensors found;
  for (Gradient mode : {Gradient::checkpointed, Gradient::reversible}) {
    Tape tape({times});
    const Solution s = solve_differentiable(small_network(weights), start_state(), times,
                                            parse_solver("alf:12"), mode);
    found.push_back(tape.gradient(sum(s.ys[1]) + sum(sin(s.y)), {times})[0]);
  }
  CHECK(ode::largest_difference(found[0], found[1].values()) < 1e-10);
  CHECK(norm(found[0]).item() > 0.1);
}

TEST_CASE("reversible: memory does not grow with the steps") {
  const Tensors weights = small_weights(64, 64);
  const Field f = small_network(weights);
  const auto bytes_held = [&](int64_t steps, Gradient mode) {
    const Tensor y0 = full({64, 64}, 0.1, Dtype::f64);
    const int64_t before = memory_statistics(default_device()).live_bytes;
    Tape tape({y0});
    const Solution s =
        solve_differentiable(f, y0, {0, 1}, {.method = alf(), .stepping = Steps{steps}}, mode);
    return memory_statistics(default_device()).live_bytes - before;
  };
  const int64_t state = 64 * 64 * 8;
  CHECK(bytes_held(100, Gradient::reversible) - bytes_held(10, Gradient::reversible) < state);
  CHECK(bytes_held(100, Gradient::checkpointed) - bytes_held(10, Gradient::checkpointed) >
        100 * state);
}

TEST_CASE("reversible: where the states are lost, they are computed again") {
  // Going back through a damped velocity amplifies rounding by 1 / |1 - 2 eta| in each step.
  const Tensors weights = small_weights(3, 4);
  for (const char* word : {"alf,eta=0.6:40", "alf,eta=0.6:4"}) {
    Tensors found;
    Statistics counts;
    for (Gradient mode : {Gradient::checkpointed, Gradient::reversible}) {
      const Tensor y0 = start_state();
      Tape tape({y0});
      const Solution s =
          solve_differentiable(small_network(weights), y0, {0, 0.5, 1}, parse_solver(word), mode);
      found.push_back(tape.gradient(sum(sin(s.y)) + sum(s.ys[1]), {y0})[0]);
      counts = *s.statistics;
    }
    const bool lost = std::string(word) == "alf,eta=0.6:40";
    CHECK(counts.reconstructions_lost == (lost ? 1 : 0));
    CHECK(ode::largest_difference(found[0], found[1].values()) < 1e-10);
  }
}

TEST_CASE("reversible: refused for methods that are not, and eta where no step can be undone") {
  const Tensor y0 = start_state();
  Tape tape({y0});
  CHECK_THROWS_WITH_AS(
      solve_differentiable(small_network(small_weights(3, 4)), y0, {0, 1}, parse_solver("rk4:4"),
                           Gradient::reversible),
      "solve: rk4 cannot be undone step by step, so it has no reversible gradient. Take "
      "reversible-heun or alf, or the checkpointed gradient.",
      ValueError);
  for (double eta : {0., 0.5, 0.5005, 1.1, std::nan("")}) {
    CHECK_THROWS_AS(alf(eta), ValueError);
  }
  CHECK(parse_gradient("reversible") == Gradient::reversible);
  CHECK(std::string(name(Gradient::reversible)) == "reversible");
}
