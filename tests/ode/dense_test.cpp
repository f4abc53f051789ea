// Dense output: true to its label inside the steps, exact at their ends, differentiable.
#include "ode/dense.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/functions.h"
#include "core/ops.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

// The largest error of the interpolant, and of its derivative, at three times inside of every step.
struct Errors {
  double value = 0, slope = 0;
};
Errors errors_inside(const Problem& p, const Method& method, int64_t steps) {
  const DenseSolution dense =
      solve_dense(p.field, p.y0, {0, p.end}, {.method = method, .stepping = Steps{steps}});
  const std::vector<double>& grid = dense.solution().grid;
  Errors errors;
  for (size_t n = 0; n + 1 < grid.size(); ++n) {
    for (double x : {0.25, 0.5, 0.8}) {
      const double t = grid[n] + x * (grid[n + 1] - grid[n]);
      const std::vector<double> exact = p.solution(t);
      const Tensor y = tensor(exact, p.y0.shape(), Dtype::f64);
      const Tensor k = p.field(scalar(t, Dtype::f64), y);
      errors.value = std::max(errors.value, largest_difference(dense.at(t), exact));
      errors.slope = std::max(errors.slope, largest_difference(dense.slope(t), k.values()));
    }
  }
  return errors;
}

// The order that halving the steps shows, from the pair of step counts that is least disturbed by
// rounding.
struct Orders {
  double value = 0, slope = 0;
};
Orders measured(const Problem& p, const Method& method, int64_t steps) {
  Orders best;
  for (int64_t n : {steps, 2 * steps}) {
    const Errors coarse = errors_inside(p, method, n), fine = errors_inside(p, method, 2 * n);
    if (fine.value > 1e-13) best.value = std::max(best.value, std::log2(coarse.value / fine.value));
    if (fine.slope > 1e-12) best.slope = std::max(best.slope, std::log2(coarse.slope / fine.slope));
  }
  return best;
}

}  // namespace

TEST_CASE(
    "dense: measured order of every method, of the state and of its derivative (D1, D2, T4, "
    "T5)" *
    doctest::test_suite("long")) {
  for (const Method& method : all_methods()) {
    const MethodFacts& m = method.facts();
    if (m.name == "adams") continue;  // chooses its order as it goes, and its steps
    for (const Problem& p : {cosine_problem(), sine_problem(), kepler_problem()}) {
      if (m.separable && !p.name.starts_with("kepler")) continue;
      CAPTURE(m.name);
      CAPTURE(p.name);
      const int64_t steps = m.order >= 6                                   ? 10
                            : m.multistep || (m.order <= 2 && !m.implicit) ? 160
                                                                           : 20;
      const Orders found = measured(p, method, steps);
      // An interpolant of order q is off by h^(q + 1) in a step, the states at its ends by h^order
      // in the whole, and a derivative loses one power of h.
      const int value = std::min(m.order, m.dense_order + 1);
      CHECK(found.value > value - 0.2);
      CHECK(found.slope > std::min(m.order, m.dense_order) - 0.2);
    }
  }
}

TEST_CASE("dense (D1): the end slopes of every method are the field's, also where no stage is") {
  const Problem p = cosine_problem();
  for (const Tableau& m : explicit_methods()) {
    CAPTURE(m.name);
    const DenseSolution dense =
        solve_dense(p.field, p.y0, {0, 1}, {.method = m, .stepping = Steps{4}});
    for (size_t n = 1; n < dense.solution().grid.size(); ++n) {
      const double t = dense.solution().grid[n];
      const Tensor end = dense.solution().states[n][0];
      const double slope = p.field(scalar(t, Dtype::f64), end).item();
      // Just before the end, from the step that leads there.
      CHECK(dense.slope(t).item() == doctest::Approx(slope).epsilon(1e-12));
      CHECK(dense.slope(std::nextafter(t - 1e-12, 0)).item() ==
            doctest::Approx(slope).epsilon(1e-9));
    }
  }
}

TEST_CASE("dense: each step sees its own side of a jump") {
  // y' = 1 before t = 1 and 5 from there on.
  const Field f{
      .evaluate = [](const Tensor& t, const Tensor& y,
                     const Tensors&) { return select(t < 1.0, ones_like(y), full_like(y, 5)); },
      .jumps = {1}};
  for (const char* word : {"rk4:3", "dopri5:3", "tsit5:2", "dopri8:2", "implicit-midpoint:3"}) {
    CAPTURE(word);
    const DenseSolution dense = solve_dense(f, row({0}), {0, 2}, parse_solver(word));
    for (double t : {0.3, 0.9, 0.99, 1.0, 1.01, 1.5, 1.99}) {
      CAPTURE(t);
      CHECK(dense.at(t).item() == doctest::Approx(t <= 1 ? t : 1 + 5 * (t - 1)).epsilon(1e-10));
    }
  }
}

TEST_CASE("dense (D2): the label is the interpolant's own order, not the method's") {
  for (const Method& m : all_methods()) {
    CAPTURE(m.name());
    CHECK(m.facts().dense_order >= 1);
    CHECK(m.facts().dense_order <= m.facts().order);
  }
  CHECK(method("dopri5").facts().dense_order == 4);
  CHECK(method("verner6").facts().dense_order == 4);
  CHECK(method("dopri8").facts().dense_order == 5);
}

