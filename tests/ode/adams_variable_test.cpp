// Adams methods of variable order: what they reach, which orders they choose, and that a solve can
// be repeated and differentiated.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "autograd/tape.h"
#include "core/ops.h"
#include "ode/adams.h"
#include "ode/gradient.h"
#include "ode/methods.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {

Solver at_tolerance(double tolerance) {
  return {.method = variable_adams(), .stepping = Adaptive{.rtol = tolerance, .atol = tolerance}};
}

Tensor start_state() { return tensor({0.5, -0.3, 0.8, 0.1, 1.2, -0.7}, {2, 3}, Dtype::f64); }

}  // namespace

TEST_CASE("variable adams: reaches its tolerance, and raises the order with it") {
  for (const Problem& p : order_problems()) {
    int64_t loose_evaluations = 0;
    for (double tolerance : {1e-4, 1e-7, 1e-10}) {
      const Solution s = solve(p.field, p.y0, {0, p.end}, at_tolerance(tolerance));
      REQUIRE(s.status == Status::success);
      const double error = largest_difference(s.y, p.solution(p.end));
      CHECK_MESSAGE(error < 200 * tolerance, p.name << " at " << tolerance << ": " << error);
      REQUIRE(s.orders.size() + 1 == s.grid.size());
      CHECK(s.orders.front() == kLeastVariableOrder);
      const int highest = *std::max_element(s.orders.begin(), s.orders.end());
      CHECK(highest <= kMostVariableOrder);
      if (tolerance < 1e-9) CHECK_MESSAGE(highest >= 5, p.name << ": " << highest);
      for (size_t n = 1; n < s.orders.size(); ++n) {
        CHECK(std::abs(s.orders[n] - s.orders[n - 1]) <= 1);
        CHECK(s.orders[n] <= static_cast<int>(n) + 2);
      }
      // Six digits more cost far less than a method of order 3 would need, a factor of 100.
      if (tolerance == 1e-4) loose_evaluations = s.statistics->evaluations;
      CHECK(s.statistics->evaluations < 12 * loose_evaluations);
    }
  }
}

TEST_CASE("variable adams: less work than a Runge-Kutta pair at tight tolerances") {
  const Problem p = problem_until("kepler,e=0.3", 20);
  const Solution adams = solve(p.field, p.y0, {0, p.end}, at_tolerance(1e-9));
  const Solution pair = solve(p.field, p.y0, {0, p.end}, parse_solver("dopri5@1e-9"));
  CHECK(adams.statistics->evaluations < pair.statistics->evaluations);
}

TEST_CASE("variable adams: recorded steps and orders give the same bits again") {
  for (const Problem& p : order_problems()) {
    const std::vector<double> times = {0, 0.3 * p.end, p.end};
    const Solution s = solve(p.field, p.y0, times, at_tolerance(1e-6));
    const Solution again = solve(
        p.field, p.y0, times,
        {.method = variable_adams(), .stepping = StepGrid{.times = s.grid, .orders = s.orders}});
    CHECK(again.y.values() == s.y.values());
    CHECK(again.orders == s.orders);
    CHECK_THROWS_AS(solve(p.field, p.y0, times,
                          {.method = variable_adams(),
                           .stepping = StepGrid{.times = s.grid, .orders = {2, 3}}}),
                    ValueError);
    StepPlans plans;
    for (int repeat = 0; repeat < 2; ++repeat) {
      const Solution replayed = solve(p.field, p.y0, times, at_tolerance(1e-6), {.plans = &plans});
      CHECK(replayed.y.values() == s.y.values());
      CHECK(replayed.statistics->evaluations == s.statistics->evaluations);
    }
  }
}

