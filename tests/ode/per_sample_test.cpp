// Steps per sample: a sample's result is its own, whatever its batch-mates are and do.
#include "ode/per_sample.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/storage.h"
#include "ode/methods.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"
#include "tests/ode/read_counter.h"

using namespace slope;
using namespace slope::ode;

namespace {

// n systems of predators and prey that start in different places: (n, 2).
Tensor populations(int64_t n) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(1 + 9 * std::fmod(0.61803398875 * static_cast<double>(i), 1));
    values.push_back(1 + 4 * std::fmod(0.41421356237 * static_cast<double>(i), 1));
  }
  return tensor(values, {n, 2}, Dtype::f64);
}

std::vector<double> row_of(const Tensor& y, int64_t row) {
  return slice(y, 0, row, row + 1).values();
}

Tensor picked(const Tensor& y, const std::vector<int64_t>& rows) {
  return gather_rows(y, from_host(std::vector<int32_t>(rows.begin(), rows.end()),
                                  {static_cast<int64_t>(rows.size())}));
}

bool same_counts(const Statistics& a, const Statistics& b) {
  return a.evaluations == b.evaluations && a.accepted == b.accepted && a.rejected == b.rejected;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("per sample: 1000 systems together are 1000 solves of one, bit for bit, in any order") {
  const Problem p = lotka_volterra();
  const Solver solver = parse_solver("dopri5@1e-4");
  constexpr int64_t n = 1000;
  const Tensor y0 = populations(n);
  StepPlans plans;
  const PerSampleSolution all =
      solve_per_sample(p.field, y0, {{0, 1, 4}}, solver, {.plans = &plans}).or_throw();
  REQUIRE(all.y.shape() == y0.shape());
  CHECK(all.y.values() == all.ys[2].values());
  // One plan for attempts and one for slopes for each size of the batch: 1000, 500, .., 1.
  CHECK(plans.captures() <= 2 * 11);

  StepPlans plans_of_one, shared_plans_of_one;
  int64_t evaluations = 0, slowest = 0;
  for (int64_t i = 0; i < n; ++i) {
    CAPTURE(i);
    const Tensor own = copy(slice(y0, 0, i, i + 1));
    const PerSampleSolution one =
        solve_per_sample(p.field, own, {{0, 1, 4}}, solver, {.plans = &plans_of_one});
    const auto at = static_cast<size_t>(i);
    CHECK(row_of(all.y, i) == one.y.values());
    CHECK(row_of(all.ys[1], i) == one.ys[1].values());
    CHECK(all.grids[at] == one.grids[0]);
    CHECK(same_counts(all.statistics[at], one.statistics[0]));
    // And the solve that shares steps, of a batch of one.
    const Solution plain = solve(p.field, own, {0, 1, 4}, solver, {.plans = &shared_plans_of_one});
    CHECK(plain.y.values() == one.y.values());
    CHECK(plain.grid == one.grids[0]);
    CHECK(same_counts(*plain.statistics, one.statistics[0]));
    evaluations += one.statistics[0].evaluations;
    slowest = std::max(slowest, one.statistics[0].evaluations);
  }

  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [](int64_t a, int64_t b) { return a * 617 % n < b * 617 % n; });
  const PerSampleSolution shuffled =
      solve_per_sample(p.field, picked(y0, order), {{0, 1, 4}}, solver);
  CHECK(shuffled.y.values() == picked(all.y, order).values());

  const Solution shared = solve(p.field, y0, {0, 1, 4}, solver);
  CHECK(all.total->evaluations == evaluations);
  CHECK(all.total->samples == n);
  CHECK(evaluations < n * shared.statistics->evaluations);
  MESSAGE("evaluations per system: own steps "
          << static_cast<double>(evaluations) / n << " (at most " << slowest
          << ", computed with those that stood still "
          << static_cast<double>(all.rows_evaluated) / n << "), shared steps "
          << shared.statistics->evaluations);
}

TEST_CASE("per sample: the evaluations that own steps save when samples differ") {
  // Van der Pol oscillators with stiffness from 1 to 30, which the context says.
  constexpr int64_t n = 64;
  std::vector<double> mu;
  for (int64_t i = 0; i < n; ++i) mu.push_back(i == 5 ? 30 : 1);
  const Field f{.context = {tensor(mu, {n, 1}, Dtype::f64)},
                .evaluate =
                    [](const Tensor&, const Tensor& y, const Tensors& c) {
                      const Tensor x = slice(y, 1, 0, 1), v = slice(y, 1, 1, 2);
                      return concatenate({v, c[0] * ((1.0 - square(x)) * v) - x}, 1);
                    },
                .per_sample_context = {0}};
  const Tensor y0 = concatenate({full({n, 1}, 2, Dtype::f64), zeros({n, 1}, Dtype::f64)}, 1);
  const Solver solver = parse_solver("dopri5@1e-5");
  const PerSampleSolution own = solve_per_sample(f, y0, {{0, 5}}, solver).or_throw();
  const Solution shared = solve(f, y0, {0, 5}, solver).or_throw();
  const double per_sample = static_cast<double>(own.total->evaluations) / n;
  const double computed = static_cast<double>(own.rows_evaluated) / n;
  MESSAGE("evaluations per oscillator: own steps " << per_sample << ", computed " << computed
                                                   << ", shared steps "
                                                   << shared.statistics->evaluations);
  CHECK(per_sample < 0.5 * static_cast<double>(shared.statistics->evaluations));
  CHECK(computed < 0.6 * static_cast<double>(shared.statistics->evaluations));
  // The one that is stiff has been compacted down to a batch of one, with its own mu.
  const Field alone = with_context(f, {tensor({30}, {1, 1}, Dtype::f64)});
  const Solution stiff = solve(alone, row({2, 0}), {0, 5}, solver);
  CHECK(row_of(own.y, 5) == stiff.y.values());
}