TEST_CASE("dense (T4): interpolating bosh3 costs no accuracy, as a mid row of order 1 would") {
  const Problem p = kepler_problem();
  const Solver solver = parse_solver("bosh3@1e-6");
  const DenseSolution dense = solve_dense(p.field, p.y0, {0, 3}, solver);
  double inside = 0, at_ends = 0;
  for (int i = 1; i < 60; ++i) {
    const double t = 0.05 * i;
    inside = std::max(inside, largest_difference(dense.at(t), p.solution(t)));
  }
  for (size_t n = 0; n < dense.solution().grid.size(); ++n) {
    at_ends = std::max(at_ends, largest_difference(dense.solution().states[n][0],
                                                   p.solution(dense.solution().grid[n])));
  }
  CHECK(inside < 1.5 * at_ends);
}

TEST_CASE("dense (T5): the end of a solve and its outputs are steps, never interpolated") {
  const Problem p = kepler_problem();
  const Solver solver = parse_solver("dopri8@1e-9");
  const Solution s = solve(p.field, p.y0, {0, 1.7, 3}, solver);
  CHECK(largest_difference(s.y, p.solution(3)) < 2e-9);
  CHECK(largest_difference(s.ys[1], p.solution(1.7)) < 2e-9);
}

TEST_CASE("dense: exact at the ends of steps, backward in time, and where it is not defined") {
  const Problem p = sine_problem();
  for (double end : {3.0, -3.0}) {
    const DenseSolution dense = solve_dense(p.field, p.y0, {0, end}, parse_solver("dopri5@1e-8"));
    for (size_t n = 0; n < dense.solution().grid.size(); ++n) {
      CHECK(dense.at(dense.solution().grid[n]).values() == dense.solution().states[n][0].values());
    }
    for (double x : {0.1, 0.37, 0.9}) {
      CHECK(largest_difference(dense.at(x * end), p.solution(x * end)) < 1e-6);
    }
    CHECK_THROWS_AS(dense.at(1.01 * end), ValueError);
    CHECK_THROWS_AS(dense.at(-0.01 * end), ValueError);
    CHECK_THROWS_AS(dense.at(NAN), ValueError);
  }
  const Solution without = solve(p.field, p.y0, {0, 1}, parse_solver("rk4:2"));
  CHECK_THROWS_AS(DenseSolution(p.field, method("rk4"), without), ValueError);
  const DenseSolution nothing = solve_dense(p.field, p.y0, {2, 2}, parse_solver("rk4:2"));
  CHECK(nothing.at(2).values() == p.y0.values());
}

TEST_CASE("dense: costs nothing until it is asked, and then one step's slopes") {
  int64_t calls = 0;
  const Problem p = cosine_problem();
  const Field counted{.evaluate = [&calls](const Tensor& t, const Tensor& y, const Tensors&) {
    ++calls;
    return y * cos(t);
  }};
  const DenseSolution dense = solve_dense(counted, p.y0, {0, 1}, parse_solver("dopri5:4"));
  CHECK(calls == dense.solution().statistics->evaluations);
  const int64_t before = calls;
  dense.at(0.1);
  dense.at(0.2);
  dense.slope(0.13);
  CHECK(calls == before + 7);
  dense.at(0.5);
  CHECK(calls == before + 7);
}

TEST_CASE("dense: gradients of the initial state, the context and the time") {
  const Tensor y0 = tensor({0.5, -0.3, 0.8}, {1, 3}, Dtype::f64);
  const Tensors weights = small_weights(3, 4);
  const Tensor times = tensor({0.13, 0.55, 0.9}, {3}, Dtype::f64);
  const Solver solver{.method = method("dopri5"), .stepping = Steps{3}};
  const Tensor scale = tensor({1, -0.5, 2}, {3, 1, 1}, Dtype::f64);
  const auto loss = [&](const Tensor& y, const Tensors& w, const Tensor& t, Gradient gradient) {
    return sum(scale * square(solve_dense(small_network(w), y, {0, 1}, solver, gradient).at(t)));
  };
  std::vector<Tensors> found;
  for (Gradient gradient : {Gradient::through, Gradient::checkpointed}) {
    Tensors xs = {y0, times};
    xs.insert(xs.end(), weights.begin(), weights.end());
    Tape tape(xs);
    found.push_back(tape.gradient(loss(y0, weights, times, gradient), xs));
  }
  for (size_t i = 0; i < found[0].size(); ++i) {
    CHECK(largest_difference(found[1][i], found[0][i].values()) < 1e-13);
  }
  const auto difference = [&](const Tensor& x, const std::function<double(const Tensor&)>& f,
                              size_t place) {
    std::vector<double> up = x.values(), down = up;
    up[place] += 1e-5;
    down[place] -= 1e-5;
    return (f(tensor(up, x.shape(), Dtype::f64)) - f(tensor(down, x.shape(), Dtype::f64))) / 2e-5;
  };
  for (size_t i = 0; i < 3; ++i) {
    const double dy = difference(
        y0, [&](const Tensor& y) { return loss(y, weights, times, Gradient::through).item(); }, i);
    CHECK(found[0][0].values()[i] == doctest::Approx(dy).epsilon(1e-7));
    const double dt = difference(
        times, [&](const Tensor& t) { return loss(y0, weights, t, Gradient::through).item(); }, i);
    CHECK(found[0][1].values()[i] == doctest::Approx(dt).epsilon(1e-7));
    const double dw = difference(
        weights[0],
        [&](const Tensor& w) {
          Tensors all = weights;
          all[0] = w;
          return loss(y0, all, times, Gradient::through).item();
        },
        i);
    CHECK(found[0][2].values()[i] == doctest::Approx(dw).epsilon(1e-7));
  }
}
