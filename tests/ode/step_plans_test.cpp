// Replayed steps: the same bits as eager ones, no allocation, and a context that may change.
#include "ode/step_plans.h"

#include <doctest/doctest.h>

#include "core/storage.h"
#include "ode/methods.h"
#include "ode/per_sample.h"
#include "ode/solve.h"
#include "ode/solver_word.h"
#include "tests/ode/problems.h"

using namespace slope;
using namespace slope::ode;

namespace {
const char* const kWords[] = {"rk4:5",
                              "euler:7",
                              "dopri5:3",
                              "dopri5@1e-5",
                              "bosh3@1e-4",
                              "fehlberg45@1e-5",
                              "explicit_adams:9",
                              "implicit_adams@1e-4",
                              "adams@1e-5",
                              "alf:5",
                              "reversible-heun@1e-2"};
}

TEST_CASE("plans: replayed solves have the bits of eager ones") {
  for (const Problem& p : order_problems()) {
    StepPlans plans;
    for (const char* word : kWords) {
      for (int repeat = 0; repeat < 3; ++repeat) {
        CAPTURE(word);
        const Tensor y0 = p.y0 * (1 - 0.1 * repeat);
        const std::vector<double> times = {0, 0.3 * p.end, p.end + 0.2 * repeat};
        const Solution eager = solve(p.field, y0, times, parse_solver(word));
        const Solution replayed = solve(p.field, y0, times, parse_solver(word), {.plans = &plans});
        REQUIRE(replayed.ys.size() == eager.ys.size());
        for (size_t i = 0; i < eager.ys.size(); ++i) {
          CHECK(replayed.ys[i].values() == eager.ys[i].values());
        }
        CHECK(replayed.grid == eager.grid);
        CHECK(replayed.statistics->evaluations == eager.statistics->evaluations);
      }
    }
  }
}

TEST_CASE("plans: captured once for each shape, and nothing is allocated afterwards") {
  const Tensors weights = small_weights(3, 5);
  const Field f = small_network(weights);
  StepPlans plans;
  const auto run = [&](int64_t batch, const char* word) {
    const Tensor y0 = full({batch, 3}, 0.3, Dtype::f64);
    return solve(f, y0, {0, 1}, parse_solver(word), {.plans = &plans}).y.values();
  };
  run(4, "rk4:8");
  CHECK(plans.captures() == 1);
  run(4, "rk4:3");  // the number of steps is no part of a step
  CHECK(plans.captures() == 1);
  run(6, "rk4:8");
  CHECK(plans.captures() == 2);
  run(4, "dopri5@1e-5");
  CHECK(plans.captures() == 4);  // the slope and the attempt
  run(4, "dopri5@1e-4");
  CHECK(plans.captures() == 5);  // another tolerance, another error norm
  run(4, "dopri5@1e-6");
  CHECK(plans.captures() == 7);  // so small a one asks for exact kernels: the slope too

  const auto requests = [] { return memory_statistics(default_device()).allocations; };
  run(4, "rk4:8");
  run(4, "dopri5@1e-5");
  const int64_t inside = plans.allocations(), outside = requests();
  for (int repeat = 0; repeat < 5; ++repeat) {
    run(4, "rk4:50");
    run(4, "dopri5@1e-5");
  }
  CHECK(plans.captures() == 7);
  CHECK(plans.allocations() == inside);
  CHECK(requests() == outside);
}

TEST_CASE("plans: the context may change between solves, in place or as a whole") {
  StepPlans plans;
  const Tensor y0 = tensor({0.5, -0.3, 0.8}, {1, 3}, Dtype::f64);
  const Solver solver = parse_solver("rk4:4");
  const auto check = [&](const Tensors& weights) {
    const Field f = small_network(weights);
    CHECK(solve(f, y0, {0, 1}, solver, {.plans = &plans}).y.values() ==
          solve(f, y0, {0, 1}, solver).y.values());
  };
  const Tensors weights = small_weights(3, 5);
  check(weights);
  copy_into(weights[0], weights[0] * 0.5);  // an optimiser's update
  check(weights);
  Tensors others = small_weights(3, 5);
  others[2] = others[2] * 2.0;  // other tensors of the same shapes: a mask drawn for each solve
  check(others);
  check(weights);
  // A view of the same storage in another layout.
  const Tensor wide = concatenate({weights[0], weights[0] * 3.0}, 0);
  others[0] = slice(wide, 0, 0, 5);
  check(others);
  others[0] = slice(wide, 0, 5, 10);
  check(others);
  // The result of another plan, which is overwritten on each run of it.
  Plan half({weights[0]}, [](const Tensors& in) { return Tensors{in[0] * 0.5}; });
  others[0] = half.results()[0];
  check(others);
  half.run({weights[0] * 3.0});
  check(others);
  CHECK(plans.captures() == 1);
  check(small_weights(3, 6));
  CHECK(plans.captures() == 2);
}

TEST_CASE("plans: the one that has not run for longest goes when there are too many") {
  StepPlans plans(2);
  const Field f = small_network(small_weights(3, 4));
  for (int64_t batch : {1, 2, 3, 1, 2, 3}) {
    solve(f, full({batch, 3}, 0.3, Dtype::f64), {0, 1}, parse_solver("rk4:4"), {.plans = &plans});
    CHECK(plans.size() <= 2);
  }
  CHECK(plans.captures() == 6);
}

TEST_CASE("plans: two fields of one program keep plans of their own") {
  // A method's coefficients are part of the key, not only its name.
  StepPlans plans;
  const Problem p = cosine_problem();
  Solver odd = parse_solver("rk4:4");
  Tableau weights = tableau("rk4");
  weights.b = {0.25, 0.25, 0.25, 0.25};
  odd.method = weights;
  const auto value = [&](const Solver& s, StepPlans* with) {
    return solve(p.field, p.y0, {0, 1}, s, {.plans = with}).y.item();
  };
  CHECK(value(parse_solver("rk4:4"), &plans) == value(parse_solver("rk4:4"), nullptr));
  CHECK(value(odd, &plans) == value(odd, nullptr));
  CHECK(value(odd, nullptr) != value(parse_solver("rk4:4"), nullptr));
}

TEST_CASE("plans: tolerances that differ in the seventh digit have steps of their own") {
  const Problem p = kepler_problem();
  StepPlans plans;
  for (const char* word : {"dopri5@1e-6", "dopri5@1.0000001e-6", "dopri5@1e-6,1.0000001e-6"}) {
    CAPTURE(word);
    const Solver solver = parse_solver(word);
    CHECK(solve(p.field, p.y0, {0, 3}, solver, {.plans = &plans}).grid ==
          solve(p.field, p.y0, {0, 3}, solver).grid);
    const auto rows = [&](StepPlans* with) {
      return solve_per_sample(p.field, p.y0, {{0, 3}}, solver, {.plans = with}).grids[0];
    };
    CHECK(rows(&plans) == rows(nullptr));
  }
}