TEST_CASE("per sample (O1): a sample that is NaN or blows up leaves the others as they were") {
  const Field f{.evaluate = [](const Tensor&, const Tensor& y, const Tensors&) {
    return square(y) - 0.25 * y;
  }};
  const auto starts = [](double third, double last) {
    return tensor({0.1, -1, third, 0.2, last}, {5, 1}, Dtype::f64);
  };
  for (const char* word : {"dopri5@1e-6", "bosh3@1e-5~pi", "cash-karp@1e-6", "heun2@1e-4"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const auto run = [&](const Tensor& y0) { return solve_per_sample(f, y0, {{0, 1, 2}}, solver); };
    const PerSampleSolution good = run(starts(0.05, -0.3)).or_throw();
    // y' = y^2 from 2 reaches infinity before t = 1.
    const PerSampleSolution bad = run(starts(NAN, 2));
    CHECK(bad.statuses == std::vector<Status>{Status::success, Status::success, Status::not_finite,
                                              Status::success, bad.statuses[4]});
    CHECK(bad.statuses[4] != Status::success);
    CHECK(bad.failures() == 2);
    for (int64_t i : {0, 1, 3}) {
      CHECK(row_of(bad.y, i) == row_of(good.y, i));
      CHECK(row_of(bad.ys[1], i) == row_of(good.ys[1], i));
      CHECK(same_counts(bad.statistics[static_cast<size_t>(i)],
                        good.statistics[static_cast<size_t>(i)]));
    }
    // The last good state, the time of it and what happened; outputs that were not reached are NaN.
    CHECK(bad.ts[4] > 0.4);
    CHECK(bad.ts[4] < 1);
    CHECK(row_of(bad.y, 4)[0] > 2);
    CHECK(std::isnan(row_of(bad.ys[1], 4)[0]));
    CHECK(std::isnan(row_of(bad.ys[2], 2)[0]));
    CHECK(bad.ts[2] == 0);
    CHECK(bad.messages[2].find("solve: sample 2: the state at t = 0 is not finite (from 0 to 2; 0 "
                               "accepted, 0 rejected)") == 0);
    CHECK(bad.messages[4].find("solve: sample 4: ") == 0);
    CHECK(message_of([&] { bad.or_throw(); }).find("(1 other samples failed too.)") !=
          std::string::npos);
  }
}

TEST_CASE("per sample: budget and underflow are a sample's own") {
  const Field jump{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return expand(sign(1. / 3 - t), y.shape());
  }};
  Solver solver = parse_solver("dopri5@1e-19");
  const Tensor y0 = zeros({2, 1}, Dtype::f64);
  const PerSampleSolution s = solve_per_sample(jump, y0, {{0, 1}, {0.5, 0.75}}, solver);
  CHECK(s.statuses[0] == Status::step_size_underflow);
  CHECK(s.messages[0].find("solve: sample 0: step size fell to") == 0);
  CHECK(s.statuses[1] == Status::success);
  solver = parse_solver("dopri5@1e-6");
  std::get<Adaptive>(solver.stepping).max_steps = 10;
  const Problem p = lotka_volterra();
  const PerSampleSolution budget =
      solve_per_sample(p.field, populations(2), {{0, 10}, {0, 0.01}}, solver);
  CHECK(budget.statuses[0] == Status::step_limit);
  CHECK(budget.statistics[0].accepted + budget.statistics[0].rejected == 10);
  CHECK(budget.statuses[1] == Status::success);
}