TEST_CASE("variable adams: checkpointed equals through bit for bit, and differences") {
  const Tensors weights = small_weights(3, 5);
  const Tensor times = tensor({0, 0.4, 1.1}, {3}, Dtype::f64);
  const Solver solver = at_tolerance(1e-5);
  std::vector<Tensors> found;
  Solution solved;
  StepPlans plans;
  for (int way = 0; way < 3; ++way) {
    const Tensor y0 = start_state();
    Tensors watched = weights;
    watched.push_back(y0);
    if (way < 2) watched.push_back(times);
    Tape tape(watched);
    const Gradient mode = way == 0 ? Gradient::through : Gradient::checkpointed;
    solved = way < 2 ? solve_differentiable(small_network(weights), y0, times, solver, mode)
                     : solve_differentiable(small_network(weights), y0, times.values(), solver,
                                            mode, &plans);
    found.push_back(tape.gradient(sum(sin(solved.ys[1])) + 2 * sum(sin(solved.y)), watched));
  }
  for (size_t i = 0; i < weights.size() + 1; ++i) {
    CHECK(found[0][i].values() == found[1][i].values());
    CHECK(found[0][i].values() == found[2][i].values());
  }
  CHECK(largest_difference(found[0].back(), found[1].back().values()) < 1e-13);

  // Central differences on the recorded steps; times move at fixed fractions.
  const auto loss = [&](const Tensor& y0, size_t time, double move) {
    std::vector<double> at = times.values(), grid = solved.grid;
    const std::vector<double> before = at;
    at[time] += move;
    for (double& t : grid) {
      const size_t j = t < before[1] ? 0 : 1;
      const double x = (t - before[j]) / (before[j + 1] - before[j]);
      t = x == 1 ? at[j + 1] : at[j] + x * (at[j + 1] - at[j]);
    }
    const Solution s = solve(
        small_network(weights), y0, at,
        {.method = solver.method, .stepping = StepGrid{.times = grid, .orders = solved.orders}});
    return (sum(sin(s.ys[1])) + 2 * sum(sin(s.y))).item();
  };
  // Of order four: the weights of a start with doubled steps magnify rounding a hundredfold, so the
  // differences must not be small.
  const auto derivative = [](const std::function<double(double)>& f) {
    const double h = 1e-3;
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
  };
  for (size_t i = 0; i < 6; ++i) {
    const double expected = derivative([&](double move) {
      std::vector<double> values = start_state().values();
      values[i] += move;
      return loss(tensor(values, {2, 3}, Dtype::f64), 0, 0);
    });
    CHECK(std::abs(found[0][weights.size()].values()[i] - expected) < 1e-8);
  }
  for (size_t j = 0; j < 3; ++j) {
    const double expected = derivative([&](double move) { return loss(start_state(), j, move); });
    CHECK(std::abs(found[0].back().values()[j] - expected) < 1e-8);
  }
}

TEST_CASE("variable adams: words, and trouble is a status") {
  CHECK(solver_word(parse_solver("adams")) == "adams@1e-3");
  CHECK(solver_word(parse_solver("vcabm@1e-6")) == "adams@1e-6");
  const Field bad{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return y * 0.0 + log(0.5 - t);
  }};
  const Solution s = solve(bad, row({1}), {0, 1}, parse_solver("adams@1e-4"));
  CHECK(s.status != Status::success);
  CHECK(!s.message.empty());
  const Field explodes{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return y * y; }};
  const Solution blown = solve(explodes, row({1}), {0, 2}, parse_solver("adams@1e-6"));
  CHECK(blown.status != Status::success);
  CHECK(std::abs(blown.t - 1) < 1e-2);
}

TEST_CASE("adams: no step is more than twice as long as the one before") {
  // Easier and easier, so that every controller would take longer steps at once.
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return neg(y) * 50.0 * exp(-4.0 * t);
  }};
  for (const char* word : {"adams@1e-4", "adams@1e-8"}) {
    CAPTURE(word);
    const std::vector<double> grid =
        solve(f, row({1}), {0, 20}, parse_solver(word)).or_throw().grid;
    REQUIRE(grid.size() > 5);
    double largest = 0;
    for (size_t n = 2; n < grid.size(); ++n)
      largest = std::max(largest, (grid[n] - grid[n - 1]) / (grid[n - 1] - grid[n - 2]));
    CHECK(largest <= 2 * (1 + 1e-9));
    CHECK(largest > 1.5);
  }
}