TEST_CASE("per sample: own times, both directions in one batch, and samples with nothing to do") {
  const Problem p = sine_problem();
  const Tensor y0 = tensor({1, 1, 1, 0.5}, {4, 1}, Dtype::f64);
  const std::vector<std::vector<double>> times = {
      {0, 0.5, 2}, {0, -0.25, -1.5}, {3, 3, 3}, {1, 1, 2}};
  for (const char* word : {"dopri5@1e-7", "fehlberg45@1e-6~pi"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    const PerSampleSolution s = solve_per_sample(p.field, y0, times, solver).or_throw();
    for (size_t i = 0; i < times.size(); ++i) {
      CAPTURE(i);
      const auto at = static_cast<int64_t>(i);
      const Solution one = solve(p.field, copy(slice(y0, 0, at, at + 1)), times[i], solver);
      for (size_t j = 0; j < 3; ++j) CHECK(row_of(s.ys[j], at) == one.ys[j].values());
      CHECK(s.grids[i] == one.grid);
      CHECK(same_counts(s.statistics[i], *one.statistics));
      CHECK(s.ts[i] == times[i].back());
    }
  }
  // Backward is the negated field forward.
  const Field negated{
      .evaluate = [](const Tensor&, const Tensor& y, const Tensors&) { return neg(sin(y)); }};
  const Solver solver = parse_solver("dopri5@1e-6");
  CHECK(solve_per_sample(p.field, y0, {{0, -2}}, solver).y.values() ==
        solve_per_sample(negated, y0, {{0, 2}}, solver).y.values());
}

TEST_CASE("per sample: states of any rank, float32, plans and threads of execution alike") {
  const Field f{.evaluate = [](const Tensor& t, const Tensor& y, const Tensors&) {
    return y * cos(t) - 0.1 * y * y;
  }};
  for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const Shape& shape : {Shape{7}, Shape{7, 3}, Shape{7, 2, 3}, Shape{7, 2, 2, 3}}) {
      CAPTURE(shape);
      std::vector<double> values;
      for (int64_t i = 0; i < shape.size(); ++i)
        values.push_back(std::sin(1.3 * static_cast<double>(i)));
      const Tensor y0 = tensor(values, shape, dtype);
      const Solver solver = parse_solver("dopri5@1e-4");
      StepPlans plans;
      const PerSampleSolution eager = solve_per_sample(f, y0, {{0, 1, 3}}, solver).or_throw();
      for (int run = 0; run < 3; ++run) {
        const PerSampleSolution planned =
            solve_per_sample(f, y0, {{0, 1, 3}}, solver, {.plans = &plans});
        CHECK(planned.y.values() == eager.y.values());
        CHECK(planned.grids == eager.grids);
      }
      for (int64_t i = 0; i < 7; ++i) {
        const Solution one = solve(f, copy(slice(y0, 0, i, i + 1)), {0, 1, 3}, solver);
        CHECK(row_of(eager.y, i) == one.y.values());
      }
    }
  }
}

TEST_CASE("per sample: one read for each attempt, and no allocation once it has run") {
  const Problem p = lotka_volterra();
  const Solver solver = parse_solver("dopri5@1e-4");
  const Tensor y0 = populations(16);
  StepPlans plans;
  for (int warm_up = 0; warm_up < 4; ++warm_up) {
    solve_per_sample(p.field, y0, {{0, 2}}, solver, {.plans = &plans});
  }
  const int64_t before = memory_statistics(y0.device()).allocations + plans.allocations();
  ReadCounter counter;
  const PerSampleSolution s = solve_per_sample(p.field, y0, {{0, 2}}, solver, {.plans = &plans});
  CHECK(counter.reads == s.attempts + 3);
  CHECK(memory_statistics(y0.device()).allocations + plans.allocations() == before);
  CHECK(s.attempts >= *std::max_element(s.grids.begin(), s.grids.end(), [](auto& a, auto& b) {
                         return a.size() < b.size();
                       })->begin());
}

TEST_CASE("per sample: what is wrong with the arguments is said") {
  const Problem p = lotka_volterra();
  const Tensor y0 = populations(3);
  const Solver dopri5 = parse_solver("dopri5@1e-3");
  CHECK(message_of([&] {
          solve_per_sample(p.field, y0, {{0, 1}}, parse_solver("rk4:4"));
        }) ==
        "solve: steps per sample are for explicit Runge-Kutta methods that choose their steps, got "
        "rk4. Take shared steps, or e.g. dopri5@1e-3.");
  CHECK(message_of([&] {
          solve_per_sample(p.field, y0, {{0, 1}, {0, 2}}, dopri5);
        }) ==
        "solve: times of 2 samples for y0 (3, 2) float64. Pass one row of times for all, or one "
        "for each sample.");
  CHECK(message_of([&] {
          solve_per_sample(p.field, y0, {{0, 1}, {0, 2}, {0, 1, 2}}, dopri5);
        }).find("the same number of output times") != std::string::npos);
  CHECK(message_of([&] {
          solve_per_sample(p.field, scalar(1, Dtype::f64), {{0, 1}}, dopri5);
        }).find("y0 () has no samples") != std::string::npos);
  Field collecting = p.field;
  collecting.evaluate_again = p.field.evaluate;
  CHECK(message_of([&] {
          solve_per_sample(collecting, y0, {{0, 1}}, dopri5);
        }).find("BatchNorm in training") != std::string::npos);
  const PerSampleSolution none =
      solve_per_sample(p.field, zeros({0, 2}, Dtype::f64), {{0, 1}}, dopri5);
  CHECK(none.ys.size() == 2);
  CHECK(none.y.shape() == Shape{0, 2});
}
